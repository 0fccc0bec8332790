"""`fhirbridge backfill` as it is run: what it loads, what it says of it, and its exit status."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from fhirbridge.adapters.store import open_store
from fhirbridge.cli import app
from fhirbridge.core.facts import AnyFact, Appointment, AppointmentState
from fhirbridge.ports import Subject
from tests.servers.sekmet import sekmet

NOW = datetime.now(UTC)


def appointment(name: str, status: str = "noshow", version: str = "1", **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Appointment",
        "id": name,
        "meta": {"versionId": version, "lastUpdated": f"2026-01-05T1{version}:00:00Z"},
        "status": status,
        "start": "2026-01-05T09:00:00Z",
        "participant": [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}],
        **elements,
    }


class Desk:
    """A folder with settings, and the command run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {
            "database_url": f"sqlite:///{folder / 'store.db'}",
            "follow_from": "2026-03-01T00:00:00Z",
            "eprs": {"main": {"base_url": "http://127.0.0.1:9/fhir"}},
        }

    def run(self, *arguments: object, epr: str = "main") -> subprocess.CompletedProcess[str]:
        (self.folder / "settings.yaml").write_text(json.dumps(self.settings))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FHIRBRIDGE_")}
        command = [str(Path(sys.executable).with_name("fhirbridge")), "backfill", "--epr", epr]
        command += ["--config", "settings.yaml", *map(str, arguments)]
        return subprocess.run(
            command, cwd=self.folder, env=clean, capture_output=True, text=True, check=False, timeout=60
        )

    def write(self, name: str, *resources: dict[str, Any]) -> Path:
        path = self.folder / name
        path.write_text("".join(json.dumps(resource) + "\n" for resource in resources))
        return path

    def facts(self, patient: str = "Patient/p1") -> list[AnyFact]:
        async def load() -> list[AnyFact]:
            store = await open_store(self.settings["database_url"])
            try:
                return list((await store.load(Subject("main", patient))).facts)
            finally:
                await store.close()

        return asyncio.run(load())

    def due(self) -> list[Subject]:
        async def ask() -> list[Subject]:
            store = await open_store(self.settings["database_url"])
            try:
                return await store.due(datetime.now(UTC), 10)
            finally:
                await store.close()

        return asyncio.run(ask())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_files_are_loaded_once_and_leave_their_patients_to_the_service(desk: Desk) -> None:
    nobodys = appointment("a2", participant=[])
    observation = {"resourceType": "Observation", "id": "o", "meta": {"lastUpdated": "2026-01-05T10:00:00Z"}}
    both = [appointment("a1"), appointment("a1", "fulfilled", "2")]
    file = desk.write("record.ndjson", *both, nobodys, observation)

    first = desk.run(file, "--json")
    assert (first.returncode, json.loads(first.stdout)) == (
        0,
        {
            "read": 4,
            "new": 3,
            "known": 0,
            "patients": 1,
            "without_use": {"Observation": 1},
            "unmapped": [
                {"type": "Appointment", "reason": json.loads(first.stdout)["unmapped"][0]["reason"], "count": 1}
            ],
        },
    )
    assert "names no patient" in first.stderr
    assert [fact.state for fact in desk.facts() if isinstance(fact, Appointment)] == [
        AppointmentState.MISSED,
        AppointmentState.ATTENDED,
    ]
    assert desk.due() == [Subject("main", "Patient/p1")]

    again = desk.run(file)
    assert (again.returncode, again.stdout) == (0, "")
    assert "Read 4 versions: 0 new, 3 known, 1 could not be mapped, 1 without use." in again.stderr


def test_a_deletion_in_a_history_bundle_is_loaded_too(desk: Desk) -> None:
    deleted = {
        "request": {"method": "DELETE", "url": "Appointment/a1"},
        "response": {"lastModified": "2026-01-06T10:00:00Z"},
    }
    entry = [deleted, {"resource": appointment("a1")}]
    path = desk.folder / "history.json"
    path.write_text(json.dumps({"resourceType": "Bundle", "type": "history", "entry": entry}))

    for new in (2, 0):
        result = desk.run(path)
        assert f"{new} new" in result.stderr
    assert [fact.erased for fact in desk.facts()] == [False, True]
    assert desk.facts()[1].known == datetime(2026, 1, 6, 10, tzinfo=UTC)


