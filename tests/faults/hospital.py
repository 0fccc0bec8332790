"""The EPR of a run: what staff and the audit see of it is true; what the service sees of it has the faults.

`Hospital` is the record itself, complete and always there. `FaultyEpr` is the same EPR over a bad line: it is what the
service is given. Writes go through the service's own delivery code, so that what is shown holds for that code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from fhirbridge.adapters.epr.delivery import deliver
from fhirbridge.adapters.epr.entries import reference_of
from fhirbridge.adapters.memory_epr import MemoryEpr, OnChange
from fhirbridge.errors import EprConflict, EprRefused, EprUnauthorised, EprUnavailable
from fhirbridge.fhir.canonical import OBLIGATION
from fhirbridge.fhir.capability import Capability, topic
from fhirbridge.fhir.capability.statement import Offer
from fhirbridge.ports import Clock, Delivery, Event, Receipt, Resource
from tests.faults.offers import statement
from tests.faults.process import Process
from tests.faults.weather import Fault, Weather

LAG = timedelta(minutes=25)
"""How far a replica may be behind."""


HOW = ("error", "off", "deleted", "elsewhere")
"""How a subscription ends."""


class Time:
    """Virtual time."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def now(self) -> datetime:
        """The present instant."""
        return self.time


class Hospital(MemoryEpr):
    """The record, and what may be known about it without asking through the service's line."""

    def __init__(self, clock: Clock, on_change: OnChange | None) -> None:
        super().__init__("main", clock, on_change)
        self.written: dict[str, list[int]] = defaultdict(list)
        """For each resource, which of its versions the service wrote."""
        self.endpoint = ""
        """Where a subscription has to lead to reach the service."""
        self.counted: Callable[[Resource], Resource] = dict
        """What `$status` of a Subscription says."""

    @property
    def committed(self) -> Mapping[str, Sequence[Resource | None]]:
        """Every version of every resource by its reference, oldest first; None for a deletion."""
        return self._versions

    @property
    def dated(self) -> Sequence[tuple[datetime, Event]]:
        """Everything that was committed, and when, in its order."""
        return self._committed

    def standing(self, *kinds: str) -> list[Resource]:
        """Current versions of these types, by reference."""
        current = (versions[-1] for _, versions in sorted(self._versions.items()))
        return [one for one in current if one is not None and one["resourceType"] in kinds]

    def subscription(self, resource_type: str) -> Resource | None:
        """The Subscription by which the service is told of this type; None while there is none in force."""
        criteria = (f"{resource_type}?", topic(resource_type))
        for one in self.standing("Subscription"):
            if (
                one["status"] == "active"
                and one["criteria"] in criteria
                and one["channel"]["endpoint"] == self.endpoint
            ):
                return one
        return None

    async def invoke(self, path: str) -> Resource:
        """`$status` of a Subscription."""
        subscription = await self.read(path.removesuffix("/$status"))
        if subscription is None:
            raise EprRefused(f"main: {path}: 404")
        return self.counted(subscription)

    async def waits(self, subscription: Resource) -> Resource:
        """A Subscription that was active at once is not, after all."""
        versions = self._versions[reference_of(subscription)]
        idle = {**subscription, "status": "requested"}
        versions[-1] = idle
        return idle

    async def activate(self, reference: str) -> None:
        """A Subscription that waited to be activated is, unless it was ended or replaced meanwhile."""
        waiting = self._versions[reference][-1]
        if waiting is not None and waiting["status"] == "requested":
            await self.update(waiting)

    async def end(self, subscription: Resource, how: str) -> None:
        """Nothing is told by this Subscription any more."""
        match how:
            case "deleted":
                await self.delete(reference_of(subscription))
            case "elsewhere":
                channel = {**subscription["channel"], "endpoint": "https://former.example/notify"}
                await self.update({**subscription, "channel": channel})
            case _:
                await self.update({**subscription, "status": how})

    async def touch(self, reference: str, *, forget: bool = False) -> None:
        """A rule of the EPR notes something on a resource; it may take off whatever it does not know."""
        resource = await self.read(reference)
        if resource is None:
            return
        if forget:
            resource.pop("identifier", None)
            resource["meta"] = {name: part for name, part in resource["meta"].items() if name != "tag"}
        note = {"text": f"seen by rule {resource['meta']['versionId']}"}
        await self.update({**resource, "note": [*resource.get("note", []), note]})


