"""Killed at any moment, the store keeps all that it acknowledged, once, and no half of a decision."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import pytest
from sqlalchemy import select

from fhirbridge.adapters.store import open_store, tables
from fhirbridge.adapters.store.database import Database
from tests.integration import store_writer
from tests.servers.postgres import fresh_database

ROUNDS = 5
Acknowledged = dict[str, set[str]]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return fresh_database(request.getfixturevalue("postgres_url"))


def run_and_kill(url: str, round_number: int, lines: int) -> list[str]:
    """What a worker said until it was killed after so many lines; the last may be torn and does not count."""
    command = [sys.executable, store_writer.__file__, url, str(round_number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        said = list(islice(worker.stdout, lines))
        worker.kill()
        said += worker.stdout.readlines()
    assert worker.returncode == -9
    return [line for line in said if line.endswith("\n")]


async def kept_by(url: str) -> tuple[dict[str, Counter[str]], set[str]]:
    """How often each id stands in each table, all at one moment, and the patients with a timer."""
    queries = {
        "accepted": select(tables.inbox.c.id),
        "digested": select(tables.inbox.c.id).where(tables.inbox.c.digested_at.is_not(None)),
        "kept": select(tables.versions.c.id),
        "decided": select(tables.effects.c.identity),
        "outbox": select(tables.outbox.c.identity),
        "delivered": select(tables.outbox.c.identity).where(tables.outbox.c.state == "delivered"),
        "written": select(tables.written.c.identity),
    }
    database = Database(url)
    async with database.reading() as connection:
        found = {name: Counter((await connection.execute(query)).scalars()) for name, query in queries.items()}
        timers = select(tables.subjects.c.patient).where(tables.subjects.c.wakes_at.is_not(None))
        awake = set((await connection.execute(timers)).scalars())
    await database.close()
    return found, awake


def check(found: dict[str, Counter[str]], awake: set[str], acknowledged: Acknowledged) -> None:
    for what, ids in acknowledged.items():
        assert {each: found[what][each] for each in ids} == dict.fromkeys(ids, 1)
    assert {number for counter in found.values() for number in counter.values()} <= {1}
    assert found["digested"] == found["kept"]
    assert found["decided"] == found["outbox"]
    assert found["delivered"] == found["written"]
    undecided = set(found["kept"]) - set(found["decided"])
    assert {f"Patient/p{int(each.partition('-')[2]) % store_writer.PATIENTS}" for each in undecided} <= awake


async def finish(url: str) -> None:
    store = await open_store(url)
    now = store_writer.instant(ROUNDS)
    steps = (store_writer.digest, store_writer.decide, store_writer.deliver)
    while any([await step(store, now, lambda *_: None) for step in steps]):
        pass
    await store.close()


@pytest.mark.slow
async def test_killed_at_any_moment_nothing_acknowledged_is_lost_or_doubled(url: str) -> None:
    chance = random.Random(20260302)
    acknowledged: Acknowledged = defaultdict(set)
    for round_number in range(ROUNDS):
        for line in run_and_kill(url, round_number, chance.randrange(1, 120)):
            what, _, which = line.strip().partition(" ")
            acknowledged[what].add(which)
        found, awake = await kept_by(url)
        check(found, awake, acknowledged)

    await finish(url)
    found, awake = await kept_by(url)
    check(found, awake, acknowledged)
    assert set(acknowledged) == {"accepted", "kept", "decided", "delivered"}
    assert found["accepted"] == found["kept"] == found["decided"] == found["delivered"]
    assert awake == set()
