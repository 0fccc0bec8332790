"""`fhirbridge access`: what it prints can be put into the settings, and who looked can be handed over."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fhirbridge.access import AccessSettings, Gate
from fhirbridge.adapters.store import open_store
from fhirbridge.fhir.audit_event import Access, audit_event

pytestmark = pytest.mark.slow

PASSWORD = "three plain words"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def run(*arguments: str, folder: Path, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("fhirbridge")), "access", *arguments]
    surroundings = {**os.environ, "FHIRBRIDGE_DATABASE_URL": f"sqlite:///{folder / 'store.db'}"}
    return subprocess.run(
        command, cwd=folder, env=surroundings, input=said, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_password_is_hashed_for_the_settings(tmp_path: Path) -> None:
    done = run("password", folder=tmp_path, said=f"{PASSWORD}\n")

    kept = done.stdout.strip()
    assert PASSWORD not in kept
    gate = Gate(AccessSettings.model_validate({"people": {"bo": {"name": "Bo", "password": kept}}}), ())
    assert gate.person("bo", PASSWORD, NOW) is not None
    assert gate.person("bo", "three plain word", NOW) is None


def test_a_short_password_is_refused(tmp_path: Path) -> None:
    done = run("password", folder=tmp_path, said="short\n")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fhirbridge: password: ")


def test_a_token_is_made_with_its_hash(tmp_path: Path) -> None:
    told = dict(line.split(": ") for line in run("token", folder=tmp_path).stdout.splitlines())

    gate = Gate(AccessSettings.model_validate({"systems": {"bi": {"token_sha256": told["token_sha256"]}}}), ())
    assert gate.system(f"Bearer {told['token']}") is not None


def test_who_looked_is_handed_over_by_days(tmp_path: Path) -> None:
    async def record() -> None:
        store = await open_store(f"sqlite:///{tmp_path / 'store.db'}")
        for day in (1, 2, 3):
            at = datetime(2026, 3, day, 23, 30, tzinfo=UTC)
            await store.audit.record([audit_event(Access(did="read", at=at, who=f"on-{day}"))])
        await store.close()

    asyncio.run(record())

    done = run("audit", "--from", "2026-03-02", "--to", "2026-03-02", folder=tmp_path)
    [event] = map(json.loads, done.stdout.splitlines())
    assert event["agent"][0]["who"]["identifier"]["value"] == "on-2"
    assert run("audit", "--out", "who.ndjson", folder=tmp_path).returncode == 0
    assert len((tmp_path / "who.ndjson").read_text().splitlines()) == 3


@pytest.mark.parametrize("wrong", [["--from", "lately"], ["--out", "no/such/folder"]])
def test_wrong_use_ends_with_one_line(tmp_path: Path, wrong: list[str]) -> None:
    done = run("audit", *wrong, folder=tmp_path)

    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("fhirbridge: ")
