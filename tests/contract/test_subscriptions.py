"""Subscriptions: registered once, looked after, renewed; and delivered by a real FHIR server to a real receiver."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import uvicorn
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirbridge.adapters.auth import BearerToken
from fhirbridge.adapters.epr import FhirEpr
from fhirbridge.adapters.feeds.registering import secret_matches
from fhirbridge.adapters.feeds.rest_hook import NEEDED, RestHookFeed
from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.gaps import Cause
from fhirbridge.errors import EprRefused, EprUnavailable
from fhirbridge.ports import Event, Resource, Standing, Subscribed, Watch
from tests.clock_double import ClockDouble
from tests.loopback import free_port
from tests.servers.sekmet import sekmet

Adapter = FhirEpr | MemoryEpr

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["memory", "sekmet"])
async def epr(request: pytest.FixtureRequest) -> AsyncIterator[Adapter]:
    if request.param == "memory":
        yield MemoryEpr("trust", ClockDouble(NOW))
        return
    async with FhirEpr("trust", request.getfixturevalue("sekmet_url")) as over_http:
        yield over_http
        async for left in over_http.search("Subscription", {"status": "active"}):
            await over_http.update({**left, "status": "off"})


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def endpoint() -> str:
    """An address of its own for each test; nothing is sent there unless something listens."""
    return f"http://127.0.0.1:9/{uuid4()}/fhir/notify/trust"


def subscribed(criteria: str, reference: str, secret: str) -> Subscribed:
    return Subscribed(epr="trust", criteria=criteria, reference=reference, secret=secret, since=NOW)


async def registered(epr: Adapter, endpoint: str) -> list[Resource]:
    return [one async for one in epr.search("Subscription", {"url": endpoint}) if one["status"] != "off"]


async def unread(resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
    if resource_type:
        pytest.fail("nothing is to be read here")
    yield Event(type=resource_type, id="")


async def ensure(epr: Adapter, store: MemoryStore, endpoint: str, types: Sequence[str], now: datetime) -> list[Watch]:
    return await RestHookFeed(epr, store, endpoint, reader=unread).establish(types, now)


class Stood(Struct):
    """How the feed stood, and from when on its changes had to be read then."""

    standing: Standing
    reference: str
    gap_since: datetime | None
    why: str
    cause: Cause | None = None


async def one(epr: Adapter, store: MemoryStore, endpoint: str, now: datetime) -> Stood:
    """Look after it; and read what may have been missed, if it stands."""
    (watch,) = await ensure(epr, store, endpoint, ["Appointment"], now)
    gap = next(iter(await store.gaps.open("trust")), None)
    if gap is not None and watch.standing is Standing.ACTIVE:
        await store.gaps.covered("trust", "Appointment", gap.since, now, now)
        await store.gaps.close("trust", now)
    return Stood(watch.standing, watch.reference, gap.since if gap else None, watch.why, gap.cause if gap else None)


async def test_a_new_subscription_is_active_and_its_secret_kept(
    epr: Adapter, store: MemoryStore, endpoint: str
) -> None:
    watch = await one(epr, store, endpoint, NOW)
    assert (watch.standing, watch.gap_since) == (Standing.ACTIVE, NOW)
    (there,) = await registered(epr, endpoint)
    (kept,) = await store.subscriptions("trust")
    assert kept == subscribed("Appointment?", watch.reference, kept.secret)
    assert there["criteria"] == "Appointment?"
    assert there["channel"]["header"] == [f"Authorization: Bearer {kept.secret}"]
    assert len(kept.secret) >= 32


async def test_each_subscription_has_a_secret_of_its_own(epr: Adapter, store: MemoryStore, endpoint: str) -> None:
    watches = await ensure(epr, store, endpoint, NEEDED, NOW)
    assert [watch.standing for watch in watches] == [Standing.ACTIVE] * 3
    assert len({kept.secret for kept in await store.subscriptions("trust")}) == 3


async def test_one_that_stands_is_left_alone(epr: Adapter, store: MemoryStore, endpoint: str) -> None:
    first = await one(epr, store, endpoint, NOW)
    (before,) = await registered(epr, endpoint)
    second = await one(epr, store, endpoint, NOW + MINUTE)
    assert (second.standing, second.reference, second.gap_since) == (Standing.ACTIVE, first.reference, None)
    assert await registered(epr, endpoint) == [before]
    (kept,) = await store.subscriptions("trust")
    assert kept.since == NOW + MINUTE


@pytest.mark.parametrize("stopped", ["error", "off"])
async def test_one_that_the_epr_stopped_is_renewed_and_the_gap_told(
    epr: Adapter, store: MemoryStore, endpoint: str, stopped: str
) -> None:
    first = await one(epr, store, endpoint, NOW)
    there = await epr.read(first.reference)
    assert there is not None
    await epr.update({**there, "status": stopped})
    watch = await one(epr, store, endpoint, NOW + MINUTE)
    assert (watch.standing, watch.reference, watch.gap_since) == (Standing.ACTIVE, first.reference, NOW)
    assert "stopped" in watch.why
    assert watch.cause is (Cause.ERROR if stopped == "error" else Cause.OFF)
    assert (await one(epr, store, endpoint, NOW + 2 * MINUTE)).gap_since is None
    (renewed,) = await registered(epr, endpoint)
    assert {**renewed["channel"], "header": []} == {**there["channel"], "header": []}


async def stop(epr: Adapter, reference: str) -> None:
    there = await epr.read(reference)
    assert there is not None
    await epr.update({**there, "status": "error"})


async def test_each_renewal_brings_a_new_secret(epr: Adapter, store: MemoryStore, endpoint: str) -> None:
    first = await one(epr, store, endpoint, NOW)
    (before,) = await store.subscriptions("trust")
    await stop(epr, first.reference)
    await one(epr, store, endpoint, NOW + MINUTE)
    (after,) = await store.subscriptions("trust")
    (there,) = await registered(epr, endpoint)
    assert there["channel"]["header"] == [f"Authorization: Bearer {after.secret}"]
    assert secret_matches(f"Bearer {after.secret}", [after])
    assert not secret_matches(f"Bearer {before.secret}", [after])


async def test_the_former_secret_is_good_until_the_new_one_is_active(
    store: MemoryStore, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    epr = MemoryEpr("trust", ClockDouble(NOW))
    first = await one(epr, store, endpoint, NOW)
    (before,) = await store.subscriptions("trust")
    await stop(epr, first.reference)
    with monkeypatch.context() as broken:
        broken.setattr(epr, "update", refusing)
        for _ in range(2):
            with pytest.raises(EprUnavailable):
                await one(epr, store, endpoint, NOW + MINUTE)
    (meanwhile,) = await store.subscriptions("trust")
    assert secret_matches(f"Bearer {before.secret}", [meanwhile])
    assert secret_matches(f"Bearer {meanwhile.secret}", [meanwhile])

    watch = await one(epr, store, endpoint, NOW + 2 * MINUTE)
    (after,) = await store.subscriptions("trust")
    assert (watch.standing, watch.gap_since) == (Standing.ACTIVE, NOW)
    assert after.secret == meanwhile.secret != before.secret
    assert not secret_matches(f"Bearer {before.secret}", [after])


async def test_one_that_stands_again_with_the_former_secret_is_given_the_new_one(
    store: MemoryStore, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    epr = MemoryEpr("trust", ClockDouble(NOW))
    first = await one(epr, store, endpoint, NOW)
    (stands,) = await registered(epr, endpoint)
    await stop(epr, first.reference)
    with monkeypatch.context() as broken:
        broken.setattr(epr, "update", refusing)
        with pytest.raises(EprUnavailable):
            await one(epr, store, endpoint, NOW + MINUTE)
    await epr.update(stands)
    watch = await one(epr, store, endpoint, NOW + 2 * MINUTE)
    (after,) = await store.subscriptions("trust")
    (there,) = await registered(epr, endpoint)
    assert there["channel"]["header"] == [f"Authorization: Bearer {after.secret}"]
    assert (watch.gap_since, after.former) == (NOW, "")


async def refusing(resource: Resource) -> Resource:
    raise EprUnavailable("away")


async def test_a_crash_between_the_epr_and_the_store_keeps_secret_and_gap(
    store: MemoryStore, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    epr = MemoryEpr("trust", ClockDouble(NOW))
    first = await one(epr, store, endpoint, NOW)
    await stop(epr, first.reference)
    update = epr.update

    async def then_lost(resource: Resource) -> Resource:
        await update(resource)
        raise EprUnavailable("the answer was lost")

    monkeypatch.setattr(epr, "update", then_lost)
    with pytest.raises(EprUnavailable):
        await one(epr, store, endpoint, NOW + MINUTE)
    (meanwhile,) = await store.subscriptions("trust")
    watch = await one(epr, store, endpoint, NOW + 2 * MINUTE)
    (after,) = await store.subscriptions("trust")
    assert (watch.standing, watch.gap_since) == (Standing.ACTIVE, NOW)
    assert (after.secret, after.former) == (meanwhile.secret, "")


async def test_one_registered_just_before_a_crash_is_found_again(
    epr: Adapter, store: MemoryStore, endpoint: str
) -> None:
    first = await one(epr, store, endpoint, NOW)
    (kept,) = await store.subscriptions("trust")
    after_crash = MemoryStore()
    await after_crash.subscribed(subscribed(kept.criteria, "", kept.secret))
    watch = await one(epr, after_crash, endpoint, NOW + MINUTE)
    assert (watch.reference, watch.gap_since) == (first.reference, NOW)
    assert len(await registered(epr, endpoint)) == 1


async def test_one_whose_secret_was_lost_gets_a_new_one(epr: Adapter, store: MemoryStore, endpoint: str) -> None:
    first = await one(epr, store, endpoint, NOW)
    emptied = MemoryStore()
    watch = await one(epr, emptied, endpoint, NOW + MINUTE)
    (there,) = await registered(epr, endpoint)
    (kept,) = await emptied.subscriptions("trust")
    assert watch.reference == first.reference
    assert there["channel"]["header"] == [f"Authorization: Bearer {kept.secret}"]


async def test_one_that_was_deleted_is_registered_anew(epr: Adapter, store: MemoryStore, endpoint: str) -> None:
    await store.subscribed(subscribed("Appointment?", "Subscription/gone", "s" * 43))
    watch = await one(epr, store, endpoint, NOW + MINUTE)
    assert (watch.standing, watch.gap_since) == (Standing.ACTIVE, NOW)
    assert len(await registered(epr, endpoint)) == 1


async def test_one_that_leads_elsewhere_is_brought_here(epr: Adapter, store: MemoryStore, endpoint: str) -> None:
    first = await one(epr, store, endpoint, NOW)
    watch = await one(epr, store, f"{endpoint}-moved", NOW + MINUTE)
    assert (watch.reference, watch.gap_since) == (first.reference, NOW)
    assert await registered(epr, endpoint) == []
    assert len(await registered(epr, f"{endpoint}-moved")) == 1


async def test_of_several_the_same_one_is_kept(epr: Adapter, store: MemoryStore, endpoint: str) -> None:
    await one(epr, MemoryStore(), endpoint, NOW)
    (first,) = await registered(epr, endpoint)
    await epr.create({name: part for name, part in first.items() if name not in ("id", "meta")})
    watch = await one(epr, store, endpoint, NOW + MINUTE)
    assert [there["id"] for there in await registered(epr, endpoint)] == [watch.reference.removeprefix("Subscription/")]


async def test_what_the_epr_does_not_offer_is_said(epr: Adapter, store: MemoryStore, endpoint: str) -> None:
    types = ("Appointment", "CareTeam")
    watches = {watch.type: watch.standing for watch in await ensure(epr, store, endpoint, types, NOW)}
    assert watches == {"Appointment": Standing.ACTIVE, "CareTeam": Standing.NOT_OFFERED}


async def test_an_epr_without_subscriptions_is_not_asked_for_one(store: MemoryStore, endpoint: str) -> None:
    class Without(MemoryEpr):
        async def capability(self) -> Resource:
            return {"rest": [{"mode": "server", "resource": [{"type": "Appointment"}]}]}

    watch = await one(Without("trust", ClockDouble(NOW)), store, endpoint, NOW)
    assert watch.standing is Standing.NOT_OFFERED


async def test_a_refusal_of_one_does_not_stop_the_others(
    store: MemoryStore, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    epr = MemoryEpr("trust", ClockDouble(NOW))
    create = epr.create

    async def choosy(resource: Resource) -> Resource:
        if resource["criteria"] == "Encounter?":
            raise EprRefused("no Encounters")
        return await create(resource)

    monkeypatch.setattr(epr, "create", choosy)
    watches = await ensure(epr, store, endpoint, NEEDED, NOW)
    assert [watch.standing for watch in watches] == [Standing.ACTIVE, Standing.REFUSED, Standing.ACTIVE]
    assert watches[1].why == "no Encounters"


async def test_one_that_is_not_activated_at_once_keeps_its_gap_until_it_is(
    store: MemoryStore, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    epr = MemoryEpr("trust", ClockDouble(NOW))
    read = epr.read
    slow = True

    async def not_yet(reference: str) -> Resource | None:
        resource = await read(reference)
        return {**resource, "status": "requested"} if resource and slow else resource

    monkeypatch.setattr(epr, "read", not_yet)
    assert (await one(epr, store, endpoint, NOW)).standing is Standing.PENDING
    slow = False
    watch = await one(epr, store, endpoint, NOW + MINUTE)
    assert (watch.standing, watch.gap_since) == (Standing.ACTIVE, NOW)
    assert (await one(epr, store, endpoint, NOW + 2 * MINUTE)).gap_since is None
    assert len(await registered(epr, endpoint)) == 1


async def test_a_crash_before_the_reading_does_not_forget_the_gap(
    epr: Adapter, store: MemoryStore, endpoint: str
) -> None:
    first = await one(epr, store, endpoint, NOW)
    await stop(epr, first.reference)
    await ensure(epr, store, endpoint, ["Appointment"], NOW + MINUTE)  # and nothing was read: the process died
    watch = await one(epr, store, endpoint, NOW + 2 * MINUTE)
    assert (watch.standing, watch.gap_since, watch.cause) == (Standing.ACTIVE, NOW, Cause.ERROR)


async def test_the_gap_is_known_before_the_epr_is_put_right(
    store: MemoryStore, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    epr = MemoryEpr("trust", ClockDouble(NOW))
    first = await one(epr, store, endpoint, NOW)
    await stop(epr, first.reference)
    monkeypatch.setattr(epr, "update", refusing)
    with pytest.raises(EprUnavailable):
        await ensure(epr, store, endpoint, ["Appointment"], NOW + MINUTE)
    (gap,) = await store.gaps.open("trust")
    assert (gap.type, gap.feed, gap.since, gap.until) == ("Appointment", "rest-hook", NOW, NOW + MINUTE)


async def test_one_that_fails_again_and_again_is_renewed_ever_more_seldom(store: MemoryStore, endpoint: str) -> None:
    epr = MemoryEpr("trust", ClockDouble(NOW))
    feed = RestHookFeed(epr, store, endpoint, reader=unread)
    (first,) = await feed.establish(["Appointment"], NOW)
    renewals, watch = [], Watch(type="Appointment", standing=Standing.PENDING)
    for second in range(60):
        await stop(epr, first.reference)
        (watch,) = await feed.establish(["Appointment"], NOW + timedelta(seconds=second))
        if watch.standing is Standing.ACTIVE:
            renewals.append(second)
    assert renewals == [1, 3, 7, 15, 31]
    assert "renewed at 09:01:03 UTC" in watch.why
    until = {gap.cause: gap.until for gap in await store.gaps.open("trust")}
    assert until[Cause.ERROR] == NOW + timedelta(seconds=59)

    there = await epr.read(first.reference)
    assert there is not None
    await epr.update({**there, "status": "active"})
    await feed.establish(["Appointment"], NOW + 2 * MINUTE)
    await stop(epr, first.reference)
    (watch,) = await feed.establish(["Appointment"], NOW + 3 * MINUTE)
    assert watch.standing is Standing.ACTIVE


async def test_a_notification_that_carries_nothing_can_be_asked_for(
    epr: Adapter, store: MemoryStore, endpoint: str
) -> None:
    await RestHookFeed(epr, store, endpoint, reader=unread, empty=True).establish(["Appointment"], NOW)
    (there,) = await registered(epr, endpoint)
    assert "payload" not in there["channel"]


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ("Bearer right", True),
        ("bearer other", True),
        ("Bearer wrong", False),
        ("Basic right", False),
        ("Bearer", False),
        ("", False),
        ("Bearer ríght", False),
    ],
)
def test_the_secret_of_a_notification(header: str, matches: bool) -> None:
    kept = [subscribed(f"{secret}?", "Subscription/1", secret) for secret in ("right", "other")]
    assert secret_matches(header, kept) is matches
    assert not secret_matches(header, [])


Notification = tuple[str, str, str, Resource]
"""Method, path, Authorization header, resource."""


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, asyncio.Queue[Notification]]]:
    """A notification endpoint: its URL, and what was sent there."""
    received: asyncio.Queue[Notification] = asyncio.Queue()
    started = asyncio.Event()

    async def take(request: Request) -> Response:
        authorization = request.headers.get("authorization", "")
        await received.put((request.method, request.url.path, authorization, await request.json()))
        return Response()

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

    port = free_port()
    application = Starlette(routes=[Route("/{path:path}", take, methods=["POST", "PUT"])])
    server = Announcing(uvicorn.Config(application, port=port, log_level="error", lifespan="off"))
    running = asyncio.create_task(server.serve())
    await asyncio.wait_for(started.wait(), 10)
    try:
        yield f"http://127.0.0.1:{port}", received
    finally:
        server.should_exit = True
        await running


async def test_a_real_server_notifies_with_the_resource_and_the_secret(sekmet_url: str, store: MemoryStore) -> None:
    async with receiver() as (url, received), FhirEpr("trust", sekmet_url) as epr:
        endpoint = f"{url}/fhir/notify/trust"
        await ensure(epr, store, endpoint, ("Appointment", "Encounter"), NOW)
        appointment = await epr.create(
            {
                "resourceType": "Appointment",
                "status": "noshow",
                "start": "2026-03-02T09:00:00Z",
                "end": "2026-03-02T09:30:00Z",
                "participant": [{"actor": {"reference": f"Patient/{uuid4()}"}, "status": "accepted"}],
            }
        )
        method, path, authorization, resource = await asyncio.wait_for(received.get(), 20)
        assert (method, path) == ("PUT", f"/fhir/notify/trust/Appointment/{appointment['id']}")
        assert resource == appointment
        kept = {one.criteria: one for one in await store.subscriptions("trust")}
        assert secret_matches(authorization, [kept["Appointment?"]])
        assert not secret_matches(authorization, [kept["Encounter?"]])
        for registration in await registered(epr, endpoint):
            await epr.update({**registration, "status": "off"})


async def test_an_epr_that_is_restarted_still_has_its_subscriptions(tmp_path: Path, store: MemoryStore) -> None:
    port, endpoint = free_port(), "http://127.0.0.1:9/fhir/notify/trust"
    with sekmet(tmp_path, port=port, token="t0ken") as base_url:
        async with FhirEpr("trust", base_url, auth=BearerToken("t0ken")) as epr:
            first = await one(epr, store, endpoint, NOW)
    async with FhirEpr("trust", base_url, auth=BearerToken("t0ken")) as epr:
        with pytest.raises(EprUnavailable):
            await one(epr, store, endpoint, NOW + MINUTE)
        with sekmet(tmp_path, port=port, token="t0ken"):
            watch = await one(epr, store, endpoint, NOW + 2 * MINUTE)
            assert (watch.standing, watch.reference, watch.gap_since) == (Standing.ACTIVE, first.reference, None)


async def test_an_epr_that_does_not_take_the_token_is_unavailable(tmp_path: Path, store: MemoryStore) -> None:
    with sekmet(tmp_path, token="rotated") as base_url:
        async with FhirEpr("trust", base_url, auth=BearerToken("t0ken")) as epr:
            with pytest.raises(EprUnavailable, match="401"):
                await one(epr, store, "http://127.0.0.1:9/fhir/notify/trust", NOW)
