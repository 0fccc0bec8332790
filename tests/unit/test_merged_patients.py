"""Merged and deceased patients, the whole way over the doubles: from the EPR's links to what stands there after."""

from __future__ import annotations

from datetime import timedelta

from msgspec import structs

from fhirbridge.core.vocabulary import BASE
from fhirbridge.packs.loading import load_pack
from fhirbridge.ports import Resource
from fhirbridge.service.migrating import Which, migration
from tests.shipped import CALENDAR
from tests.unit.stage import PACK, PATIENT, START, Stage, appointment

SURVIVOR = {"resourceType": "Patient", "id": "p2", "active": True, "birthDate": "1980-01-01"}
OTHERWISE = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"}
REPLACED = {
    **OTHERWISE,
    "active": False,
    "link": [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}],
}


async def tasks(stage: Stage, patient: str) -> list[tuple[str, str]]:
    """Status and reason of each Task for the patient, oldest first."""
    found = [one async for one in stage.epr.search("Task", {"patient": patient})]
    reasons = [one.get("statusReason", {}).get("coding", [{"code": ""}])[0]["code"] for one in found]
    return [(one["status"], reason) for one, reason in zip(found, reasons, strict=True)]


async def told(stage: Stage, patient: str) -> list[tuple[str, str]]:
    """What was told to whom about the patient."""
    found = [one async for one in stage.epr.search("Communication", {"patient": patient})]
    return sorted((one["category"][0]["coding"][0]["code"], one["extension"][0]["valueCode"]) for one in found)


async def outreach() -> Stage:
    """A patient who has missed two appointments, and whom somebody is asked to phone."""
    stage = Stage()
    await stage.low_risk_patient()
    await stage.two_misses()
    await stage.settle()
    assert await tasks(stage, "Patient/p1") == [("requested", "")]
    stage.clock.time += timedelta(hours=1)
    return stage


async def test_what_was_written_to_a_replaced_record_goes_on_under_the_one_that_replaces_it() -> None:
    stage = await outreach()
    await stage.epr.update(SURVIVOR)  # of which nobody tells
    await stage.enter(REPLACED)
    await stage.settle()

    assert await tasks(stage, "Patient/p1") == [("cancelled", "merged")]
    assert await tasks(stage, "Patient/p2") == [("requested", "")]


async def test_the_record_that_goes_on_may_be_the_one_to_say_so() -> None:
    stage = await outreach()
    await stage.enter({**SURVIVOR, "link": [{"type": "replaces", "other": {"reference": "Patient/p1"}}]})
    await stage.settle()

    assert await tasks(stage, "Patient/p1") == [("cancelled", "merged")]
    assert await tasks(stage, "Patient/p2") == [("requested", "")]


async def test_a_merge_that_is_taken_back_is_as_if_it_had_never_been() -> None:
    stage = await outreach()
    await stage.enter(SURVIVOR)
    await stage.enter(REPLACED)
    await stage.settle()
    stage.clock.time += timedelta(hours=1)
    await stage.enter(OTHERWISE)
    await stage.settle()

    assert sorted(await tasks(stage, "Patient/p1")) == [("cancelled", "merged"), ("requested", "")]
    assert await tasks(stage, "Patient/p2") == [("cancelled", "corrected")]


async def test_what_becomes_known_under_the_replaced_record_counts_for_the_other() -> None:
    stage = await outreach()
    await stage.enter(SURVIVOR)
    await stage.enter(REPLACED)
    await stage.settle()
    stage.clock.time += timedelta(hours=1)
    await stage.enter(appointment("a2", "fulfilled", START - timedelta(hours=1)))
    await stage.settle()

    assert await tasks(stage, "Patient/p2") == [("cancelled", "corrected")]


async def test_what_staff_answered_under_the_replaced_record_is_not_asked_for_again() -> None:
    stage = await outreach()
    [task] = await stage.tasks()
    output = {"coding": [{"system": f"{BASE}/CodeSystem/outcome", "code": "no-answer"}]}
    answer = {"type": {"text": "outcome"}, "valueCodeableConcept": output}
    await stage.enter({**task, "status": "completed", "output": [answer]})
    await stage.settle()
    assert await told(stage, "Patient/p1") == [("opt-in-letter", "patient")]

    await stage.enter(SURVIVOR)
    await stage.enter(REPLACED)
    await stage.settle()
    assert await tasks(stage, "Patient/p2") == []
    assert await told(stage, "Patient/p2") == []

    stage.clock.time += timedelta(weeks=4)
    await stage.settle()
    assert await tasks(stage, "Patient/p1") == [("completed", "")]
    assert set(await tasks(stage, "Patient/p2")) == {("requested", "")}


async def test_an_appointment_that_is_moved_to_somebody_else_is_nobody_s_miss_here() -> None:
    stage = await outreach()
    moved: Resource = appointment("a2", "noshow", START - timedelta(hours=1))
    moved["participant"] = [{"actor": {"reference": "Patient/p3"}, "status": "accepted"}]
    await stage.enter(moved)
    await stage.settle()

    assert await tasks(stage, "Patient/p1") == [("cancelled", "corrected")]


async def test_an_inactive_record_that_names_no_other_changes_nothing() -> None:
    stage = await outreach()
    await stage.enter({**OTHERWISE, "active": False})
    await stage.settle()

    assert await tasks(stage, "Patient/p1") == [("requested", "")]


async def test_when_the_patient_has_died_the_gp_and_the_team_are_told_once() -> None:
    stage = await outreach()
    await stage.enter({**OTHERWISE, "deceasedDateTime": START.isoformat()})
    await stage.settle()
    stage.clock.time += timedelta(days=30)
    await stage.settle()

    assert await tasks(stage, "Patient/p1") == [("cancelled", "deceased")]
    assert await told(stage, "Patient/p1") == [("care-change-notice", "gp"), ("care-change-notice", "team-manager")]


async def test_the_runs_of_a_replaced_record_are_not_moved_to_another_edition() -> None:
    stage = await outreach()
    packs = (load_pack(PACK.name, calendar=CALENDAR, overrides={"opens": 8}),)
    elsewhere = structs.replace(stage.site, packs=packs)
    known = await stage.store.load(PATIENT)
    replaced = structs.replace(known, replaced_by="Patient/p2")

    assert migration(elsewhere, known, Which(PACK.name), stage.clock.now()) is not None
    assert migration(elsewhere, replaced, Which(PACK.name), stage.clock.now()) is None
