"""Trying again what an EPR refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from fhirbridge.errors import EprUnavailable
from fhirbridge.fhir.directory import Contact, Directory, TeamEntry
from fhirbridge.ports import Delivery, Receipt
from fhirbridge.service.replaying import dead_letters, replay
from tests.unit.stage import START, Stage, appointment


@pytest.fixture
async def stage() -> Stage:
    """A patient whose Task the EPR refused."""
    stage = Stage()
    await stage.low_risk_patient()
    await stage.two_misses()
    taken = stage.epr.deliver

    async def refuse(deliveries: list[Delivery], references: dict[str, str]) -> list[Receipt]:
        return [Receipt(row=one.row, refused="no such owner") for one in deliveries]

    stage.epr.deliver = refuse  # type: ignore[method-assign]
    await stage.settle()
    stage.epr.deliver = taken  # type: ignore[method-assign]
    return stage


async def test_it_is_written_after_all(stage: Stage) -> None:
    letters = await dead_letters(stage.store)
    became = await replay(stage.store, {"main": stage.site}, letters, stage.clock)
    assert [(one.type, one.became) for one in became] == [("Task", "delivered")]
    assert len(await stage.tasks()) == 1
    assert await dead_letters(stage.store) == []


async def test_what_is_created_is_rendered_anew(stage: Stage) -> None:
    team = TeamEntry(
        name="Desk", services=(), roles={"lead-professional": Contact(display="Desk", reference="Practitioner/desk")}
    )
    site = replace(stage.site, directory=Directory(teams=(team,), roles=team.roles))
    stage.clock.time += timedelta(hours=2)
    await replay(stage.store, {"main": site}, await dead_letters(stage.store), stage.clock)
    (task,) = await stage.tasks()
    assert task["owner"]["reference"] == "Practitioner/desk"


async def test_what_has_been_withdrawn_since_comes_to_life_only_to_be_withdrawn(stage: Stage) -> None:
    stage.clock.time += timedelta(hours=2)
    await stage.enter(appointment("a2", "fulfilled", START - timedelta(hours=1)))
    for _ in range(12):
        # What is not there may be shown later: a change to it is tried for a while.
        await stage.settle()
        stage.clock.time += timedelta(minutes=10)
    first, second = await dead_letters(stage.store)
    assert (first.outgoing.verb, second.outgoing.verb) == ("create", "change")
    became = await replay(stage.store, {"main": stage.site}, [first], stage.clock)
    assert [one.became for one in became] == ["delivered", "delivered"]
    (task,) = await stage.tasks()
    assert task["status"] == "cancelled"


async def test_a_change_that_still_waits_follows_what_is_replayed(stage: Stage) -> None:
    stage.clock.time += timedelta(hours=2)
    await stage.enter(appointment("a2", "fulfilled", START - timedelta(hours=1)))
    await stage.settle()
    await replay(stage.store, {"main": stage.site}, await dead_letters(stage.store), stage.clock)
    stage.clock.time += timedelta(minutes=10)
    await stage.settle()
    (task,) = await stage.tasks()
    assert task["status"] == "cancelled"


async def test_what_is_refused_again_says_why(stage: Stage) -> None:
    async def refuse(deliveries: list[Delivery], references: dict[str, str]) -> list[Receipt]:
        return [Receipt(row=one.row, refused="still no such owner") for one in deliveries]

    stage.epr.deliver = refuse  # type: ignore[method-assign]
    (became,) = await replay(stage.store, {"main": stage.site}, await dead_letters(stage.store), stage.clock)
    assert (became.became, became.reason) == ("refused", "still no such owner")


async def test_while_the_epr_is_away_it_waits(stage: Stage) -> None:
    stage.epr.refuses_delivery = [EprUnavailable("down")]
    (became,) = await replay(stage.store, {"main": stage.site}, await dead_letters(stage.store), stage.clock)
    assert became.became == "waiting"
    stage.clock.time += timedelta(seconds=5)
    await stage.settle()
    assert len(await stage.tasks()) == 1


async def test_what_is_of_an_epr_that_is_not_configured_is_left_alone(stage: Stage) -> None:
    letters = await dead_letters(stage.store)
    assert await replay(stage.store, {}, letters, stage.clock) == []
    assert await dead_letters(stage.store, eprs=["other"]) == []
    assert await dead_letters(stage.store, rows=[letters[0].row]) == letters
