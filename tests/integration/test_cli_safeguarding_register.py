"""`fhirbridge report --kind safeguarding-register`: from files of records, and from the service's own store."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fhirbridge.cli import app
from tests.integration.kept_records import kept
from tests.unit.simulated_record import Resource, coded, stored

UNTIL = "2026-02-24T14:00:00Z"


def report(*arguments: object) -> Result:
    told = ["report", "--kind", "safeguarding-register", *map(str, arguments)]
    return CliRunner().invoke(app, told, env={"FHIRBRIDGE_DATABASE_URL": ""})


def patient(identity: str, at: str = "2026-01-01T09:00:00Z", version: str = "1", **more: Any) -> Resource:
    return stored("Patient", identity, at, version, birthDate="1980-01-01", **more)


def flag(
    patient: str, signal: str, start: str | None, at: str, *, end: str | None = None, version: str = "1"
) -> Resource:
    period = {name: value for name, value in (("start", start), ("end", end)) if value}
    elements: Resource = {"status": "inactive" if end else "active", "code": coded("signal", signal), "period": period}
    subject = {"reference": f"Patient/{patient}"}
    return stored("Flag", f"{patient}-{signal}", at, version, subject=subject, **elements)


def advocate(identity: str, patient: str, at: str) -> Resource:
    kind: Resource = {"class": {"code": "AMB"}}
    return stored(
        "Encounter",
        identity,
        at,
        status="finished",
        **kind,
        subject={"reference": f"Patient/{patient}"},
        period={"start": at, "end": at},
        participant=[{"type": [coded("role", "advocate")]}],
    )


def answered(identity: str, patient: str, action: str, at: str, outcome: str = "done") -> Resource:
    about: Resource = {"for": {"reference": f"Patient/{patient}"}}
    return stored(
        "Task",
        identity,
        at,
        status="completed",
        intent="order",
        code=coded("action", action),
        executionPeriod={"end": at},
        output=[{"type": {"text": "outcome"}, "valueCodeableConcept": coded("outcome", outcome)}],
        **about,
    )


RECORD = [
    patient("p1"),
    flag("p1", "confinement", "2026-02-12T14:00:00Z", "2026-02-12T14:00:00Z"),
    flag("p1", "contact-restricted", "2026-02-02T14:00:00Z", "2026-02-02T14:00:00Z"),
    advocate("v1", "p1", "2026-01-20T10:00:00Z"),
    advocate("v2", "p1", "2026-02-13T10:00:00Z"),
    answered("t1", "p1", "arrange-advocate-visit", "2026-02-20T10:00:00Z"),
    answered("t2", "p1", "seek-register-consent", "2026-02-20T10:00:00Z", "declined"),
    patient("p2"),
    flag("p2", "confinement", None, "2026-02-03T14:00:00Z"),
    flag("p2", "confinement", None, "2026-02-04T17:00:00Z", end="2026-02-04T16:00:00Z", version="2"),
    patient("p3"),
    flag("p3", "confinement", "2026-01-02T14:00:00Z", "2026-01-02T14:00:00Z"),
    flag("p3", "confinement", "2026-01-02T14:00:00Z", "2026-01-05T14:00:00Z", end="2026-01-05T14:00:00Z", version="2"),
    patient("p4"),
    flag("p4", "risk-high", "2026-02-02T14:00:00Z", "2026-02-02T14:00:00Z"),
    patient("p5"),
    patient("p5", "2026-02-08T06:00:00Z", "2", deceasedDateTime="2026-02-08T05:00:00Z"),
    flag("p5", "confinement", "2026-02-07T05:00:00Z", "2026-02-07T06:00:00Z"),
]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "record.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in RECORD))
    return path


def people(done: Result) -> dict[str, dict[str, Any]]:
    assert done.exit_code == 0, done.output
    return {person["patient"]: person for person in json.loads(done.stdout)["people"]}


@pytest.fixture
def found(record: Path) -> dict[str, dict[str, Any]]:
    return people(report("--until", UNTIL, "--input", record, "--format", "json"))


def test_who_is_or_lately_was_confined_is_listed(found: dict[str, dict[str, Any]]) -> None:
    assert list(found) == ["Patient/p1", "Patient/p2", "Patient/p5"]  # p3's ended long before, p4's is no such signal


def test_periods_have_their_length(found: dict[str, dict[str, Any]]) -> None:
    periods = {(p["signal"], p["length"], p["ended"]) for p in found["Patient/p1"]["periods"]}
    assert periods == {("confinement", "P12D", None), ("contact-restricted", "P22D", None)}
    (over,) = found["Patient/p2"]["periods"]
    assert (over["length"], over["ended"]) == ("P1DT7200S", "2026-02-04T16:00:00Z")


def test_visits_by_an_advocate_in_28_days_are_counted(found: dict[str, dict[str, Any]]) -> None:
    visits = [visit["at"] for visit in found["Patient/p1"]["visits"]]
    assert visits == ["2026-02-13T10:00:00Z", "2026-02-20T10:00:00Z"]  # not the one in January
    assert found["Patient/p2"]["visits"] == []


def test_reviews_missed_since_the_last_are_overdue(found: dict[str, dict[str, Any]]) -> None:
    (overdue,) = found["Patient/p1"]["overdue"]
    assert (overdue["row"], overdue["due"], overdue["missed"]) == (
        "confinement-contact-review",
        "2026-02-09T14:00:00Z",
        3,
    )


def test_a_review_done_is_not_overdue(tmp_path: Path) -> None:
    path = tmp_path / "record.ndjson"
    done = answered("t3", "p1", "review-contact-restriction", "2026-02-23T20:00:00Z")
    path.write_text("".join(json.dumps(one) + "\n" for one in [*RECORD, done]))
    person = people(report("--until", UNTIL, "--input", path, "--format", "json"))["Patient/p1"]
    assert person["overdue"] == []


def test_what_the_record_cannot_tell_is_named(found: dict[str, dict[str, Any]]) -> None:
    assert found["Patient/p1"]["consent"] == "declined"
    assert found["Patient/p1"]["unsaid"] == [
        "Nothing is on record about this: The person lives in a setting for a single person. "
        "Whether it is so is not known."
    ]
    unsaid = " ".join(found["Patient/p2"]["unsaid"])
    assert "No visit by an advocate since Tuesday 27 January 2026 is on record" in unsaid
    assert "Whether the person agrees to be named in the register is not on record." in unsaid
    assert found["Patient/p2"]["periods"][0]["unsaid"] == [
        "When it began is not recorded; it counts from when it became known."
    ]


def test_a_confinement_does_not_outlast_the_person(found: dict[str, dict[str, Any]]) -> None:
    (period,) = found["Patient/p5"]["periods"]
    assert (period["ended"], period["length"]) == ("2026-02-08T05:00:00Z", "P1D")
    assert period["unsaid"] == ["The record does not say that it ended; it counts until the person's death."]


def test_csv_has_a_line_for_each_period(record: Path) -> None:
    done = report("--until", UNTIL, "--input", record, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["patient"], row["signal"], row["hours"]) for row in rows] == [
        ("Patient/p1", "contact-restricted", "528"),
        ("Patient/p1", "confinement", "288"),
        ("Patient/p2", "confinement", "26"),
        ("Patient/p5", "confinement", "24"),
    ]
    assert rows[0]["advocate-visits"] == "2"
    assert rows[0]["overdue-reviews"] == "confinement-contact-review"
    assert all("Periods that nobody recorded" in row["not-known"] for row in rows)


def test_the_page_has_tables_with_captions_and_heads(record: Path) -> None:
    page = report("--until", UNTIL, "--input", record).stdout
    assert page.count("<table") == page.count("<caption>") == 5  # nobody lives in a single-person setting
    assert page.count('<th scope="row">Patient/p1</th>') == 5
    assert "12 days 0 hours" in page
    assert "What the record cannot tell" in page
    assert "http" not in page


def test_the_store_gives_the_same_register_as_the_records_in_it(record: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    asyncio.run(kept(url, "solitary-confinement", RECORD, datetime(2026, 2, 24, 14, tzinfo=UTC)))
    config = tmp_path / "settings.yaml"
    config.write_text(f"database_url: {url}\n")
    stored = report("--until", UNTIL, "--config", config, "--format", "json")
    simulated = people(report("--until", UNTIL, "--input", record, "--format", "json"))
    assert people(stored) == {name: person | {"epr": "epr"} for name, person in simulated.items()}
    assert "People for whom the service never did anything are not looked at." in json.loads(stored.stdout)["unsaid"]


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (("--quarter", "2026-Q1"), "--kind"),
        (("--limit", "3"), "--limit"),
        (("--pack", "rdash-disengagement"), "--pack"),
    ],
)
def test_what_does_not_belong_to_it_is_refused(arguments: tuple[str, ...], place: str, record: Path) -> None:
    done = report(*arguments, "--input", record)
    assert done.exit_code == 2
    assert place in done.stderr


def test_without_anybody_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "record.ndjson"
    path.write_text(json.dumps(patient("p4")) + "\n")
    done = report("--until", UNTIL, "--input", path)
    assert done.exit_code == 0
    assert "Nothing is on record." in done.stdout
    assert "Nobody is in the safeguarding register." in done.stderr
