"""What a Task tells the person who has to act."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from fhirbridge.core.decision import Amend, Create, Detail
from fhirbridge.core.facts import Source
from fhirbridge.fhir import canonical
from fhirbridge.fhir.directory import Directory
from fhirbridge.fhir.render import Rendering, render
from tests.unit.fhir.writes import AMENDED, LATER, NOW, SETTING, TASK, complete, thing


def inputs(task: dict[str, Any], code: str) -> list[Any]:
    values = []
    for each in task["input"]:
        if each["type"]["coding"][0] == {"system": canonical.TASK_INPUT, "code": code, "display": code.capitalize()}:
            values += [value for name, value in each.items() if name.startswith("value")]
    return values


@pytest.mark.parametrize(
    ("due", "end", "words"),
    [
        (datetime(2026, 3, 2, 10, tzinfo=UTC), "2026-03-02T10:00:00+00:00", "by Monday 2 March 2026 at 10:00."),
        (datetime(2026, 7, 2, 10, tzinfo=UTC), "2026-07-02T11:00:00+01:00", "by Thursday 2 July 2026 at 11:00."),
        (
            datetime(2026, 3, 31, 22, 59, 59, tzinfo=UTC),
            "2026-03-31T23:59:59+01:00",
            "by the end of Tuesday 31 March 2026.",
        ),
    ],
)
def test_the_deadline_is_in_local_time(due: datetime, end: str, words: str) -> None:
    task = render(Create(replace(TASK, due=due)), SETTING).resource
    assert task["restriction"]["period"]["end"] == end
    assert task["description"].endswith(words)


def test_without_a_deadline_none_is_made_up() -> None:
    task = render(Create(replace(TASK, due=None, description="")), SETTING).resource
    assert "restriction" not in task
    assert task["description"] == "Phone the patient and offer another appointment."


def test_the_inputs_give_the_account() -> None:
    asked = replace(TASK, clauses=("row-1", "row-2", "row-1"), evidence=(*TASK.evidence, *TASK.evidence))
    task = render(Create(asked), SETTING).resource
    assert inputs(task, "clause") == ["row-1", "row-2"]
    assert inputs(task, "because") == [
        "The appointment on Monday 2 March 2026 at 10:00 was missed. "
        "The appointment on Friday 27 March 2026 at 14:00 was missed."
    ]
    assert inputs(task, "evidence") == [
        {"reference": "Appointment/a1/_history/2"},
        {"reference": "Appointment/a2/_history/3"},
    ]


def test_what_the_record_holds_is_told_under_its_headings() -> None:
    session = Detail("last session", "Monday 2 February 2026", (Source("Appointment", "a0", "4"),))
    goals = Detail("goals", "not held in the record")
    task = render(Create(replace(TASK, details=(session, goals))), SETTING).resource
    told = [each for each in task["input"] if each["type"]["coding"][0]["code"] == "detail"]
    assert [(each["type"]["text"], each["valueString"]) for each in told] == [
        ("last session", "Monday 2 February 2026"),
        ("goals", "not held in the record"),
    ]
    assert inputs(task, "evidence")[-1] == {"reference": "Appointment/a0/_history/4"}


def test_the_owner_is_whom_the_record_names_first() -> None:
    named = replace(SETTING, holders={"lead-professional": ("Practitioner/own",)})
    assert render(Create(TASK), named).resource["owner"]["reference"] == "Practitioner/own"
    assert render(Create(TASK), SETTING).resource["owner"]["reference"] == "CareTeam/north"


def test_an_owner_nobody_knows_stays_a_role() -> None:
    task = render(Create(TASK), Rendering(now=NOW, directory=Directory())).resource
    assert "owner" not in task
    assert task["performerType"][0]["coding"][0]["code"] == "lead-professional"
    assert task["performerType"][0]["text"] == "Lead professional"


def test_without_a_plan_or_trigger_it_refers_to_none() -> None:
    outgoing = render(Create(replace(TASK, plan=None, trigger=None)), SETTING)
    assert outgoing.depends == ()
    assert {"basedOn", "focus"}.isdisjoint(outgoing.resource)


def test_an_amendment_knows_what_was_written_before() -> None:
    outgoing = render(Amend(thing(TASK), AMENDED), LATER)
    assert outgoing.before == {"priority": "routine", "restriction.period.end": "2026-03-31T23:59:59+01:00"}
    assert outgoing.resource["restriction"]["period"]["end"] == "2026-03-30T10:00:00+01:00"
    assert inputs(outgoing.resource, "clause") == ["rdash-5.3-contact", "rdash-5.2-attempts"]
    assert {"status", "owner", "identifier", "resourceType"}.isdisjoint(outgoing.resource)


def test_completion_names_the_answer_and_its_outcome() -> None:
    answered_by, outcome = render(complete(TASK), LATER).resource["output"]
    assert answered_by["type"]["coding"][0]["code"] == "answered-by"
    assert answered_by["valueReference"] == {"reference": "Task/t9", "type": "Task"}
    assert outcome["valueCodeableConcept"]["coding"] == [
        {"system": canonical.OUTCOME, "code": "contact-made", "display": "Contact made"}
    ]


def test_a_completion_that_nothing_else_answers_has_no_output() -> None:
    bare = replace(complete(TASK), obligation=TASK)
    assert render(bare, LATER).resource == {"status": "completed", "lastModified": "2026-03-30T11:05:00+01:00"}
