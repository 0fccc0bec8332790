"""Builds the service: store, EPRs and their sites, from settings."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from fhirbridge.adapters.feeds.hearing import Ear
from fhirbridge.adapters.store import open_store
from fhirbridge.adapters.system_clock import SystemClock
from fhirbridge.channels import Practices
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.policy import Pack
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.letters import Stationery
from fhirbridge.ports import Clock, Epr, Store
from fhirbridge.service import Bell, Service, Site
from fhirbridge.service.addressing import Addressing
from fhirbridge.service.assigning import Assignment
from fhirbridge.service.loops import Bounds
from fhirbridge.settings import EprSettings, Settings
from fhirbridge.wiring.channels import addressing_of, channels_of, practices_of
from fhirbridge.wiring.eprs import epr_of, mapping_of
from fhirbridge.wiring.letters import stationery_of
from fhirbridge.wiring.policies import Archive, assignments_of, calendar_of, directory_of, pack_of


@dataclass(frozen=True)
class Runtime:
    """A service that is built, with what the edges need beside it.

    `unready` says by name what is not ready, and why; empty when the service can do its work. `alarms` say by name what
    a person has to see to, though it can. `woken` rings when there is something in the inbox, `doubts` by EPR when its
    feeds have to be looked after before their time.
    """

    settings: Settings
    service: Service
    store: Store
    clock: Clock
    woken: Bell = field(default_factory=Bell)
    unready: dict[str, str] = field(default_factory=dict)
    alarms: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    @cached_property
    def ear(self) -> Ear:
        """Hears what notifications of topics say about those that did not come."""
        return Ear(self.store)


@asynccontextmanager
async def built(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Runtime]:
    """Build the service; everything it holds is closed with the block.

    Raises:
        ConfigurationError: a setting, pack, mapping or directory is wrong.
        StoreUnavailable: the database does not answer.
    """
    shared = _Shared.of(settings)
    time = clock or SystemClock()
    async with AsyncExitStack() as stack:
        store = await open_store(settings.database_url, lease=timedelta(seconds=settings.lease))
        stack.push_async_callback(store.close)
        channels = await channels_of(settings, time, stack)
        addressing = addressing_of(settings, channels)
        sites = {}
        for name, one in settings.eprs.items():
            epr = await stack.enter_async_context(epr_of(name, one))
            sites[name] = shared.site(epr, mapping_of(name, one), one, addressing)
        service = Service(store, sites, time, channels, opens_after=settings.opens_after)
        await store.dispatches.look_again(time.now())
        yield Runtime(settings=settings, service=service, store=store, clock=time)


@dataclass(frozen=True)
class _Shared:
    """What the sites of all EPRs have in common: the policies, and the means to carry them out."""

    settings: Settings
    calendar: Calendar
    packs: dict[str, Pack]
    assignments: tuple[Assignment, ...]
    editions: Archive
    stationery: Stationery | None
    practices: Practices | None

    @classmethod
    def of(cls, settings: Settings) -> _Shared:
        calendar = calendar_of(settings.zone, settings.holidays)
        names = {name for epr in settings.eprs.values() for name in epr.packs or settings.packs}
        return cls(
            settings=settings,
            calendar=calendar,
            packs={name: pack_of(name, settings, calendar) for name in sorted(names | set(settings.packs))},
            assignments=assignments_of(settings, calendar),
            editions=Archive(settings, calendar),
            stationery=stationery_of(settings, calendar),
            practices=practices_of(settings),
        )

    def site(self, epr: Epr, mapping: Mapping, of: EprSettings, addressing: Addressing) -> Site:
        """One EPR; where it has packs of its own, they are for all of its cases."""
        return Site(
            epr=epr,
            mapping=mapping,
            packs=tuple(self.packs[name] for name in of.packs or self.settings.packs),
            calendar=self.calendar,
            directory=directory_of(mapping),
            assignments=() if of.packs else self.assignments,
            editions=self.editions,
            trust_payload=of.trust_payload,
            stationery=self.stationery,
            addressing=addressing,
            practices=self.practices,
            writes=dict(of.writes),
            bounds=Bounds(**self.settings.loops.model_dump()),
        )
