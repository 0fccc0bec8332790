"""`fhirbridge loops`: what is held back, and letting it go on."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fhirbridge.adapters.store import open_store
from fhirbridge.cli import app
from fhirbridge.core.effects import Held, Kind, Released, Written
from fhirbridge.ports import Known, Revision, Subject
from tests.unit.fhir.writes import obligation

PATIENT = Subject("main", "Patient/p1")
TASK = obligation(Kind.TASK, "contact-patient", "care-coordinator")


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path}/fhirbridge.db"
    monkeypatch.setenv("FHIRBRIDGE_DATABASE_URL", url)
    return url


async def _hold(url: str, until: datetime) -> None:
    now = datetime.now(UTC)
    written = Written(
        identity=TASK.identity, at=now, key=TASK.key, run="run", pathway="low", steps=TASK.steps, since=now
    )
    held = Held(identity=TASK.identity, at=now, until=until, why="It was written 12 times within an hour.")
    store = await open_store(url)
    await store.commit(
        PATIENT, effects=[written, held], outgoing=(), wakes_at=None, decided_at=now, revision=Revision()
    )
    await store.close()


async def _known(url: str) -> tuple[Known, list[Subject]]:
    store = await open_store(url)
    known, due = await store.load(PATIENT), await store.due(datetime.now(UTC), 10)
    await store.close()
    return known, due


def test_where_nothing_is_held_it_says_so(database: str) -> None:
    result = invoke("loops")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Nothing is held back." in result.stderr


def test_what_is_held_is_shown_and_let_go(database: str) -> None:
    asyncio.run(_hold(database, datetime.now(UTC) + timedelta(hours=1)))

    assert TASK.identity in invoke("loops").stdout
    [shown] = json.loads(invoke("loops", "--json").stdout)
    assert (shown["action"], shown["why"]) == ("contact-patient", "It was written 12 times within an hour.")

    assert invoke("loops", "--release", TASK.identity).exit_code == 0
    assert json.loads(invoke("loops", "--json").stdout) == []
    known, due = asyncio.run(_known(database))
    assert isinstance(known.effects[-1], Released)
    assert due == [PATIENT]


def test_what_has_ended_by_itself_is_not_shown(database: str) -> None:
    asyncio.run(_hold(database, datetime.now(UTC) - timedelta(seconds=1)))
    assert json.loads(invoke("loops", "--json").stdout) == []


def test_what_is_not_held_cannot_be_let_go(database: str) -> None:
    result = invoke("loops", "--release", TASK.identity)
    assert result.exit_code == 2
    assert "nothing is held back" in result.stderr
