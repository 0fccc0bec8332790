"""`fhirbridge report --kind caseload`: from files of records."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fhirbridge.cli import app
from fhirbridge.shipped import folder
from tests.unit.simulated_record import Resource, stored

UNTIL = "2026-02-03T12:00:00Z"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env={"FHIRBRIDGE_DATABASE_URL": ""})


def report(*arguments: object) -> Result:
    return run("report", "--kind", "caseload", "--until", UNTIL, *arguments)


def admitted(patient: str) -> list[Resource]:
    subject = {"reference": f"Patient/{patient}"}
    stay: Resource = {"status": "in-progress", "class": {"code": "IMP"}, "subject": subject}
    at = "2026-02-02T10:00:00Z"
    return [
        stored("Patient", patient, "2026-01-01T09:00:00Z", birthDate="1980-01-01"),
        stored("Encounter", f"{patient}-s", at, **stay, period={"start": at}),
    ]


def written(path: Path, resources: Iterable[Resource]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in resources))
    return path


def taken(task: Resource, owner: str | None, status: str = "accepted") -> Resource:
    """A Task of ours as the EPR has it since somebody took it over, or closed it."""
    mine = {"owner": {"reference": owner}} if owner else {}
    return task | {"status": status, "meta": {"versionId": "2", "lastUpdated": "2026-02-03T10:00:00Z"}} | mine


def asked(path: Path, people: Iterable[str]) -> tuple[list[Resource], dict[str, list[Resource]]]:
    """The record of these people, and the Tasks that the service asks their coordinators to do."""
    record = [one for name in people for one in admitted(name)]
    done = run("simulate", written(path, record), "--pack", "twelve-point-discharge", "--until", UNTIL)
    assert done.exit_code == 0, done.output
    tasks: dict[str, list[Resource]] = {}
    for one in map(json.loads, done.stdout.splitlines()):
        if one["resourceType"] == "Task" and one["performerType"][0]["coding"][0]["code"] == "discharge-coordinator":
            tasks.setdefault(one["for"]["reference"].removeprefix("Patient/"), []).append(one)
    return record, tasks


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Sixteen people with c1, two with c2, one of these with a task that nobody owns; p19 with nobody."""
    path = tmp_path / "record.ndjson"
    names = [f"p{number:02}" for number in range(1, 20)]
    found, tasks = asked(path, names)
    for name in names[:16]:
        found += [taken(task, "Practitioner/c1") for task in tasks[name]]
    found += [taken(task, "Practitioner/c2") for task in tasks["p17"]]
    found += [taken(task, "Practitioner/c2") for task in tasks["p18"][1:]]
    found += [taken(task, None) for task in tasks["p19"]]
    return written(path, found)


def made(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_more_than_15_people_are_reported(record: Path) -> None:
    done = report("--input", record, "--format", "json")
    found = made(done)
    assert found["limit"] == 15
    assert [(one["coordinator"], len(one["people"]), one["over"]) for one in found["coordinators"]] == [
        ("Practitioner/c1", 16, True),
        ("Practitioner/c2", 2, False),
    ]
    assert "Practitioner/c1 coordinates the discharge of 16 people, more than 15." in done.stderr
    assert "Practitioner/c2" not in done.stderr


def test_tasks_that_nobody_owns_are_counted_as_unallocated(record: Path) -> None:
    found = made(report("--input", record, "--format", "json"))
    unallocated = {one["patient"]: (one["tasks"], one["coordinated"]) for one in found["unallocated"]}
    assert unallocated["Patient/p18"] == (1, True)
    assert unallocated["Patient/p19"] == (found["unallocated_tasks"] - 1, False)
    assert any(line.startswith("1 of the unallocated tasks have not been read back") for line in found["unsaid"])


def test_exactly_the_limit_is_not_over_it(record: Path) -> None:
    found = made(report("--input", record, "--format", "json", "--limit", "16"))
    assert (found["limit"], [one["over"] for one in found["coordinators"]]) == (16, [False, False])
    found = made(report("--input", record, "--format", "json", "--limit", "1"))
    assert [one["over"] for one in found["coordinators"]] == [True, True]


@pytest.mark.parametrize("status", ["completed", "cancelled", "entered-in-error"])
def test_what_is_closed_does_not_count(tmp_path: Path, status: str) -> None:
    path = tmp_path / "record.ndjson"
    found, tasks = asked(path, ["p1"])
    closed, *others = tasks["p1"]
    found += [taken(closed, "Practitioner/c1", status), *(taken(task, "Practitioner/c2") for task in others)]
    coordinators = made(report("--input", written(path, found), "--format", "json"))["coordinators"]
    assert "Practitioner/c1" not in {one["coordinator"] for one in coordinators}
    assert {one["coordinator"]: one["tasks"] for one in coordinators}["Practitioner/c2"] == len(others)


def test_who_the_directory_names_owns_what_was_not_read_back(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping"
    shutil.copytree(folder("mappings") / "uk-core", mapping)
    (mapping / "directory.yaml").write_text("roles: {discharge-coordinator: {reference: Practitioner/c9}}\n")
    path = written(tmp_path / "record.ndjson", admitted("p1"))
    found = made(report("--input", path, "--mapping", mapping, "--format", "json"))
    assert [one["coordinator"] for one in found["coordinators"]] == ["Practitioner/c9"]
    assert found["unallocated_tasks"] == 0


def test_csv_has_a_line_for_each_coordinator_and_one_for_the_unallocated(record: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(report("--input", record, "--format", "csv").stdout)))
    assert [(row["coordinator"], row["people"], row["over"]) for row in rows] == [
        ("Practitioner/c1", "16", "yes"),
        ("Practitioner/c2", "2", "no"),
        ("unallocated", "2", ""),
    ]
    assert rows[1]["patients"] == "Patient/p17 Patient/p18"


def test_the_page_states_the_limit_and_has_tables(record: Path) -> None:
    page = report("--input", record).stdout
    assert "One coordinator works with no more than 15 people. Coordinators with more: 1." in page
    assert page.count("<table") == page.count("<caption>") == 2
    assert '<th scope="row">Practitioner/c1</th>' in page


def test_a_stored_service_without_anybody_says_so(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(f"database_url: sqlite:///{tmp_path / 'empty.db'}\n")
    done = report("--config", config)
    assert done.exit_code == 0
    assert "Nobody owns an open task of a discharge coordinator." in done.stdout
    assert "People for whom the service never did anything are not looked at." in done.stdout
