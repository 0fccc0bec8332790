"""Builds the service: store, EPRs and their sites, from settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from fhirbridge.adapters.feeds.rest_hook import NEEDED, Standing, Watch, ensure
from fhirbridge.adapters.store import open_store
from fhirbridge.errors import EprError, EprRefused, FhirbridgeError
from fhirbridge.ports import Clock, Store
from fhirbridge.service import Service, Site, said
from fhirbridge.settings import Settings
from fhirbridge.wiring.eprs import SystemClock, epr_of, mapping_of
from fhirbridge.wiring.letters import stationery_of
from fhirbridge.wiring.policies import Archive, assignments_of, calendar_of, directory_of, pack_of

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Runtime:
    """A service that is built, with what the edges need beside it.

    `unready` says by name what is not ready, and why; empty when the service can do its work. `woken` rings when there
    is something in the inbox.
    """

    settings: Settings
    service: Service
    store: Store
    clock: Clock
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    unready: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def built(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Runtime]:
    """Build the service; everything it holds is closed with the block.

    Raises:
        ConfigurationError: a setting, pack, mapping or directory is wrong.
        StoreUnavailable: the database does not answer.
    """
    calendar = calendar_of(settings.zone, settings.holidays)
    names = {name for epr in settings.eprs.values() for name in epr.packs or settings.packs}
    packs = {name: pack_of(name, settings, calendar) for name in sorted(names | set(settings.packs))}
    assignments = assignments_of(settings, calendar)
    archive = Archive(settings, calendar)
    stationery = stationery_of(settings, calendar)
    time = clock or SystemClock()
    async with AsyncExitStack() as stack:
        store = await open_store(settings.database_url, lease=timedelta(seconds=settings.lease))
        stack.push_async_callback(store.close)
        sites = {}
        for name, one in settings.eprs.items():
            epr = await stack.enter_async_context(epr_of(name, one))
            mapping = mapping_of(name, one)
            sites[name] = Site(
                epr=epr,
                mapping=mapping,
                packs=tuple(packs[pack] for pack in one.packs or settings.packs),
                calendar=calendar,
                directory=directory_of(mapping),
                assignments=() if one.packs else assignments,
                editions=archive,
                trust_payload=one.trust_payload,
                stationery=stationery,
            )
        yield Runtime(settings=settings, service=Service(store, sites, time), store=store, clock=time)


async def watch(runtime: Runtime, stop: asyncio.Event) -> None:
    """Ensure the subscriptions at every EPR, again and again, and read what they may have missed."""
    every = runtime.settings.check_subscriptions
    watched = [name for name, one in runtime.settings.eprs.items() if one.subscribe]
    runtime.unready.update(dict.fromkeys(map(_subscriptions_at, watched), "not checked yet"))
    while not stop.is_set():
        soon = every
        for name in watched:
            if not await _watch_one(runtime, name):
                soon = min(every, 5.0)
        try:
            await asyncio.wait_for(stop.wait(), soon)
        except TimeoutError:
            continue


async def _watch_one(runtime: Runtime, name: str) -> bool:
    site = runtime.service.sites[name]
    endpoint = f"{runtime.settings.reached_at}/fhir/notify/{name}"
    place = _subscriptions_at(name)
    try:
        watches = await ensure(
            site.epr, runtime.store, endpoint, sorted(site.mapping.resource_types), runtime.clock.now()
        )
        for one in watches:
            await catch_up(runtime, name, one)
    except FhirbridgeError as error:
        if not isinstance(error, EprError) and not error.transient:
            raise
        runtime.unready[place] = str(error)
        _log.warning("subscriptions could not be checked", epr=name, why=said(error))
        return False
    blind = [f"{one.type}: {one.why or one.standing}" for one in watches if _is_missing(one)]
    if blind:
        runtime.unready[place] = "; ".join(blind)
    else:
        runtime.unready.pop(place, None)
    return not blind


def _subscriptions_at(epr: str) -> str:
    return f"subscriptions at {epr}"


def _is_missing(one: Watch) -> bool:
    return one.type in NEEDED and one.standing is not Standing.ACTIVE


async def catch_up(runtime: Runtime, name: str, one: Watch) -> None:
    """Read what changed since the subscription was last seen active, and some time before.

    An EPR may still have been trying to notify when it was seen so; what is read twice counts once.
    """
    if one.gap_since is None or one.standing is not Standing.ACTIVE:
        return
    since = one.gap_since - timedelta(seconds=runtime.settings.overlap)
    try:
        found = await runtime.service.catch_up(name, one.type, since)
    except EprRefused as refusal:
        _log.warning("the EPR cannot say what changed", epr=name, type=one.type, why=said(refusal))
        return
    _log.info("read what may not have been notified", epr=name, type=one.type, events=found)
