"""The service at a real EPR that tells of changes by topics or by criteria: nothing is missed, whatever happens.

The service runs in this process, so that its clock can be put forward while it is down.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from fhirbridge.adapters.auth import SigningKey
from fhirbridge.cli.serve import listen, run
from fhirbridge.core.gaps import Cause
from fhirbridge.fhir.capability import FeedKind, topic
from fhirbridge.ports import Resource, Subject
from fhirbridge.service.measures import GAPS_OPENED
from fhirbridge.settings import EprSettings, Settings
from fhirbridge.shipped import folder as shipped
from fhirbridge.wiring.service import Runtime, built
from tests.loopback import free_port
from tests.servers.caseload import Staff
from tests.servers.sekmet import sekmet

pytestmark = pytest.mark.slow

STAFF = "staff-token"
WITHIN = 60.0
DAY = timedelta(days=1)


class Clock:
    """The machine's time, put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Trust:
    """An EPR that knows the service by its key, with our topics, and the folder in which the service lives."""

    def __init__(self, base_url: str, folder: Path) -> None:
        self.base_url = base_url
        self.folder = folder
        self.clock = Clock()
        self.port = free_port()
        self.staff = Staff(base_url, token=STAFF)

    def settings(self, feed: FeedKind | None, **epr: Any) -> Settings:
        auth = {"kind": "smart", "client_id": "fhirbridge", "key": self.folder / "key.pem"}
        one = {"base_url": self.base_url, "auth": auth, "feed": feed, **epr}
        return Settings(
            database_url=f"sqlite:///{self.folder / 'fhirbridge.db'}",
            port=self.port,
            eprs={"main": EprSettings.model_validate(one)},
            poll=0.2,
        )

    @asynccontextmanager
    async def served(self, feed: FeedKind | None, **epr: Any) -> AsyncIterator[Runtime]:
        """The service, from when it is ready until it has stopped."""
        settings = self.settings(feed, **epr)
        stop = asyncio.Event()
        async with built(settings, self.clock) as runtime:
            running = asyncio.create_task(run(runtime, listen(settings), stop))
            try:
                await eventually(self.ready)
                yield runtime
            finally:
                stop.set()
                await running

    async def ready(self) -> bool:
        """All feeds stand, and nothing may be unknown."""
        try:
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"http://127.0.0.1:{self.port}/readyz")
        except httpx.TransportError:
            return False
        return answer.is_success and not answer.json()["gaps"]

    async def two_misses(self) -> str:
        patient = await asyncio.to_thread(self.staff.low_risk_patient)
        await asyncio.to_thread(self.staff.appointment, patient, "noshow", 8)
        await asyncio.to_thread(self.staff.appointment, patient, "noshow", 1)
        return patient

    async def asked(self, patient: str) -> list[Resource]:
        found: list[Resource] = await eventually(
            lambda: asyncio.to_thread(self.staff.tasks, patient, "contact-patient")
        )
        return found

    async def subscriptions(self) -> dict[str, Resource]:
        found = await asyncio.to_thread(self.staff.search, "Subscription", _count="100")
        return {one["criteria"]: one for one in found if one["status"] != "off"}


