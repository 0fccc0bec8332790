"""Subscriptions to topics: what the EPR counts, says again and stops saying shows what did not come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhirbridge.adapters.feeds.backport import BackportFeed
from fhirbridge.adapters.feeds.hearing import Ear
from fhirbridge.adapters.feeds.registering import retire
from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.gaps import Cause
from fhirbridge.errors import EprError, EprRefused
from fhirbridge.fhir import notification
from fhirbridge.fhir.capability import topic
from fhirbridge.fhir.notification import Notification
from fhirbridge.fhir.topics import FOLLOWED, topics
from fhirbridge.ports import Event, Resource, Standing
from fhirbridge.service import Site
from fhirbridge.service.intake import ingest
from tests.clock_double import ClockDouble
from tests.shipped import shipped_mapping
from tests.unit.fhir.conformance import faults_of_definition

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TOPIC = topic("Appointment")
ENDPOINT = "http://service.test/fhir/notify/main"


class Epr(MemoryEpr):
    """One that counts its events, and says so by `$status`; and by `$events` which they were, as Bundles in `told`."""

    def __init__(self) -> None:
        super().__init__("main", ClockDouble(START))
        self.operations = ["status", "events"]
        self.so_far = 0
        self.told: list[Resource] = []

    async def capability(self) -> Resource:
        statement = await super().capability()
        for kind in statement["rest"][0]["resource"]:
            if kind["type"] == "Subscription":
                kind["operation"] = [{"name": name, "definition": name} for name in self.operations]
        return statement

    async def invoke(self, path: str) -> Resource:
        subscription, _, operation = path.rpartition("/")
        if operation == "$events":
            return bundle("query-event", self.so_far, subscription, *((n, f"Appointment/a{n}") for n in (1, 2)))
        return bundle("query-status", self.so_far, subscription)


def bundle(kind: str, so_far: int, subscription: str, *events: tuple[int, str]) -> Resource:
    parameters: list[Resource] = [
        {"name": "subscription", "valueReference": {"reference": f"http://epr.test/fhir/{subscription}"}},
        {"name": "topic", "valueCanonical": TOPIC},
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(so_far)},
    ]
    for number, focus in events:
        part = [
            {"name": "event-number", "valueString": str(number)},
            {"name": "focus", "valueReference": {"reference": focus}},
        ]
        parameters.append({"name": "notification-event", "part": part})
    status = {"resourceType": "Parameters", "id": "s", "parameter": parameters}
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}


class Stage:
    def __init__(self, *, readable: bool = True, payload: str = "id-only") -> None:
        self.epr = Epr()
        self.store = MemoryStore()
        self.ear = Ear(self.store)
        self.readable = readable
        self.now = START
        self.feed = BackportFeed(
            self.epr,
            self.store,
            ENDPOINT,
            ear=self.ear,
            reader=self.read,
            payload=payload,
            heartbeat=MINUTE,
        )

    async def read(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        if not self.readable:
            raise EprRefused("it cannot be read")
        yield Event(type=resource_type, id="read")

    async def established(self) -> Standing:
        (watch,) = await self.feed.establish(["Appointment"], self.now)
        return watch.standing

    async def stands(self) -> None:
        """It was registered, read and is told of."""
        await self.established()
        await self.read_again()
        self.now += MINUTE / 4
        assert await self.established() is Standing.ACTIVE
        assert await self.causes() == []

    async def read_again(self) -> None:
        for gap in await self.store.gaps.open():
            await self.store.gaps.covered("main", gap.type, gap.since, self.now, self.now)
        await self.store.gaps.close("main", self.now)

    async def hear(self, *numbers: int, kind: str = "event-notification", so_far: int | None = None) -> bool:
        (kept,) = await self.store.subscriptions("main")
        count = max(numbers, default=0) if so_far is None else so_far
        told = bundle(kind, count, kept.reference, *((n, f"Appointment/a{n}") for n in numbers))
        return await self.ear.heard("main", notification.bundled(told), self.now)

    async def causes(self) -> list[Cause]:
        return [gap.cause for gap in await self.store.gaps.open()]

    async def registered(self) -> list[Resource]:
        return [one async for one in self.epr.search("Subscription", {"url": ENDPOINT})]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize("payload", ["empty", "id-only", "full-resource"])
async def test_it_is_registered_as_the_guide_says(payload: str) -> None:
    stage = Stage(payload=payload)
    assert await stage.established() is Standing.ACTIVE
    (there,) = await stage.registered()
    base = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
    assert there["meta"]["profile"] == [f"{base}backport-subscription"]
    assert there["criteria"] == TOPIC
    content = {"url": f"{base}backport-payload-content", "valueCode": payload}
    assert there["channel"]["_payload"] == {"extension": [content]}
    assert {"url": f"{base}backport-heartbeat-period", "valueUnsignedInt": 60} in there["channel"]["extension"]


async def test_events_in_their_turn_leave_no_gap(stage: Stage) -> None:
    await stage.stands()
    assert not await stage.hear(1)
    assert not await stage.hear(2, 3)
    stage.epr.so_far = 3
    stage.now += MINUTE
    await stage.established()
    assert await stage.causes() == []


async def test_a_number_that_is_skipped_opens_a_gap_at_once(stage: Stage) -> None:
    await stage.stands()
    await stage.hear(1)
    heard = stage.now
    stage.now += MINUTE
    assert await stage.hear(3)
    (gap,) = await stage.store.gaps.open()
    assert (gap.type, gap.feed, gap.cause, gap.since, gap.until) == (
        "Appointment",
        "backport",
        Cause.NUMBERS,
        heard,
        stage.now,
    )


async def test_the_last_event_is_missed_too(stage: Stage) -> None:
    await stage.stands()
    await stage.hear(1)
    stage.epr.so_far = 2
    await stage.established()
    assert await stage.causes() == []  # it may still be on its way
    stage.now += MINUTE
    await stage.established()
    assert await stage.causes() == [Cause.NUMBERS]
    await stage.read_again()
    stage.now += MINUTE
    await stage.hear(kind="heartbeat", so_far=2)
    await stage.established()
    assert await stage.causes() == []


async def test_a_count_that_begins_anew_is_a_gap(stage: Stage) -> None:
    await stage.stands()
    await stage.hear(1)
    await stage.hear(2)
    stage.epr.so_far = 1
    stage.now += MINUTE
    await stage.hear(1)
    assert await stage.causes() == []
    await stage.established()
    assert await stage.causes() == [Cause.RESET]
    await stage.read_again()
    assert not await stage.hear(2)
    assert await stage.causes() == []


async def test_an_event_that_is_told_twice_is_none(stage: Stage) -> None:
    await stage.stands()
    await stage.hear(1)
    await stage.hear(2)
    await stage.hear(1)
    stage.epr.so_far = 2
    await stage.established()
    assert await stage.causes() == []


async def test_silence_is_a_gap_and_has_the_subscription_renewed(stage: Stage) -> None:
    await stage.stands()
    heard = stage.now
    await stage.hear(kind="heartbeat", so_far=0)
    (before,) = await stage.registered()
    stage.now += 2 * MINUTE
    await stage.established()
    assert await stage.causes() == []
    stage.now += MINUTE
    assert await stage.established() is Standing.ACTIVE
    (gap,) = await stage.store.gaps.open()
    assert (gap.cause, gap.since) == (Cause.SILENCE, heard)
    (after,) = await stage.registered()
    assert after["channel"]["header"] != before["channel"]["header"]
    await stage.read_again()
    stage.now += MINUTE
    await stage.established()
    assert await stage.causes() == []


@pytest.mark.parametrize(
    "elsewhere", [{"topic": "http://other.test/SubscriptionTopic/x"}, {"subscription": "Subscription/old"}]
)
async def test_what_others_are_told_counts_for_nothing(stage: Stage, elsewhere: dict[str, Any]) -> None:
    await stage.stands()
    (kept,) = await stage.store.subscriptions("main")
    before = await stage.store.gaps.hearing("main", "Appointment")
    told = {"kind": "event-notification", "topic": TOPIC, "subscription": kept.reference, "numbers": (9,)}
    assert not await stage.ear.heard("main", Notification(**{**told, **elsewhere}), stage.now)
    assert await stage.store.gaps.hearing("main", "Appointment") == before


async def test_an_epr_that_says_it_gave_up_is_looked_after(stage: Stage) -> None:
    await stage.stands()
    (kept,) = await stage.store.subscriptions("main")
    told = Notification(kind="heartbeat", topic=TOPIC, subscription=kept.reference, status="error")
    assert await stage.ear.heard("main", told, stage.now)


async def test_a_notification_that_names_nothing_is_looked_for_among_what_its_topic_is_about(stage: Stage) -> None:
    about = {"code": {"text": "x"}, "subject": {"reference": "Patient/p"}}
    flag = {"resourceType": "Flag", "id": "f1", "status": "active", **about}
    await stage.epr.update(flag)
    site = Site(epr=stage.epr, mapping=shipped_mapping(), packs=())
    told = Notification(kind="event-notification", topic=topic("Flag"), look_again=True)
    assert await ingest(stage.store, site, told, ClockDouble(START)) == 1
    (arrival,) = await stage.store.waiting(9)
    assert (arrival.event.type, arrival.event.id) == ("Flag", "f1")


async def test_what_cannot_be_read_is_asked_for_as_events() -> None:
    stage = Stage(readable=False)
    await stage.stands()
    events = [event async for event in stage.feed.look("Appointment", START, stage.now)]
    assert [(event.type, event.id) for event in events] == [("Appointment", "a1"), ("Appointment", "a2")]
    stage.epr.operations.remove("events")
    with pytest.raises(EprRefused, match="cannot be read"):
        await anext(stage.feed.look("Appointment", START, stage.now))


async def test_what_can_be_read_is_read(stage: Stage) -> None:
    await stage.stands()
    assert [event.id async for event in stage.feed.look("Appointment", START, stage.now)] == ["read"]


async def test_an_answer_that_is_no_status_is_the_epr_s_fault(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nonsense(path: str) -> Resource:
        return {"resourceType": "Bundle", "entry": []}

    monkeypatch.setattr(stage.epr, "invoke", nonsense)
    with pytest.raises(EprError, match=r"\$status"):
        await stage.established()


async def test_another_kind_of_feed_takes_its_place(stage: Stage) -> None:
    await stage.stands()
    await retire(stage.epr, stage.store, {TOPIC})
    assert [one["status"] for one in await stage.registered()] == ["active"]
    await retire(stage.epr, stage.store, {"Appointment?"})
    assert [one["status"] for one in await stage.registered()] == ["off"]
    assert [kept.reference for kept in await stage.store.subscriptions("main")] == [""]


@pytest.mark.parametrize(
    "made", [one for one in topics("1.0") if one["resourceType"] == "Basic"], ids=lambda one: one["id"]
)
def test_a_topic_as_basic_is_valid_r4(made: Resource) -> None:
    assert faults_of_definition(made) == []


def test_there_is_a_topic_for_everything_that_is_followed() -> None:
    found = {one["url"]: one for one in topics("1.0") if one["resourceType"] == "SubscriptionTopic"}
    assert found.keys() == {topic(name) for name in FOLLOWED}
    assert all(one["resourceTrigger"][0]["resource"].endswith(f"/{one['id']}") for one in found.values())
