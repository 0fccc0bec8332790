"""The loop that does everything that nobody waits for.

There is one loop for each EPR, so that a slow one holds up nobody else: a turn empties its inbox, looks at its patients
who are due, and delivers. Between turns it sleeps until the next
timer, until somebody wakes it, or until it is time to look all the same: rows that another process wrote ring no bell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from fhirbridge.ports import Clock
from fhirbridge.service.measures import FAILURES
from fhirbridge.service.pauses import wait

Turn = Callable[[], Awaitable[bool]]
"""One round of work; whether there may be more of it at once."""

_log = structlog.get_logger(__name__)


class Bell(asyncio.Event):
    """Rings in every loop: each has a listener of its own, so that none can silence it for another."""

    def __init__(self) -> None:
        super().__init__()
        self._listeners: list[asyncio.Event] = []

    def listener(self) -> asyncio.Event:
        """What is set whenever the bell is, for one loop to clear."""
        self._listeners.append(asyncio.Event())
        return self._listeners[-1]

    def set(self) -> None:
        """Ring."""
        super().set()
        for listener in self._listeners:
            listener.set()


async def run_forever(
    turn: Turn,
    *,
    stop: asyncio.Event,
    woken: asyncio.Event,
    clock: Clock,
    next_due: Callable[[], Awaitable[datetime | None]],
    poll: timedelta,
) -> None:
    """Take turns until `stop` is set. A turn that fails is logged and tried again, ever more slowly."""
    failures = 0
    while not stop.is_set():
        woken.clear()
        try:
            more = await turn()
            due = await next_due()
        except Exception as error:
            failures += 1
            FAILURES.labels("turn", type(error).__name__).inc()
            _log.exception("a turn failed; it will be tried again", failures=failures)
            await either(stop, stop, wait(failures).total_seconds())
            continue
        failures = 0
        if not more:
            await either(stop, woken, _until(due, clock.now(), poll))


def _until(due: datetime | None, now: datetime, poll: timedelta) -> float:
    """Seconds to sleep. What is due and was left by the turn is held or paused: no use in asking at once again."""
    return (min(poll, due - now) if due and due > now else poll).total_seconds()


async def either(stop: asyncio.Event, woken: asyncio.Event, seconds: float) -> None:
    """Wait for one of the two, or so long."""
    waits = [asyncio.ensure_future(event.wait()) for event in {stop, woken}]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