@pytest.fixture
def trust(tmp_path: Path) -> Iterator[Trust]:
    key = tmp_path / "key.pem"
    key.write_bytes(ECKey.generate_key("P-384").as_pem(private=True))
    public = SigningKey.read(key, rsa="RS384", ec="ES384", place="key").public()
    client = {"client_id": "fhirbridge", "jwks": {"keys": [public]}, "scopes": "system/*.crus"}
    with sekmet(tmp_path, token=STAFF, smart=[client]) as base_url:
        one = Trust(base_url, tmp_path)
        for file in sorted((shipped("profiles") / "Basic").glob("*.json")):
            held = json.loads(file.read_text(encoding="utf-8"))
            headers = {"Authorization": f"Bearer {STAFF}"}
            httpx.put(f"{base_url}/Basic/{held['id']}", json=held, headers=headers).raise_for_status()
        yield one
        one.staff.close()


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` finds, as soon as it finds something."""
    async with asyncio.timeout(WITHIN):
        while not (found := await look()):  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.05)
    return found


def opened(cause: Cause) -> float:
    """How many gaps of this cause were opened in this process so far."""
    return sum(
        sample.value
        for metric in GAPS_OPENED.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["cause"] == cause
    )


@pytest.mark.parametrize("payload", ["empty", "id-only", "full-resource"])
async def test_what_topics_tell_becomes_a_task(trust: Trust, payload: str) -> None:
    async with trust.served(None, payload=payload) as runtime:
        there = await trust.subscriptions()
        assert there[topic("Appointment")]["status"] == "active"
        patient = await trust.two_misses()
        (task,) = await trust.asked(patient)
        assert task["for"]["reference"] == patient

        async def counted() -> bool:
            hearing = await runtime.store.gaps.hearing("main", "Appointment")
            return hearing is not None and hearing.top == 3

        await eventually(counted)


async def test_an_epr_in_which_nothing_happens_is_heard_of(trust: Trust) -> None:
    async with trust.served(None, heartbeat=5) as runtime:

        async def heard() -> datetime | None:
            hearing = await runtime.store.gaps.hearing("main", "Consent")
            return hearing.heard if hearing is not None and hearing.top == 0 else None

        first = await eventually(heard)

        async def heard_again() -> bool:
            later = await heard()
            return later is not None and later > first

        await eventually(heard_again)


@pytest.mark.parametrize("feed", [FeedKind.BACKPORT, FeedKind.REST_HOOK])
async def test_a_day_without_the_service_loses_nothing(trust: Trust, feed: FeedKind) -> None:
    async with trust.served(feed):
        first = await trust.two_misses()
        await trust.asked(first)
    before = opened(Cause.DOWNTIME)
    second = await trust.two_misses()
    third = await asyncio.to_thread(trust.staff.low_risk_patient)
    await asyncio.to_thread(trust.staff.appointment, third, "noshow", 8)
    trust.clock.ahead += DAY
    async with trust.served(feed):
        assert opened(Cause.DOWNTIME) >= before + 5
        (task,) = await trust.asked(second)
        assert task["status"] == "requested"
        await asyncio.to_thread(trust.staff.appointment, third, "noshow", 1)
        await trust.asked(third)
    assert len(await trust.asked(first)) == 1


@pytest.mark.parametrize("feed", [FeedKind.BACKPORT, FeedKind.REST_HOOK])
async def test_a_subscription_that_the_epr_gave_up_is_renewed_and_what_it_hid_is_read(
    trust: Trust, feed: FeedKind
) -> None:
    criteria = topic("Appointment") if feed is FeedKind.BACKPORT else "Appointment?"
    async with trust.served(feed) as runtime:
        stands = (await trust.subscriptions())[criteria]
        before = opened(Cause.ERROR)
        patient = await asyncio.to_thread(trust.staff.low_risk_patient)

        async def known() -> bool:
            return await runtime.store.has_seen(Subject("main", patient)) and not await runtime.store.waiting(1)

        await eventually(known)
        # Set by hand, as an EPR does that could not deliver; from then on nothing is told.
        await asyncio.to_thread(trust.staff.change, f"Subscription/{stands['id']}", status="error", error="gave up")
        await asyncio.to_thread(trust.staff.appointment, patient, "noshow", 8)
        await asyncio.to_thread(trust.staff.appointment, patient, "noshow", 1)
        runtime.doubts["main"].set()
        await trust.asked(patient)
        assert opened(Cause.ERROR) == before + 1
        await eventually(trust.ready)
        renewed = (await trust.subscriptions())[criteria]
        assert (renewed["id"], renewed["status"]) == (stands["id"], "active")
        assert renewed["channel"]["header"] != stands["channel"]["header"]


async def test_a_number_that_is_skipped_opens_a_gap_that_a_reading_closes(trust: Trust) -> None:
    async with trust.served(FeedKind.BACKPORT) as runtime:
        await trust.two_misses()

        async def counted() -> bool:
            hearing = await runtime.store.gaps.hearing("main", "Appointment")
            return hearing is not None and hearing.top == 3

        await eventually(counted)
        before = opened(Cause.NUMBERS)
        kept = {one.criteria: one for one in await runtime.store.subscriptions("main")}[topic("Appointment")]
        lost = notification(trust.base_url, kept.reference, number=5)
        url = f"http://127.0.0.1:{trust.port}/fhir/notify/main"
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {kept.secret}"}) as epr:
            (await epr.post(url, json=lost)).raise_for_status()

        async def told() -> bool:
            return opened(Cause.NUMBERS) > before

        await eventually(told)
        await eventually(trust.ready)


def notification(base_url: str, subscription: str, *, number: int) -> Resource:
    """One event with this number, which names nothing of its own."""
    event = [{"name": "event-number", "valueString": str(number)}]
    parameters = [
        {"name": "subscription", "valueReference": {"reference": f"{base_url}/{subscription}"}},
        {"name": "topic", "valueCanonical": topic("Appointment")},
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": "event-notification"},
        {"name": "events-since-subscription-start", "valueString": str(number)},
        {"name": "notification-event", "part": event},
    ]
    status = {"resourceType": "Parameters", "id": "s", "parameter": parameters}
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}
