"""The twelve-point plan and its Tasks name each other, whatever becomes of the stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhirbridge.casebook.__main__ import CASES, setting
from fhirbridge.casebook.playing import pack_of, play
from fhirbridge.casebook.reading import case_files, read_case
from fhirbridge.fhir.r4 import Resource

PACK = "twelve-point-discharge"
STAYS = [file for file in case_files(CASES) if file.parent.name == PACK and " stay: " in file.read_text()]
WITH_ALL = setting()


def written(file: Path, resource_type: str) -> list[Resource]:
    """The last versions of one type that the case comes to."""
    case = read_case(file, WITH_ALL.calendar)
    last = (kept[-1].resource for kept in play(case, WITH_ALL, pack_of(case, WITH_ALL)).written.values())
    return [resource for resource in last if resource["resourceType"] == resource_type]


def plan_of(task: Resource) -> str:
    (plan,) = task.get("basedOn", [{"reference": ""}])
    return str(plan["reference"])


@pytest.mark.parametrize("file", STAYS, ids=lambda file: file.stem)
def test_a_plan_lists_every_task_that_is_based_on_it(file: Path) -> None:
    tasks = written(file, "Task")
    for plan in written(file, "CarePlan"):
        listed = [each["reference"]["reference"] for each in plan["activity"] if "reference" in each]
        mine = {f"Task/{task['id']}" for task in tasks if plan_of(task) == f"CarePlan/{plan['id']}"}
        assert mine
        assert mine <= set(listed)
        assert len(listed) == len(set(listed))
        assert sum("detail" in each for each in plan["activity"]) == 12


def test_what_comes_up_later_in_the_stay_joins_the_plan_and_what_is_due_after_it_does_not() -> None:
    later = {task["code"]["coding"][0]["code"]: plan_of(task) for task in written(file_of("8-accommodation"), "Task")}
    assert later["confirm-funding"] == later["chronology"] != ""
    after = {
        task["code"]["coding"][0]["code"] for task in written(file_of("12-discharge"), "Task") if not plan_of(task)
    }
    assert after == {"mdt-follow-up", "follow-up-meeting"}


def file_of(name: str) -> Path:
    return CASES / PACK / f"{name}.yaml"