class FaultyEpr:
    """`ports.Epr` over a bad line."""

    def __init__(self, hospital: Hospital, clock: Clock, weather: Weather) -> None:
        self.name = hospital.name
        self.hospital = hospital
        self.process = Process(weather)
        self._clock = clock
        self._weather = weather
        self._statement: Resource = {}
        self._offers: dict[str, Offer] = {}
        self.idle: dict[str, datetime] = {}
        """Subscriptions that wait to be activated, and until when."""

    async def capability(self) -> Resource:
        """Its CapabilityStatement, which never changes and is asked for once."""
        if not self._statement:
            weather, whole = self._weather, await self.hospital.capability()
            self._statement = statement(whole, weather.feed, weather.dice.seed, transactions=not weather.singly)
            # Where it is not watched, the feeds are chosen by the run, and the statement does not say.
            self._offers = dict(Capability.of(self._statement).offers) if weather.feed.watched else {}
        return self._statement

    async def read(self, reference: str) -> Resource | None:
        """The current version, or the one that the replica still has."""
        self._line(f"read {reference}")
        if self._weather.strikes(Fault.STALE, f"read {reference}", 0.15):
            return self._lagging(reference)
        return await self.hospital.read(reference)

    async def history(self, reference: str) -> list[Resource]:
        """Every version, or those that the replica has already."""
        self._line(f"history {reference}")
        versions = await self.hospital.history(reference)
        if self._weather.strikes(Fault.STALE, f"history {reference}", 0.15):
            return [version for version in versions if not self._is_new(version)]
        return versions

    async def search(
        self, resource_type: str, parameters: Mapping[str, str | Sequence[str]]
    ) -> AsyncIterator[Resource]:
        """All matches, as far as the replica has them; one that moves from page to page comes twice."""
        name = f"search {resource_type} {sorted(parameters.items())}"
        self._line(name)
        offer = self._offers.get(resource_type)
        if offer is not None and (unknown := [one for one in parameters if not offer.searches(one)]):
            raise EprRefused(f"main: search {resource_type}: 400 {unknown[0]} is not known")
        found = [one async for one in self.hospital.search(resource_type, parameters)]
        # Nobody looks for what they are about to write on a replica: a create is conditional at the EPR itself.
        ours = "identifier" in parameters or resource_type == "Provenance"
        if not ours and self._weather.strikes(Fault.STALE, name, 0.15):
            lagging = [self._lagging(reference_of(one)) for one in found]
            found = [one for one in lagging if one is not None]
        if not ours and len(found) > 1 and self._weather.strikes(Fault.DRIFTING, name, 0.15):
            found.append(self._weather.dice.one_of(name, found))
        for one in found:
            yield one

    async def changes(self, resource_type: str, since: datetime) -> AsyncIterator[Event]:
        """Every version of the type since then, or those that the replica has already."""
        name = f"changes {resource_type}"
        self._line(name)
        offer = self._offers.get(resource_type)
        if offer is not None and not offer.can("history-type"):
            raise EprRefused(f"main: history of {resource_type}: 405 is not offered")
        behind = self._weather.strikes(Fault.STALE, name, 0.15)
        async for event in self.hospital.changes(resource_type, since):
            if not behind or event.resource is None or not self._is_new(event.resource):
                yield event

    async def invoke(self, path: str) -> Resource:
        """An operation."""
        self._line("invoke")
        return await self.hospital.invoke(path)

    async def deliver(self, deliveries: Sequence[Delivery], references: dict[str, str]) -> list[Receipt]:
        """Carry out the rows of one subject, over this line."""
        return await deliver(self, deliveries, references)

    async def create(self, resource: Resource) -> Resource:
        """Plain create."""
        self._line("create")
        return await self._activated(await self.hospital.create(resource))

    async def update(self, resource: Resource) -> Resource:
        """Plain update."""
        self._line("update")
        return await self._activated(await self.hospital.update(resource))

    async def _activated(self, stored: Resource) -> Resource:
        """A Subscription is active at once, or after a while."""
        name = f"activate {stored.get('criteria')}"
        if stored["resourceType"] != "Subscription" or not self._weather.strikes(Fault.IDLE, name, 0.4):
            return stored
        idle = await self.hospital.waits(stored)
        self.idle[reference_of(idle)] = self._clock.now() + timedelta(minutes=self._weather.dice.whole(name, 20, 240))
        return idle

    async def goes_by_itself(self, chance: float, kinds: Collection[str] = ()) -> None:
        """What happens to subscriptions without anybody asking: those that wait are activated, others are ended.

        `chance` is that of each which is in force to end, those of `kinds` alone where any are named.
        """
        for reference, until in list(self.idle.items()):
            if self._clock.now() >= until or not self._weather.foul:
                del self.idle[reference]
                await self.hospital.activate(reference)
        for one in self.hospital.standing("Subscription"):
            kind = str(one["criteria"]).rpartition("/")[2].rstrip("?")
            if one["status"] != "active" or (kinds and kind not in kinds):
                continue
            if self._weather.strikes(Fault.ENDED, one["criteria"], chance):
                await self.hospital.end(one, self._weather.dice.one_of(f"how {one['criteria']}", HOW))

    async def transact(self, bundle: Resource) -> Resource:
        """A transaction, that may die before it commits or lose its answer, and that rules of the EPR may answer."""
        return await self._write(bundle["entry"], lambda: self.hospital.transact(bundle))

    async def interact(self, entry: Resource) -> Resource:
        """One write by itself, to which the same can happen."""
        return await self._write([entry], lambda: self.hospital.interact(entry))

    async def _write(self, entries: Sequence[Resource], send: Callable[[], Awaitable[Resource]]) -> Resource:
        self._line("write")
        weather, now = self._weather, self._clock.now()
        if weather.strikes(Fault.NOT_COMMITTED, "write", 0.12):
            weather.goes_away(now, "write")
            raise EprUnavailable("main: write: died before it committed")
        there = self.hospital.committed
        puts = [str(e["request"]["url"]) for e in entries if e["request"]["method"] == "PUT"]
        changed = [one for one in puts if one in there and not one.startswith("Provenance/")]
        if changed and weather.strikes(Fault.CONFLICT, "write", 0.2):
            await self.hospital.touch(changed[0])
            raise EprConflict("main: write: 412; somebody changed it first, read it again")
        before = {reference: len(versions) for reference, versions in there.items()}
        answer = await send()
        for reference, versions in list(there.items()):
            added = range(before.get(reference, 0) + 1, len(versions) + 1)
            if added and not reference.startswith("Provenance/"):
                self.hospital.written[reference] += added
                await self._rules(reference)
        self.process.strike("after write")
        if weather.strikes(Fault.ANSWER_LOST, "write", 0.15):
            raise EprUnavailable("main: write: no answer")
        return answer

    async def _rules(self, reference: str) -> None:
        """What the EPR's own rules make of something that was just written."""
        written = self.hospital.committed[reference][-1]
        if written is None or not any(one.get("system") == OBLIGATION for one in written.get("identifier", [])):
            return
        if self._weather.strikes(Fault.RULE, reference, 0.3):
            forget = self._weather.strikes(Fault.FORGETFUL_RULE, reference, 0.5)
            await self.hospital.touch(reference, forget=forget)

    def _line(self, name: str) -> None:
        """Whether the EPR answers at all."""
        self.process.strike(f"before {name.partition(' ')[0]}")
        weather, now = self._weather, self._clock.now()
        if weather.is_cut(now):
            raise EprUnavailable(f"main: {name.partition(' ')[0]}: no connection")
        # There are so many of these that the EPR would never be there.
        rarely = 0.1 if name.startswith(("read Subscription/", "invoke")) else 1
        if weather.strikes(Fault.BUSY, name, 0.03 * rarely):
            weather.goes_away(now, name)
        if weather.away_until is not None and now < weather.away_until:
            wait = weather.dice.one_of(f"wait {name}", (None, 1.0, 30.0, 900.0))
            raise EprUnavailable(f"main: {name.partition(' ')[0]}: 503", retry_after=wait)
        if weather.strikes(Fault.EXPIRED, name, 0.02 * rarely):
            raise EprUnauthorised(f"main: {name.partition(' ')[0]}: 401", retry_after=None)

    def _lagging(self, reference: str) -> Resource | None:
        """The newest version that is older than the lag; None where there is none, or it was deleted before that."""
        old = [one for one in self.hospital.committed.get(reference, []) if one is None or not self._is_new(one)]
        return old[-1] if old else None

    def _is_new(self, version: Resource) -> bool:
        return self._clock.now() - datetime.fromisoformat(version["meta"]["lastUpdated"]) < LAG
