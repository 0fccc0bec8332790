"""A plan shows its points, each with its state, and its Tasks; what people set in it stays."""

from __future__ import annotations

import copy
from typing import Any

from msgspec.structs import replace

from fhirbridge.core.decision import Amend, Create, Withdraw
from fhirbridge.core.effects import Point, Withdrawal
from fhirbridge.fhir.merge import merge
from fhirbridge.fhir.render import render, resolved, simulated
from tests.unit.fhir.conformance import faults
from tests.unit.fhir.writes import CARE_PLAN, LATER, NOW, SETTING, thing

BEGUN = (Point("1", "Planning", "in-progress"), Point("2", "Funding", "not-started"))
FURTHER = (Point("1", "Planning", "completed"), Point("2", "Funding", "in-progress"))
PLAN = replace(CARE_PLAN, points=BEGUN, activities=("t1",))
WRITTEN = thing(PLAN, points=BEGUN, activities=("t1",))
ON = replace(PLAN, points=FURTHER, activities=("t1", "t2"))


def plan() -> dict[str, Any]:
    return copy.deepcopy(simulated(render(Create(PLAN), SETTING), NOW))


def went_on(current: dict[str, Any]) -> dict[str, Any]:
    amendment = render(Amend(WRITTEN, ON), LATER)
    return merge(current, resolved(amendment.resource), amendment.before)


def told(stored: dict[str, Any]) -> list[str]:
    """Each activity as `reference`, or as `description is status`."""
    lines = []
    for each in stored["activity"]:
        assert len(each.keys() & {"detail", "reference"}) == 1, "cpl-3: a detail or a reference, never both"
        detail = each.get("detail")
        lines.append(f"{detail['description']} is {detail['status']}" if detail else each["reference"]["reference"])
    return lines


def test_points_come_first_and_tasks_follow() -> None:
    assert told(plan()) == ["Point 1: Planning is in-progress", "Point 2: Funding is not-started", "Task/t1"]
    assert faults(plan()) == []


def test_points_change_their_state_in_place_and_new_tasks_are_added() -> None:
    assert told(went_on(plan())) == [
        "Point 1: Planning is completed",
        "Point 2: Funding is in-progress",
        "Task/t1",
        "Task/t2",
    ]


def test_a_state_that_a_person_set_stays_and_so_does_what_they_added() -> None:
    theirs = plan()
    theirs["activity"][1]["detail"]["status"] = "on-hold"
    theirs["activity"].append({"detail": {"status": "scheduled", "description": "Look at the flat together"}})
    assert told(went_on(theirs)) == [
        "Point 1: Planning is completed",
        "Point 2: Funding is on-hold",
        "Task/t1",
        "Look at the flat together is scheduled",
        "Task/t2",
    ]


def test_two_states_are_two_writes() -> None:
    one, other = (render(Amend(WRITTEN, replace(ON, points=points)), LATER).provenance for points in (BEGUN, FURTHER))
    assert one["meta"]["tag"] != other["meta"]["tag"]


def test_points_left_open_are_closed_with_the_plan() -> None:
    ended = render(Withdraw(WRITTEN, Withdrawal.DISCHARGED), LATER)
    assert told(merge(plan(), ended.resource, ended.before)) == [
        "Point 1: Planning is stopped",
        "Point 2: Funding is cancelled",
        "Task/t1",
    ]
