"""What staff change is theirs: how a change is laid over what they did."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fhirbridge.core.decision import Amend, Create
from fhirbridge.errors import Defect
from fhirbridge.fhir.merge import merge
from fhirbridge.fhir.render import render, simulated
from tests.unit.fhir.writes import AMENDED, FLAG, LATER, LETTER, NOW, SETTING, TASK, amend, complete, thing, withdraw

AMENDMENT = render(Amend(thing(TASK), AMENDED), LATER)


def task(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(simulated(render(Create(TASK), SETTING), NOW)) | changes


def amended(current: dict[str, Any]) -> dict[str, Any]:
    return merge(current, AMENDMENT.resource, AMENDMENT.before)


@pytest.mark.parametrize("status", ["completed", "cancelled", "failed", "rejected", "entered-in-error"])
def test_what_has_ended_is_left_alone(status: str) -> None:
    ended = task(status=status)
    assert amended(ended) is ended
    for write in (complete(TASK), withdraw(TASK)):
        assert merge(ended, render(write, LATER).resource) is ended


@pytest.mark.parametrize("status", ["received", "accepted", "in-progress", "on-hold"])
def test_what_is_under_way_moves_on(status: str) -> None:
    assert amended(task(status=status))["status"] == status
    assert merge(task(status=status), render(withdraw(TASK), LATER).resource)["status"] == "cancelled"


def test_a_status_nobody_knows_is_not_moved_on_from() -> None:
    odd = merge(task(status="parked"), render(withdraw(TASK), LATER).resource)
    assert odd["status"] == "parked"
    assert "statusReason" not in odd


def test_an_amendment_tightens_and_cites() -> None:
    changed = amended(task())
    assert changed["priority"] == "urgent"
    assert changed["restriction"]["period"]["end"] == "2026-03-30T10:00:00+01:00"
    assert changed["description"].endswith("by Monday 30 March 2026 at 10:00.")
    assert changed["lastModified"] == "2026-03-30T11:05:00+01:00"
    assert [each["valueString"] for each in changed["input"][:2]] == ["rdash-5.3-contact", "rdash-5.2-attempts"]


def test_a_due_date_that_a_person_set_stays_and_so_do_the_words_for_it() -> None:
    moved = task(restriction={"period": {"end": "2026-04-02T17:00:00+01:00"}}, description="Ring on Thursday.")
    changed = amended(moved)
    assert changed["restriction"] == moved["restriction"]
    assert changed["description"] == "Ring on Thursday."
    assert changed["priority"] == "urgent"


def test_a_priority_that_a_person_set_stays() -> None:
    assert amended(task(priority="stat"))["priority"] == "stat"


def test_the_same_instant_in_another_offset_is_no_change() -> None:
    shifted = task(restriction={"period": {"end": "2026-03-31T22:59:59Z"}})
    assert amended(shifted)["restriction"]["period"]["end"] == "2026-03-30T10:00:00+01:00"


def test_a_due_date_without_time_is_a_persons() -> None:
    dated = task(restriction={"period": {"end": "2026-04"}})
    assert amended(dated)["restriction"] == dated["restriction"]


def test_notes_owner_and_outputs_of_staff_stay() -> None:
    theirs: dict[str, Any] = {
        "note": [{"text": "Rang twice."}],
        "owner": {"reference": "Practitioner/own"},
        "output": [{"type": {"text": "call"}, "valueString": "mobile off"}],
    }
    done = merge(task(**theirs), render(complete(TASK), LATER).resource)
    assert (done["note"], done["owner"]) == (theirs["note"], theirs["owner"])
    assert [each["type"]["text"] for each in done["output"]] == ["call", "answered-by", "outcome"]


def test_inputs_of_staff_stay() -> None:
    own = {"type": {"coding": [{"system": "https://trust.example/input", "code": "room"}]}, "valueString": "4"}
    current = task()
    current["input"].append(own)
    assert own in amended(current)["input"]
    assert len(amended(current)["input"]) == len(AMENDMENT.resource["input"]) + 1


def test_doing_it_twice_changes_nothing_more() -> None:
    once = amended(task())
    assert merge(once, AMENDMENT.resource, AMENDMENT.before) is once
    letter = simulated(render(Create(LETTER), SETTING), NOW)
    change = render(amend(LETTER), LATER)
    twice = merge(merge(letter, change.resource, change.before), change.resource)
    assert [each["time"] for each in twice["note"]] == ["2026-03-28T10:05:00+00:00"], "the reason is noted once"


def test_a_period_keeps_its_start() -> None:
    flag = simulated(render(Create(FLAG), SETTING), NOW)
    ended = merge(flag, render(withdraw(FLAG), LATER).resource)
    assert ended["period"] == {"start": "2026-03-27T14:00:00+00:00", "end": "2026-03-30T11:05:00+01:00"}


def test_what_can_only_be_known_later_is_still_added() -> None:
    sent = {"resourceType": "Communication", "status": "completed", "sent": "2026-03-28T10:05:00Z"}
    arrived = merge(sent, {"received": "2026-03-28T12:00:00Z", "priority": "stat"})
    assert arrived == sent | {"received": "2026-03-28T12:00:00Z"}
    assert merge(arrived, {"received": "2026-03-29T12:00:00Z"}) is arrived


def test_identity_is_never_changed_and_the_arguments_are_left_as_they_were() -> None:
    current, elements = task(), {"id": "x", "identifier": [], "meta": {}, "priority": "stat"}
    kept = copy.deepcopy((current, elements))
    changed = merge(current, elements)
    assert (current, elements) == kept
    assert (changed["id"], changed["identifier"], changed["meta"]) == tuple(
        current[name] for name in ("id", "identifier", "meta")
    )


def test_a_type_the_service_does_not_write_is_our_own_mistake() -> None:
    with pytest.raises(Defect, match="Observation"):
        merge({"resourceType": "Observation", "status": "final"}, {"status": "amended"})
