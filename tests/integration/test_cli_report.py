"""`fhirbridge report`: from files of records, and from the service's own store."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fhirbridge.cli import app
from tests.integration.kept_records import kept
from tests.unit.simulated_record import answer, corrected, twice_missed

QUARTER = ("--quarter", "2026-Q1")
UNTIL = ("--until", "2026-02-20T00:00:00Z")


def report(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)], env={"FHIRBRIDGE_DATABASE_URL": ""})


def figures(done: Result) -> dict[str, dict[str, int]]:
    """The figures by ledger row, over all teams."""
    assert done.exit_code == 0, done.output
    (team,) = json.loads(done.stdout)["teams"]
    return {clause["row"]: clause["figures"] for clause in team["clauses"]}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """In time: p1. Late: p2. Not done: p3. Withdrawn, as the record was corrected: p4."""
    found = [one for patient in ("p1", "p2", "p3", "p4") for one in twice_missed(patient)]
    found += [
        answer("t1", "p1", "contact-made", "2026-01-27T10:00:00Z"),
        answer("t2", "p2", "contact-made", "2026-01-30T10:00:00Z"),
        corrected("p4", "2026-01-26T15:00:00Z"),
    ]
    path = tmp_path / "record.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in found))
    return path


def test_each_duty_is_counted_as_what_became_of_it(record: Path) -> None:
    found = figures(report(*QUARTER, *UNTIL, "--input", record, "--format", "json"))
    contact = {"due": 4, "in_time": 1, "late": 1, "not_done": 1, "withdrawn": 1, "open": 0}
    assert found["rdash-5.3-contact"] == contact


def test_the_cases_stand_behind_the_figures(record: Path) -> None:
    done = report(*QUARTER, *UNTIL, "--input", record, "--format", "csv")
    row = next(row for row in csv.DictReader(io.StringIO(done.stdout)) if row["row"] == "rdash-5.3-contact")
    cases = [row[f"{state}-cases"] for state in ("in-time", "late", "not-done", "withdrawn")]
    assert cases == ["Patient/p1", "Patient/p2", "Patient/p3", "Patient/p4"]


def test_a_page_goes_into_a_file(record: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert report(*QUARTER, *UNTIL, "--input", record, "--out", out).exit_code == 0
    assert out.read_text(encoding="utf-8").count("<svg") == 2


def test_another_quarter_is_empty_and_says_so(record: Path) -> None:
    done = report("--from", "2025-07-01", "--to", "2025-09-30", *UNTIL, "--input", record)
    assert done.exit_code == 0
    assert "Nothing that this policy asks for was due from Tuesday 1 July 2025" in done.stdout
    assert "Nothing that rdash-disengagement asks for was due" in done.stderr


def test_the_store_gives_the_same_report_as_the_records_in_it(
    record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    resources = [json.loads(line) for line in record.read_text().splitlines()]
    asyncio.run(kept(url, "rdash-disengagement", resources, datetime(2026, 2, 20, tzinfo=UTC)))
    config = tmp_path / "settings.yaml"
    config.write_text(f"database_url: {url}\n")
    stored = report(*QUARTER, *UNTIL, "--config", config, "--format", "json")
    assert figures(stored) == figures(report(*QUARTER, *UNTIL, "--input", record, "--format", "json"))


def test_an_empty_store_gives_an_empty_report(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(f"database_url: sqlite:///{tmp_path / 'empty.db'}\n")
    done = report(*QUARTER, "--config", config)
    assert done.exit_code == 0
    assert "Nothing that this policy asks for was due" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--quarter", "2026-Q7"),
        ("--quarter", "2026-Q1", "--from", "2026-01-01"),
        ("--from", "2026-01-01"),
        ("--from", "2026-03-01", "--to", "2026-01-01"),
        ("--from", "January", "--to", "2026-01-01"),
    ],
)
def test_a_period_that_is_none_is_refused(arguments: tuple[str, ...]) -> None:
    done = report(*arguments)
    assert done.exit_code == 2
    assert "--quarter" in done.stderr or "--to" in done.stderr or "--from" in done.stderr
