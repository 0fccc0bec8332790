"""Scaled out, over a real queue and a real PostgreSQL, the service writes what it writes embedded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.loopback import free_port
from tests.servers.caseload import Staff
from tests.servers.fhirbridge import environment, eventually, ready, running
from tests.servers.postgres import fresh_database
from tests.servers.sekmet import sekmet

pytestmark = pytest.mark.slow

Writes = set[tuple[str, str, str, str]]
"""Type, identity, code and status."""


def play(folder: Path, *commands: str, then: Callable[[int], None] = lambda _: None, **more: str) -> Writes:
    """One story at an EPR of its own, watched by these processes: what they wrote there.

    While they still run, `then` is called with the port of the service.
    """
    port = free_port()
    with ExitStack() as stack:
        epr_url = stack.enter_context(sekmet(folder))
        for command in commands:
            stack.enter_context(running(command, environment(folder, port, epr_url, **more), folder))
        ready(port, folder / "serve.log")
        staff = Staff(epr_url, numbered="story")
        stack.callback(staff.close)
        told = story(staff, lambda: "\n".join((folder / f"{command}.log").read_text() for command in commands)[-4000:])
        then(port)
        return told


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


def counters(port: int) -> dict[str, float]:
    """What a process shows of its counters, whatever their labels."""
    found: dict[str, float] = {}
    for line in httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines():
        name, _, value = line.partition(" ")
        if name.startswith("fhirbridge_"):
            name = name.partition("{")[0]
            found[name] = found.get(name, 0.0) + float(value.rpartition(" ")[2])
    return found


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "embedded").mkdir()
    (tmp_path / "scaled").mkdir()
    return tmp_path / "embedded", tmp_path / "scaled"


def test_scaled_out_writes_what_embedded_writes(folders: tuple[Path, Path], postgres_url: str, valkey_url: str) -> None:
    embedded = play(folders[0], "serve")
    metrics = free_port()
    counted: list[dict[str, float]] = []

    scaled = play(
        folders[1],
        "serve",
        "worker",
        then=lambda port: counted.extend(counters(one) for one in (port, metrics)),
        FHIRBRIDGE_METRICS_PORT=str(metrics),
        FHIRBRIDGE_DATABASE_URL=fresh_database(postgres_url),
        FHIRBRIDGE_BROKER_URL=valkey_url,
    )

    assert len(embedded) == 3
    assert scaled == embedded
    service, worker = counted
    assert "fhirbridge_decisions_total" not in service
    assert service["fhirbridge_events_total"] > 0
    assert worker["fhirbridge_decisions_total"] >= 3
    assert worker["fhirbridge_writes_total"] >= len(scaled)
    assert worker["fhirbridge_deliveries_total"] >= len(scaled)
