"""`fhirbridge policy diff`: who would get what instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fhirbridge.cli import app
from fhirbridge.packs.loading import pack_path
from tests.unit.simulated_record import twice_missed

OLD = "rdash-disengagement"
UNTIL = ("--until", "2026-02-02T00:00:00Z")


def diff(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["policy", "diff", *map(str, arguments)])


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "record.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in [*twice_missed("p1"), *twice_missed("p2")[:5]]))
    return path


def changed(tmp_path: Path, *replacements: tuple[str, str]) -> Path:
    """The pack with some of its text replaced, in a file of its own."""
    text = pack_path(OLD).read_text(encoding="utf-8").replace("version: 1.0.0", "version: 1.1.0", 1)
    for before, after in replacements:
        assert before in text
        text = text.replace(before, after, 1)
    path = tmp_path / "rdash-disengagement.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_deadline_that_moves_is_a_change_and_the_text_is_not_counted_with_it(record: Path, tmp_path: Path) -> None:
    new = changed(tmp_path, ("routine-phone: {default: 2WD", "routine-phone: {default: 1WD"))
    done = diff(OLD, new, record, *UNTIL, "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["old"]["version"], found["new"]["version"]) == ("1.0.0", "1.1.0")
    (patient,) = found["patients"]
    assert (patient["patient"], patient["only_old"], patient["only_new"]) == ("Patient/p1", [], [])
    first = patient["changed"][0]
    assert first["fields"] == ["due"]
    assert first["old"]["due"] == "2026-01-28T23:59:59Z"
    assert first["new"]["due"] == "2026-01-27T23:59:59Z"
    assert found["steps"]["rdash-5.3-contact"] == {"only_old": 0, "only_new": 0, "changed": 1}


def test_who_would_be_drawn_in_by_the_new_pack_is_only_under_it(record: Path, tmp_path: Path) -> None:
    new = changed(tmp_path, ("misses: {default: 2, min: 1", "misses: {default: 1, min: 1"))
    found = json.loads(diff(OLD, new, record, *UNTIL, "--json").stdout)
    drawn_in = next(one for one in found["patients"] if one["patient"] == "Patient/p2")
    assert drawn_in["only_old"] == []
    assert drawn_in["only_new"][0]["action"] == "contact-patient"


def test_for_a_person_it_says_old_new_and_how_often(record: Path, tmp_path: Path) -> None:
    new = changed(tmp_path, ("routine-phone: {default: 2WD", "routine-phone: {default: 1WD"))
    done = diff(OLD, new, record, *UNTIL)
    assert "Patient/p1" in done.stdout
    assert "due: Wednesday 28 January 2026 at 23:59 → Tuesday 27 January 2026 at 23:59" in done.stdout
    assert "rdash-5.3-contact         0         0         1" in done.stdout
    assert "for 1 of them something changes" in done.stderr


def test_the_same_pack_changes_nothing_for_anybody(record: Path) -> None:
    done = diff(OLD, OLD, record)
    assert (done.exit_code, done.stdout) == (0, "Nothing changes for anybody in these records.\n")


def test_without_an_end_it_looks_as_far_as_the_records_do(record: Path) -> None:
    assert json.loads(diff(OLD, OLD, record, "--json").stdout)["until"] == "2026-01-26T11:00:00Z"
