"""The loop and its pauses: nobody is forgotten, nobody is hurried."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from fhirbridge.service import Bell, Pauses, run_forever
from fhirbridge.service.pauses import LONGEST, wait
from tests.clock_double import ClockDouble

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LONG = timedelta(hours=1)


def test_waits_double_up_to_a_limit_and_honour_a_wish() -> None:
    assert [wait(failures).total_seconds() for failures in (1, 2, 3)] == [1, 2, 4]
    assert wait(1000).total_seconds() == LONGEST
    assert wait(1, retry_after=900.0).total_seconds() == 900


def test_failures_that_were_under_way_together_count_once() -> None:
    pauses = Pauses()

    assert pauses.failed("epr", NOW) == pauses.failed("epr", NOW) == NOW + timedelta(seconds=1)
    assert pauses.until("epr", NOW) == NOW + timedelta(seconds=1)
    assert pauses.until("epr", NOW + timedelta(seconds=1)) is None
    assert pauses.failed("epr", NOW + timedelta(seconds=1)) == NOW + timedelta(seconds=3)


def test_success_forgets() -> None:
    pauses = Pauses()
    pauses.failed("epr", NOW)
    pauses.succeeded("epr")

    assert pauses.until("epr", NOW) is None
    assert pauses.failed("epr", NOW) == NOW + timedelta(seconds=1)


def test_the_circuit_opens_after_some_failures_and_one_try_shows_whether_it_can_close() -> None:
    breaker = Pauses(opens_after=3)
    second = timedelta(seconds=1)
    assert breaker.failed("epr", NOW) == NOW + second
    assert breaker.until("epr", NOW) is None
    breaker.failed("epr", NOW + second)
    assert not breaker.probing("epr", NOW + second)
    assert breaker.failed("epr", NOW + 2 * second) == NOW + 3 * second
    assert breaker.until("epr", NOW + 2 * second) == NOW + 3 * second
    assert not breaker.probing("epr", NOW + 2 * second)
    assert breaker.probing("epr", NOW + 3 * second)
    assert breaker.failed("epr", NOW + 3 * second) == NOW + 5 * second
    breaker.succeeded("epr")
    assert not breaker.probing("epr", NOW + 9 * second)


def test_a_wish_to_be_left_alone_is_granted_at_the_first_failure() -> None:
    breaker = Pauses(opens_after=3)
    assert breaker.failed("epr", NOW, 60.0) == NOW + timedelta(seconds=60)
    assert breaker.until("epr", NOW) == NOW + timedelta(seconds=60)


async def test_a_bell_rings_in_every_loop() -> None:
    bell = Bell()
    one, other = bell.listener(), bell.listener()
    bell.set()
    one.clear()
    assert other.is_set()
    assert bell.is_set()


class Turns:
    """Turns that answer as they are told; the last one stops the loop."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.stop = asyncio.Event()
        self.woken = asyncio.Event()
        self.due: datetime | None = None

    async def __call__(self) -> bool:
        answer = self.answers.pop(0)
        if not self.answers:
            self.stop.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def next_due(self) -> datetime | None:
        return self.due

    async def run(self, poll: timedelta = LONG) -> None:
        running = run_forever(
            self, stop=self.stop, woken=self.woken, clock=ClockDouble(NOW), next_due=self.next_due, poll=poll
        )
        await asyncio.wait_for(running, 5)


async def test_it_goes_on_at_once_while_there_is_more() -> None:
    await Turns(True, True, False).run()


async def test_it_wakes_when_woken() -> None:
    turns = Turns(False, False)
    asyncio.get_running_loop().call_later(0.01, turns.woken.set)

    await turns.run()


async def test_it_wakes_for_the_next_timer() -> None:
    turns = Turns(False, False)
    turns.due = NOW + timedelta(milliseconds=10)

    await turns.run()


async def test_what_is_due_but_was_left_is_not_asked_for_at_once_again() -> None:
    turns = Turns(False, False)
    turns.due = NOW - timedelta(days=1)

    loop = asyncio.get_running_loop()
    began = loop.time()
    await turns.run(poll=timedelta(milliseconds=50))

    assert loop.time() - began >= 0.04


async def test_it_stops_while_it_waits() -> None:
    turns = Turns(False, False)
    asyncio.get_running_loop().call_later(0.01, turns.stop.set)

    await turns.run()

    assert turns.answers == [False]


async def test_a_turn_that_fails_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []

    def no_wait(failures: int) -> timedelta:
        waited.append(failures)
        return timedelta(0)

    monkeypatch.setattr("fhirbridge.service.running.wait", no_wait)
    fault = RuntimeError("a fault of ours")
    turns = Turns(fault, fault, True, fault, False)

    await turns.run()

    assert turns.answers == []
    assert waited == [1, 2, 1]
