"""What happened before a service went live begins nothing: nobody is written to about a discharge of last year."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from fhirbridge.core.effects import Written
from fhirbridge.ports import Event, Resource
from fhirbridge.service import Service, Site
from tests.shipped import CALENDAR, shipped_pack
from tests.unit.stage import MAPPING, PATIENT, START, Stage, appointment

NAMES = ("rdash-disengagement", "inactivity-discharge", "discharge-planning", "twelve-point-discharge")
PACKS = tuple(shipped_pack(name) for name in (*NAMES, "therapy-commitment"))
LONG_AGO = START - timedelta(days=200)
STAY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}


def stage_that_follows_from(instant: Any) -> Stage:
    stage = Stage()
    packs = tuple(replace(pack, follow_from=instant) for pack in PACKS)
    stage.site = Site(epr=stage.epr, mapping=MAPPING, packs=packs, calendar=CALENDAR)
    stage.service = Service(stage.store, {"main": stage.site}, stage.clock)
    return stage


def episode(status: str, **period: str) -> Resource:
    patient = {"reference": "Patient/p1"}
    return {"resourceType": "EpisodeOfCare", "id": "e1", "status": status, "patient": patient, "period": period}


async def a_past(stage: Stage) -> None:
    """Two missed appointments, a stay and a discharge, all of long ago; nobody has told of any."""
    stage.clock.time = LONG_AGO
    patient = {"reference": "Patient/p1"}
    await stage.epr.update({"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"})
    await stage.epr.update(episode("finished", start="2024-01-05", end=LONG_AGO.isoformat()))
    stay = {"resourceType": "Encounter", "id": "s1", "status": "finished", "class": STAY, "subject": patient}
    period = {"start": (LONG_AGO - timedelta(days=40)).isoformat(), "end": LONG_AGO.isoformat()}
    await stage.epr.update({**stay, "period": period})
    await stage.epr.update(appointment("a0", "fulfilled", LONG_AGO - timedelta(days=60)))
    await stage.epr.update(appointment("a1", "noshow", LONG_AGO - timedelta(days=14)))
    await stage.epr.update(appointment("a2", "noshow", LONG_AGO - timedelta(days=7)))
    stage.clock.time = START


async def begun(stage: Stage) -> set[str]:
    for _ in range(20):
        if not await stage.service.digest() and not await stage.service.advance(await stage.service.due()):
            break
    effects = (await stage.store.load(PATIENT)).effects
    return {effect.key.action for effect in effects if isinstance(effect, Written)}


async def test_without_it_letters_go_out_about_a_discharge_of_long_ago() -> None:
    stage = stage_that_follows_from(None)
    await a_past(stage)
    await stage.notify(Event(type="Patient", id="p1"))
    assert "discharge-notice" in await begun(stage)


async def test_what_happened_before_begins_nothing() -> None:
    stage = stage_that_follows_from(START - timedelta(days=1))
    await a_past(stage)
    await stage.notify(Event(type="Patient", id="p1"))
    assert await begun(stage) == set()


async def test_what_happens_afterwards_does() -> None:
    stage = stage_that_follows_from(START - timedelta(days=1))
    await a_past(stage)
    await stage.enter(episode("active", start="2024-01-05"))
    await begun(stage)
    stage.clock.time += timedelta(hours=1)
    await stage.enter(episode("finished", start="2024-01-05", end=START.isoformat()))
    assert "discharge-notice" in await begun(stage)


@pytest.mark.parametrize("known_late", [False, True])
async def test_however_late_it_became_known(known_late: bool) -> None:
    """An EPR whose resources have no times gives everything as of the moment it is read."""
    stage = stage_that_follows_from(START - timedelta(days=1))
    await a_past(stage)
    if known_late:
        for reference in ("Appointment/a1", "Appointment/a2", "EpisodeOfCare/e1", "Encounter/s1"):
            resource = await stage.epr.read(reference)
            assert resource is not None
            await stage.epr.delete(reference)
            await stage.epr.update(resource)
    stage.epr.forgets = True
    await stage.notify(Event(type="Patient", id="p1"))
    assert await begun(stage) == set()


async def test_one_more_missed_appointment_lets_the_earlier_ones_count() -> None:
    """It is the row of misses that the policy is about, and the last of them is ours. The episode itself goes on."""
    stage = stage_that_follows_from(START - timedelta(days=1))
    await stage.low_risk_patient()
    assert await begun(stage) == {"check-in"}
    await stage.enter(appointment("a1", "noshow", START - timedelta(days=14)))
    await stage.enter(appointment("a2", "noshow", START - timedelta(days=7)))
    assert await begun(stage) == {"check-in"}

    await stage.enter(appointment("a3", "noshow", START - timedelta(hours=1)))
    assert "contact-patient" in await begun(stage)
