"""Every write of every type: valid FHIR, stable to the byte, and the same wherever it is checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from fhirbridge.core.decision import Amend, Create, Withdraw
from fhirbridge.core.effects import Amended, AnyEffect, Kind, Withdrawal, Written
from fhirbridge.core.own import fold
from fhirbridge.errors import Defect
from fhirbridge.fhir import canonical
from fhirbridge.fhir.render import Outgoing, logical_id, render, simulated, simulated_provenance
from tests.unit.fhir.conformance import faults
from tests.unit.fhir.writes import (
    AMENDED,
    CARE_PLAN,
    FLAG,
    GOLDEN,
    LATER,
    LETTER,
    NOW,
    OBLIGATIONS,
    SETTING,
    TASK,
    complete,
    every_write,
    shown,
    thing,
    withdraw,
)

EVERY = every_write()


@pytest.mark.parametrize("name", EVERY)
def test_is_written_as_it_always_was(name: str) -> None:
    assert shown(render(*EVERY[name])) == (GOLDEN / f"{name}.json").read_text()


@pytest.mark.parametrize("name", EVERY)
def test_survives_the_outbox(name: str) -> None:
    outgoing = render(*EVERY[name])
    assert msgspec.json.decode(msgspec.json.encode(outgoing), type=Outgoing) == outgoing


def test_every_golden_file_has_its_write() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_is_valid_fhir_before_and_after(name: str) -> None:
    write, setting = EVERY[name]
    outgoing = render(write, setting)
    about = next(each for each in OBLIGATIONS if each.identity == outgoing.identity)
    created = simulated(render(Create(about), replace(SETTING, handed_over=False)), NOW)
    stored = created if outgoing.verb == "create" else simulated(outgoing, LATER.now, created)
    assert faults(stored) == []
    assert faults(simulated_provenance(outgoing, NOW)) == []
    assert faults(outgoing.provenance) == []
    if outgoing.verb == "create":
        assert faults(outgoing.resource) == []
    elif name != "amend-Flag":  # a Flag has no room for the rows that ask for it
        assert stored["meta"]["versionId"] == "2"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda task: task.pop("intent"),
        lambda task: task.update(status="bogus"),
        lambda task: task.update(clause="rdash-5.3-contact"),
        lambda task: task["input"][0].pop("type"),
        lambda task: task.update(authoredOn="Monday"),
    ],
    ids=["no intent", "unknown status", "unknown element", "input without type", "no date"],
)
def test_the_judges_find_what_is_no_fhir(spoil: Callable[[dict[str, Any]], object]) -> None:
    task = json.loads(json.dumps(render(Create(TASK), SETTING).resource))
    spoil(task)
    assert faults(task)


@pytest.mark.parametrize("name", EVERY)
def test_every_write_says_what_it_is(name: str) -> None:
    write, setting = EVERY[name]
    outgoing = render(write, setting)
    assert outgoing.provenance["target"] == [{"reference": f"urn:uuid:{outgoing.identity}", "type": outgoing.type}]
    assert outgoing.provenance["policy"] == [TASK.canonical]
    assert "rdash-5.3-contact" in outgoing.provenance["reason"][0]["text"]
    assert all("/_history/" in entity["what"]["reference"] for entity in outgoing.provenance["entity"])
    if outgoing.verb == "create":
        assert outgoing.resource["identifier"] == [{"system": canonical.OBLIGATION, "value": outgoing.identity}]
        assert outgoing.resource["meta"]["profile"] == [canonical.profile(outgoing.type)]
        assert outgoing.resource["meta"]["tag"] == [{"system": canonical.ORIGIN, "code": "fhirbridge"}]


def write_code(outgoing_provenance: dict[str, Any]) -> str:
    return next(str(tag["code"]) for tag in outgoing_provenance["meta"]["tag"] if tag["system"] == canonical.WRITE)


def test_each_write_has_a_provenance_of_its_own() -> None:
    codes = [write_code(render(*EVERY[name]).provenance) for name in EVERY if "handed-over" not in name]
    assert len(set(codes)) == len(codes)
    once, twice = Amend(thing(TASK), AMENDED), Amend(thing(AMENDED), replace(AMENDED, priority="stat"))
    assert write_code(render(once, LATER).provenance) != write_code(render(twice, LATER).provenance)


def test_the_same_write_has_the_same_provenance_whenever_it_is_decided() -> None:
    for write, setting in EVERY.values():
        again = replace(setting, now=LATER.now)
        assert write_code(render(write, setting).provenance) == write_code(render(write, again).provenance)


def test_a_change_to_and_fro_and_to_again_is_three_writes() -> None:
    created = Written(
        identity=TASK.identity,
        at=NOW,
        key=TASK.key,
        run=TASK.run,
        pathway="low",
        steps=TASK.steps,
        since=TASK.since,
        due=TASK.due,
        evidence=TASK.evidence,
    )
    effects: list[AnyEffect] = [created]
    codes = []
    for wanted in (AMENDED, TASK, AMENDED, TASK):
        thing = fold(effects).things[created.identity]
        codes.append(write_code(render(Amend(thing, wanted), SETTING).provenance))
        effects.append(
            Amended(
                identity=thing.identity,
                at=NOW,
                steps=wanted.steps,
                due=wanted.due,
                priority=wanted.priority,
                evidence=wanted.evidence,
            )
        )
    assert len(set(codes)) == len(codes)


def test_a_withdrawal_without_evidence_cites_what_the_thing_was_written_for() -> None:
    provenance = render(Withdraw(thing(TASK), Withdrawal.SUPERSEDED), LATER).provenance
    assert [entity["what"]["reference"] for entity in provenance["entity"]] == [
        "Appointment/a1/_history/2",
        "Appointment/a2/_history/3",
    ]


@pytest.mark.parametrize("reason", Withdrawal)
def test_every_reason_to_withdraw_has_words(reason: Withdrawal) -> None:
    why = render(withdraw(TASK, reason), LATER).resource["statusReason"]
    assert why["coding"][0]["code"] == reason.value
    assert why["text"].endswith("is now recorded as attended.")


def test_the_dry_run_resolves_what_refers_to_each_other() -> None:
    task = render(Create(TASK), SETTING)
    plan = render(Create(CARE_PLAN), SETTING)
    assert (task.depends, plan.depends) == ((CARE_PLAN.identity,), (TASK.identity,))
    stored_task, stored_plan = simulated(task, NOW), simulated(plan, NOW)
    assert stored_task["id"] == TASK.identity
    assert stored_task["meta"]["lastUpdated"] == "2026-03-28T10:05:00Z"
    assert stored_task["basedOn"][0]["reference"] == f"CarePlan/{stored_plan['id']}"
    assert stored_plan["activity"][0]["reference"]["reference"] == f"Task/{stored_task['id']}"
    provenance = simulated_provenance(task, NOW)
    assert provenance["id"] == write_code(provenance)
    assert provenance["target"][0]["reference"] == f"Task/{stored_task['id']}"
    assert "urn:uuid:" not in json.dumps([stored_task, stored_plan, provenance])


def test_the_dry_run_counts_versions_and_keeps_what_ended() -> None:
    created = simulated(render(Create(TASK), SETTING), NOW)
    closed = simulated(render(complete(TASK), LATER), LATER.now, created)
    assert (created["meta"]["versionId"], closed["meta"]["versionId"]) == ("1", "2")
    assert closed["meta"]["lastUpdated"] == "2026-03-30T10:05:00Z"
    assert simulated(render(withdraw(TASK), LATER), LATER.now, closed) is closed
    assert simulated(render(Create(TASK), LATER), LATER.now, closed) is closed


def test_a_change_to_nothing_is_our_own_mistake() -> None:
    with pytest.raises(Defect, match="changed before it was created"):
        simulated(render(withdraw(TASK), LATER), NOW)


def test_an_identity_that_is_no_id_is_our_own_mistake() -> None:
    assert logical_id(TASK.identity) == TASK.identity
    with pytest.raises(Defect, match="cannot be a FHIR id"):
        logical_id("Patient/p1 contact")


@pytest.mark.parametrize("about", [FLAG, CARE_PLAN])
def test_what_begins_does_not_begin_after_it_is_written(about: Any) -> None:
    early = replace(SETTING, now=about.since.replace(hour=9))
    assert render(Create(about), early).resource["period"]["start"] == "2026-03-27T09:00:00+00:00"
    assert render(Create(about), SETTING).resource["period"]["start"] == "2026-03-27T14:00:00+00:00"


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Withdrawal.RE_ENGAGED, "completed"),
        (Withdrawal.DISCHARGED, "completed"),
        (Withdrawal.CORRECTED, "revoked"),
        (Withdrawal.SUPERSEDED, "revoked"),
        (Withdrawal.MERGED, "revoked"),
        (Withdrawal.NOT_NEEDED, "revoked"),
    ],
)
def test_a_plan_that_ran_its_course_is_completed(reason: Withdrawal, status: str) -> None:
    elements = render(withdraw(CARE_PLAN, reason), LATER).resource
    assert (elements["status"], elements["period"]) == (status, {"end": "2026-03-30T11:05:00+01:00"})


def test_types_are_those_of_the_obligations() -> None:
    assert [render(Create(each), SETTING).type for each in OBLIGATIONS] == [kind.value for kind in Kind]
    assert LETTER.kind is Kind.COMMUNICATION
