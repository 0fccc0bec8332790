"""Scaled out, over a real queue and a real PostgreSQL, the service writes what it writes embedded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.loopback import free_port
from tests.servers.caseload import Staff
from tests.servers.fhirbridge import environment, eventually, ready, running
from tests.servers.postgres import fresh_database
from tests.servers.sekmet import sekmet

pytestmark = pytest.mark.slow

Writes = set[tuple[str, str, str, str]]
"""Type, identity, code and status."""


def play(folder: Path, *commands: str, **more: str) -> Writes:
    """One story at an EPR of its own, watched by these processes: what they wrote there."""
    port = free_port()
    with ExitStack() as stack:
        epr_url = stack.enter_context(sekmet(folder))
        for command in commands:
            stack.enter_context(running(command, environment(folder, port, epr_url, **more), folder))
        ready(port, folder / "serve.log")
        staff = Staff(epr_url, numbered="story")
        stack.callback(staff.close)
        return story(staff, lambda: "\n".join((folder / f"{command}.log").read_text() for command in commands)[-4000:])


def story(staff: Staff, explain: Callable[[], str]) -> Writes:
    silent, corrected = staff.low_risk_patient(), staff.low_risk_patient()
    for patient in (silent, corrected):
        staff.appointment(patient, "noshow", 8)
    missed = [staff.appointment(patient, "noshow", 1) for patient in (silent, corrected)]

    [task] = eventually(lambda: staff.tasks(silent, "contact-patient"), explain)
    eventually(lambda: staff.tasks(corrected, "contact-patient"), explain)
    staff.answer(task, "no-answer")
    staff.change(missed[1], status="fulfilled")
    eventually(lambda: staff.search("Communication", patient=silent), explain)
    eventually(lambda: staff.tasks(corrected, "contact-patient")[0]["status"] == "cancelled", explain)
    return {
        (kind, one["identifier"][0]["value"], str(one.get("code") or one.get("category")), one["status"])
        for kind in ("Task", "Communication", "Flag", "CarePlan")
        for one in staff.search(kind)
        if one.get("identifier")
    }


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "embedded").mkdir()
    (tmp_path / "scaled").mkdir()
    return tmp_path / "embedded", tmp_path / "scaled"


def test_scaled_out_writes_what_embedded_writes(folders: tuple[Path, Path], postgres_url: str, valkey_url: str) -> None:
    embedded = play(folders[0], "serve")

    scaled = play(
        folders[1],
        "serve",
        "worker",
        FHIRBRIDGE_DATABASE_URL=fresh_database(postgres_url),
        FHIRBRIDGE_BROKER_URL=valkey_url,
    )

    assert len(embedded) == 3
    assert scaled == embedded