def test_a_flaw_is_named_and_what_came_before_it_is_loaded(desk: Desk) -> None:
    wrong = appointment("a2", status="lost")
    result = desk.run(desk.write("record.ndjson", appointment("a1"), wrong))
    assert result.returncode == 2
    assert "record.ndjson:2: Appointment.status" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert desk.run(desk.write("record.ndjson", appointment("a1"))).returncode == 0
    assert len(desk.facts()) == 1


def test_without_saying_what_of_the_past_counts_the_command_says_that_all_does(desk: Desk) -> None:
    file = desk.write("record.ndjson", appointment("a1"))
    assert "follow_from" not in desk.run(file).stderr
    del desk.settings["follow_from"]
    loaded = desk.run(file)
    assert loaded.returncode == 0
    assert "follow_from is not set" in loaded.stderr


@pytest.mark.parametrize(
    ("arguments", "epr", "told"),
    [
        (["x.ndjson"], "mian", "main"),
        (["x.ndjson", "--from", "2026-01-01"], "main", "--from"),
        (["--from", "2026-02-01", "--to", "2026-01-01"], "main", "--from is after --to"),
        (["--from", "yesterday"], "main", "yesterday"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_one_line(desk: Desk, arguments: list[str], epr: str, told: str) -> None:
    (desk.folder / "settings.yaml").write_text(json.dumps(desk.settings))
    settings = str(desk.folder / "settings.yaml")
    result = CliRunner().invoke(app, ["backfill", "--epr", epr, "--config", settings, *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


# By searching, at a real server


def staff_enter(base_url: str, resource: dict[str, Any]) -> None:
    url = f"{base_url}/{resource['resourceType']}/{resource['id']}"
    httpx.put(url, json=resource).raise_for_status()


@pytest.mark.slow
def test_by_searching_every_patient_of_the_time_is_loaded_with_the_whole_record(desk: Desk) -> None:
    with sekmet(desk.folder) as base_url:
        search(desk, base_url)


def search(desk: Desk, base_url: str) -> None:
    desk.settings["eprs"]["main"]["base_url"] = base_url
    patient, another, missed, long_ago, kept = (f"backfill-{uuid4()}" for _ in range(5))

    def met(name: str, who: str, status: str, start: datetime) -> dict[str, Any]:
        part = {"participant": [{"actor": {"reference": f"Patient/{who}"}, "status": "accepted"}]}
        return {**appointment(name, status, start=start.isoformat()), **part}

    for resource in (
        {"resourceType": "Patient", "id": patient},
        {"resourceType": "Patient", "id": another},
        met(missed, patient, "booked", NOW - timedelta(days=3)),
        met(missed, patient, "noshow", NOW - timedelta(days=3)),
        met(long_ago, patient, "fulfilled", NOW - timedelta(days=300)),
        met(kept, another, "fulfilled", NOW - timedelta(days=200)),
    ):
        staff_enter(base_url, resource)
    window = ["--from", f"{NOW - timedelta(days=9):%Y-%m-%d}", "--to", f"{NOW + timedelta(days=1):%Y-%m-%d}"]

    preview = desk.run(*window, "--out", "record.ndjson")
    assert preview.returncode == 0, preview.stderr
    assert desk.facts(f"Patient/{patient}") == []
    assert missed in (desk.folder / "record.ndjson").read_text()
    assert (desk.folder / "record.ndjson").stat().st_mode & 0o077 == 0

    done = desk.run(*window, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["new"] >= 4
    states = {
        (fact.source.id, fact.state) for fact in desk.facts(f"Patient/{patient}") if isinstance(fact, Appointment)
    }
    assert states == {
        (missed, AppointmentState.BOOKED),
        (missed, AppointmentState.MISSED),
        (long_ago, AppointmentState.ATTENDED),
    }
    assert desk.facts(f"Patient/{another}") == []

    again = desk.run(*window, "--json")
    assert json.loads(again.stdout)["new"] == 0
