"""Killed with SIGKILL at any point of its work, the service takes it up again, and does it once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.loopback import free_port
from tests.servers.caseload import Staff
from tests.servers.fhirbridge import environment, eventually, ready, running
from tests.servers.sekmet import sekmet

pytestmark = pytest.mark.slow


class Place:
    """A folder with an EPR and the database of a service that is started again and again."""

    def __init__(self, folder: Path, epr_url: str) -> None:
        self.folder = folder
        self.staff = Staff(epr_url)
        self.port = free_port()
        # A dead worker's lease has to run out before anybody else may look at its patient.
        self.settings = environment(
            folder, self.port, epr_url, FHIRBRIDGE_LEASE="1", FHIRBRIDGE_CHECK_SUBSCRIPTIONS="1"
        )

    def count(self, query: str, *values: str) -> int:
        with closing(sqlite3.connect(f"file:{self.folder}/fhirbridge.db?mode=ro", uri=True)) as database:
            found: int = database.execute(f"SELECT count(*) FROM {query}", values).fetchone()[0]
        return found

    def log(self) -> str:
        return (self.folder / "serve.log").read_text()[-4000:]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("crash")
    with sekmet(folder) as epr_url:
        one = Place(folder, epr_url)
        yield one
        one.staff.close()


def accepted(place: Place, patient: str, last: str) -> bool:
    return place.count("inbox WHERE type = 'Appointment' AND id = ?", last.partition("/")[2]) > 0


def kept(place: Place, patient: str, last: str) -> bool:
    return place.count("versions WHERE patient = ? AND id = ?", patient, last.partition("/")[2]) > 0


def decided(place: Place, patient: str, last: str) -> bool:
    return place.count("outbox WHERE patient = ?", patient) > 0


def written(place: Place, patient: str, last: str) -> bool:
    return bool(place.staff.tasks(patient, "contact-patient"))


def recorded(place: Place, patient: str, last: str) -> bool:
    return place.count("outbox WHERE patient = ? AND state = 'delivered'", patient) > 0


def looked_at(place: Place, patient: str) -> bool:
    """Whether all that was kept has been decided on: the patient is due at a later time, and nobody holds a lease."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return place.count("subjects WHERE patient = ? AND wakes_at > ? AND held_until IS NULL", patient, now) == 1


@pytest.mark.parametrize("reached", [accepted, kept, decided, written, recorded])
def test_killed_when_the_event_is(place: Place, reached: Callable[[Place, str, str], bool]) -> None:
    with running("serve", place.settings, place.folder) as process:
        ready(place.port, place.folder / "serve.log")
        patient = place.staff.low_risk_patient()
        place.staff.appointment(patient, "noshow", 8)
        last = place.staff.appointment(patient, "noshow", 1)
        eventually(lambda: reached(place, patient, last), place.log, every=0)
        process.kill()
        process.wait()

    with running("serve", place.settings, place.folder):
        ready(place.port, place.folder / "serve.log")
        eventually(lambda: recorded(place, patient, last), place.log)
        # The EPR's own echo of the Task confirms it, and is no cause to look again: whatever would be written twice
        # shows when staff enter something else, which must get past the lease that the killed process may have left.
        eventually(lambda: place.count("versions WHERE patient = ? AND type = 'Task'", patient) > 0, place.log)
        another = place.staff.appointment(patient, "fulfilled", 28)
        eventually(lambda: kept(place, patient, another), place.log)
        eventually(lambda: looked_at(place, patient), place.log)

    [task] = place.staff.tasks(patient, "contact-patient")
    assert len(place.staff.search("Provenance", target=f"Task/{task['id']}")) == 1
    assert place.count("outbox WHERE patient = ?", patient) == 1
