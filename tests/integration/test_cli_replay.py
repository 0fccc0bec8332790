"""`fhirbridge replay` as it is run, against a real FHIR server: what it prints, where, and its exit status."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner, Result

from fhirbridge.adapters.store import open_store
from fhirbridge.cli import app
from fhirbridge.fhir.render import render
from fhirbridge.ports import Outgoing, Receipt, Subject
from tests.servers.sekmet import sekmet_url as sekmet_url
from tests.unit.fhir import writes

NOW = datetime(2026, 3, 30, tzinfo=UTC)
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}


class Place:
    """Settings and a database in a folder, with rows that the EPR refused."""

    def __init__(self, folder: Path, base_url: str) -> None:
        self.base_url = base_url
        self.url = f"sqlite:///{folder / 'store.db'}"
        self.config = folder / "settings.yaml"
        self.config.write_text(
            f"database_url: {self.url}\neprs: {{ours: {{base_url: '{base_url}'}}, other: {{base_url: '{base_url}'}}}}\n"
        )
        self.identity = str(uuid4())

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["replay", "--config", str(self.config), *arguments])

    def refused(self, epr: str, *rows: Outgoing) -> None:
        asyncio.run(self._refused(Subject(epr, "Patient/p1"), rows))

    def created(self) -> Outgoing:
        row = render(*writes.every_write()["create-Flag"])
        text = json.dumps([row.resource, row.provenance]).replace(row.identity, self.identity)
        resource, provenance = json.loads(text)
        code = str(uuid4())
        for tag in provenance["meta"]["tag"]:
            tag["code"] = code if tag["system"].endswith("/write") else tag["code"]
        return Outgoing(identity=self.identity, type="Flag", verb="create", resource=resource, provenance=provenance)

    def bad(self) -> Outgoing:
        """Something that no EPR takes."""
        return Outgoing(
            identity=str(uuid4()), type="Flag", verb="create", resource={"resourceType": "Flag"}, provenance={}
        )

    async def _refused(self, subject: Subject, rows: tuple[Outgoing, ...]) -> None:
        store = await open_store(self.url)
        seen = (await store.load(subject)).revision
        await store.commit(subject, effects=(), outgoing=rows, wakes_at=None, decided_at=NOW, revision=seen)
        waiting = await store.undelivered(NOW, 10, [subject.epr])
        await store.delivered(
            [Receipt(row=one.row, refused="422 no such code", outcome=OUTCOME) for one in waiting], NOW
        )
        await store.close()


@pytest.fixture
def place(tmp_path: Path, sekmet_url: str) -> Place:
    return Place(tmp_path, sekmet_url)


def test_what_was_refused_is_listed_with_why(place: Place) -> None:
    place.refused("ours", place.created())
    listed = place.run("--list")
    assert listed.exit_code == 0
    assert listed.stdout == "1\tours\tPatient/p1\tcreate Flag\t2026-03-30T00:00:00Z\t422 no such code\n"
    assert listed.stderr == "1 refused.\n"
    (told,) = json.loads(place.run("--list", "--json").stdout)
    assert (told["outcome"], told["resource"]["resourceType"], told["identity"]) == (OUTCOME, "Flag", place.identity)
    assert place.run("--list", "--epr", "other").stderr == "Nothing was refused.\n"


def test_it_is_written_once_the_cause_is_mended(place: Place) -> None:
    place.refused("ours", place.created())
    done = place.run("--all")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "1\tours\tFlag\tdelivered\n", "1 delivered.\n")
    token = f"https://fhirbridge.example/fhir/identifier/obligation|{place.identity}"
    found = httpx.get(f"{place.base_url}/Flag", params={"identifier": token}).json()
    assert found["total"] == 1
    assert place.run("--all").stderr == "Nothing to do.\n"


def test_what_is_refused_again_is_a_finding(place: Place) -> None:
    place.refused("ours", place.created(), place.bad())
    done = place.run("--epr", "ours")
    assert done.exit_code == 1
    first, second = done.stdout.splitlines()
    assert first == "1\tours\tFlag\tdelivered"
    assert second.startswith("2\tours\tFlag\trefused\tours: transaction: 4")
    assert done.stderr.endswith("1 delivered, 1 refused.\n")


def test_one_row_alone(place: Place) -> None:
    place.refused("ours", place.created())
    place.refused("other", place.bad())
    assert place.run("--row", "1").stdout == "1\tours\tFlag\tdelivered\n"
    assert place.run("--list").stdout.startswith("2\tother\t")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [((), "say what to try again"), (("--epr", "oursss"), "'oursss' is no EPR of the settings; the nearest is 'ours'")],
)
def test_wrong_usage(place: Place, arguments: tuple[str, ...], says: str) -> None:
    done = place.run(*arguments)
    assert done.exit_code == 2
    assert says in done.stderr
