"""A service over doubles, its application, and somebody who asks it over HTTP without a network."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from pydantic import HttpUrl

from fhirbridge.access import AccessSettings, hashed
from fhirbridge.adapters.memory_audit import MemoryAudit
from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.errors import StoreUnavailable
from fhirbridge.fhir.canonical import ACTION, NHS_NUMBER, OBLIGATION, SIGNAL
from fhirbridge.fhir.capability import Way
from fhirbridge.fhir.notification import Event, Notification
from fhirbridge.ports import Placing, Resource, Subject
from fhirbridge.service import Service, Site
from fhirbridge.settings import EprSettings, Settings
from fhirbridge.web import application
from fhirbridge.wiring.service import Runtime
from tests.clock_double import ClockDouble
from tests.shipped import CALENDAR, shipped_mapping, shipped_pack

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANN = Subject("main", "Patient/ann")
BOB = Subject("main", "Patient/bob")
ANN_ELSEWHERE = Subject("other", "Patient/ann")
TOKEN = "a-token-of-many-random-bits"
NARROW = "a-token-for-one-epr-alone"
PASSWORD = "correct horse"
MAPPING = shipped_mapping()
PACK = shipped_pack()


class BrokenAudit(MemoryAudit):
    """Cannot keep anything."""

    async def record(self, events: Any) -> None:
        raise StoreUnavailable("the disk is full")


class Stage:
    """One service with its doubles; `http` asks it as a browser or a client would."""

    def __init__(
        self,
        tmp_path: Path,
        *eprs: str,
        access: dict[str, Any] | None = None,
        writes: dict[str, Way] | None = None,
        public_url: str = "https://bridge.example/",
    ) -> None:
        self.clock = ClockDouble(NOON)
        self.store = MemoryStore()
        self.eprs = {name: MemoryEpr(name, self.clock) for name in eprs or ("main",)}
        sites = {
            name: Site(epr=epr, mapping=MAPPING, packs=(PACK,), calendar=CALENDAR, writes=writes or {})
            for name, epr in self.eprs.items()
        }
        self.settings = Settings.model_construct(
            eprs={name: EprSettings(base_url=HttpUrl(f"https://{name}.example/fhir/")) for name in sites},
            public_url=HttpUrl(public_url),
            access=AccessSettings.model_validate(self._access(tmp_path) if access is None else access),
        )
        self.runtime = Runtime(
            settings=self.settings,
            service=Service(self.store, sites, self.clock),
            store=self.store,
            clock=self.clock,
        )
        self.rebuild()

    def rebuild(self) -> None:
        """Build the application over the doubles as they are now."""
        self.app = application(self.runtime, self.clock)
        transport = httpx.ASGITransport(app=self.app, client=("192.0.2.7", 4321))
        self.http = httpx.AsyncClient(transport=transport, base_url="https://bridge.example")

    def subject(self, patient: str, epr: str = "main") -> Subject:
        return Subject(epr, f"Patient/{patient}")

    def _access(self, tmp_path: Path) -> dict[str, Any]:
        file = tmp_path / "token"
        file.write_text(f"{TOKEN}\n")
        narrow = tmp_path / "narrow"
        narrow.write_text(NARROW)
        session_key = tmp_path / "session-key"
        session_key.write_bytes(b"k" * 32)
        kept = hashed(PASSWORD, b"0123456789abcdef", n=2**10)
        return {
            "systems": {"reporting": {"token_file": file}, "narrow": {"token_file": narrow, "eprs": [*self.eprs][1:]}},
            "session_key_file": session_key,
            "people": {"a.nwosu": {"name": "Amara Nwosu", "role": "Team manager", "password": kept}},
        }

    async def get(self, path: str, token: str = TOKEN, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers={"Authorization": f"Bearer {token}", **headers})

    async def place(self, subject: Subject, identity: str, resource: Resource, based_on: int = 0) -> str:
        """Put a version on the worklist; its reference there."""
        placing = Placing(identity=identity, resource=resource, based_on=based_on)
        stands = await self.store.worklist.place(subject, [placing], self.clock.time)
        return stands[identity].reference


def task(
    identity: str, patient: str = "Patient/ann", *, status: str = "requested", code: str = "contact-patient"
) -> Resource:
    return {
        "resourceType": "Task",
        "identifier": [{"system": OBLIGATION, "value": identity}],
        "status": status,
        "intent": "order",
        "code": {"coding": [{"system": ACTION, "code": code}], "text": "Contact the patient"},
        "for": {"reference": patient},
        "restriction": {"period": {"end": "2026-03-02T17:00:00+00:00"}},
        "performerType": [
            {"coding": [{"system": "https://fhirbridge.example/fhir/CodeSystem/role", "code": "lead-professional"}]}
        ],
        "input": [{"type": {"text": "because"}, "valueString": "The appointment was missed."}],
    }


def provenance(target: str) -> Resource:
    return {
        "resourceType": "Provenance",
        "target": [{"reference": target}],
        "recorded": "2026-03-02T12:00:00Z",
        "agent": [{"who": {"display": "fhirbridge"}}],
        "reason": [{"text": "Asked for by rdash-5.1.1-contact."}],
    }


async def enter(stage: Stage, *resources: Resource, epr: str = "main") -> None:
    """Staff write into the EPR, it notifies, and the service works until it has nothing more to do."""
    for resource in resources:
        stored = await stage.eprs[epr].update(resource)
        event = Event(type=stored["resourceType"], id=stored["id"])
        await stage.runtime.service.ingest(epr, Notification(events=(event,)))
    await settle(stage)


async def settle(stage: Stage) -> None:
    """Let the service work until it has nothing more to do at this instant."""
    for _ in range(50):
        if not await stage.runtime.service.work_through():
            return
    raise AssertionError("the service does not come to rest")


async def two_misses(stage: Stage, identity: str = "p1", *, shares: bool = True) -> None:
    """Somebody in receipt of services and without risk misses two appointments in a row."""
    subject = {"reference": f"Patient/{identity}"}
    signals = ["risk-none"] + ([] if shares else ["sharing-refused"])
    flags = [
        {
            "resourceType": "Flag",
            "id": f"{identity}-{code}",
            "status": "active",
            "subject": subject,
            "period": {"start": "2026-01-05"},
            "code": {"coding": [{"system": SIGNAL, "code": code}]},
        }
        for code in signals
    ]
    await enter(
        stage,
        {
            "resourceType": "Patient",
            "id": identity,
            "name": [{"given": ["Amina"], "family": "Okafor <b>"}],
            "identifier": [{"system": NHS_NUMBER, "value": "9990126704"}],
            "birthDate": "1980-01-01",
        },
        {
            "resourceType": "EpisodeOfCare",
            "id": f"{identity}-e",
            "status": "active",
            "patient": subject,
            "period": {"start": "2026-01-05"},
        },
        *flags,
        *(_appointment(identity, *told) for told in _APPOINTMENTS),
    )


_APPOINTMENTS = (
    ("2026-02-02T10:00:00Z", "fulfilled"),
    ("2026-02-23T10:00:00Z", "noshow"),
    ("2026-03-02T10:00:00Z", "noshow"),
)


def _appointment(identity: str, start: str, status: str) -> Resource:
    return {
        "resourceType": "Appointment",
        "id": f"{identity}-{start[5:10]}",
        "status": status,
        "start": start,
        "end": start.replace("10:00", "10:50"),
        "participant": [{"actor": {"reference": f"Patient/{identity}"}, "status": "accepted"}],
    }
