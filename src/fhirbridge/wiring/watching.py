"""Looks after the feeds of every EPR, opens gaps where something may have been missed, and closes them by reading.

A gap is durable before anything is put right, and a reading is accepted before the gap is covered: wherever the process
dies, it goes on there. What was read is read from some time before the gap, because an EPR may still have been trying
to tell when the feed was seen to stand; what is read twice counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from fhirbridge.adapters.feeds.rest_hook import NEEDED
from fhirbridge.core.gaps import IN_WORDS, Cause, Gap
from fhirbridge.errors import EprError, EprRefused, FhirbridgeError
from fhirbridge.fhir.capability import FeedKind
from fhirbridge.ports import Event, Standing, Watch
from fhirbridge.service import said
from fhirbridge.service.measures import EVENTS, GAPS_CLOSED, GAPS_OPENED
from fhirbridge.service.reading import EVENTFUL
from fhirbridge.service.running import either
from fhirbridge.wiring.feeds import Chosen, chosen
from fhirbridge.wiring.service import Runtime

ALIVE = "alive"
"""The mark of when the service was last seen to run, for each EPR."""
ASK_AGAIN = timedelta(hours=1)
"""How long an EPR that refused a subscription is not asked for it."""
SOON = 5.0
"""Seconds until an EPR is looked after again where something is not in order."""
_BATCH = 500

_log = structlog.get_logger(__name__)


async def watchers(runtime: Runtime) -> list[Watcher]:
    """One for each EPR that can be asked or tells; what may have been missed while the service was down is open then.

    Before anything is decided: a decision made without knowing of the gap could lead towards a discharge.
    """
    eprs = runtime.settings.eprs
    found = [Watcher(runtime, name) for name, one in eprs.items() if one.subscribe or not one.trust_payload]
    for one in found:
        await one.resume()
    return found


async def watch(runtime: Runtime, watching: Sequence[Watcher], stop: asyncio.Event) -> None:
    """Look after the feeds of every EPR, again and again, none waiting for another."""
    async with asyncio.TaskGroup() as group:
        group.create_task(stop.wait())
        for one in watching:
            group.create_task(one.watch(runtime.settings.check_subscriptions, stop))


class Watcher:
    """Looks after the feeds of one EPR."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        self._runtime = runtime
        self._name = name
        self._site = runtime.service.sites[name]
        self._gaps = runtime.store.gaps
        self._chosen: Chosen | None = None
        self._known: dict[tuple[str, Cause], Gap] = {}
        self._refused: dict[str, str] = {}
        self._ask_again: datetime | None = None
        self._overlap = timedelta(seconds=runtime.settings.overlap)
        self._place = f"subscriptions at {name}"
        self._is_told = runtime.settings.eprs[name].subscribe
        self._unready("not checked yet")

    async def watch(self, every: float, stop: asyncio.Event) -> None:
        """Look after the feeds every so many seconds, sooner where there is a doubt, until `stop` is set."""
        doubt = self._runtime.doubts[self._name]
        while not stop.is_set():
            doubt.clear()
            try:
                await self._once(every, stop, doubt)
            except FhirbridgeError as error:
                if not error.transient:
                    raise
                _log.warning("the feeds could not be looked after", epr=self._name, why=said(error))
                await either(stop, doubt, SOON)

    async def _once(self, every: float, stop: asyncio.Event, doubt: asyncio.Event) -> None:
        """Look after the feeds, and wait until it is time to do so again."""
        left = every if await self.look_after() else min(every, SOON)
        while left > 0 and not stop.is_set() and not doubt.is_set():
            # What was read is digested by somebody else: the gap closes as soon as that is done.
            pause = min(left, self._runtime.settings.poll) if self._known else left
            await either(stop, doubt, pause)
            left -= pause
            if self._known:
                await self.close()

    async def resume(self) -> None:
        """Open a gap for the time in which the service was not running, if it ever was; before anything is decided."""
        now = self._runtime.clock.now()
        alive = await self._gaps.marked(self._name, ALIVE)
        if alive is not None:
            told = {one.type for one in await self._runtime.store.subscriptions(self._name) if one.reference}
            await self._open(sorted(self._eventful() | told), Cause.DOWNTIME, alive, now)
        await self._gaps.mark(self._name, ALIVE, now)

    async def look_after(self) -> bool:
        """See to the feeds, and read what may have been missed; whether all is in order.

        Raises:
            StoreUnavailable: nothing can be kept at present.
        """
        now = self._runtime.clock.now()
        try:
            watches = await self._establish(now)
            read = await self._read(watches)
        except EprError as error:
            self._unready(str(error))
            _log.warning("the feeds could not be looked after", epr=self._name, why=said(error))
            since = await self._gaps.marked(self._name, ALIVE) or now
            await self._open(sorted(self._eventful()), Cause.UNREACHABLE, since, now)
            return False
        await self._gaps.mark(self._name, ALIVE, now)
        await self.close()
        return self._in_order(watches) and read

    async def close(self) -> None:
        """Close the gaps that have been read and digested."""
        await self._tell()
        if await self._gaps.close(self._name, self._runtime.clock.now()):
            self._runtime.woken.set()
            await self._tell()

    async def _establish(self, now: datetime) -> dict[str, Watch]:
        if self._chosen is None or (self._ask_again is not None and now >= self._ask_again):
            runtime = self._runtime
            endpoint = f"{runtime.settings.reached_at}/fhir/notify/{self._name}"
            one = runtime.settings.eprs[self._name]
            self._chosen = await chosen(self._site, runtime.store, runtime.ear, one, endpoint)
            self._ask_again = None
        watches = {one.type: one for feed, types in self._chosen.used for one in await feed.establish(types, now)}
        refused = {name: one.why for name, one in watches.items() if one.standing is Standing.REFUSED}
        if refused:
            # Refused for good is no gap that lasts for ever: what the EPR does not tell of, it is asked for.
            self._chosen, self._ask_again = self._chosen.without(refused), now + ASK_AGAIN
            for name, why in refused.items():
                _log.warning("the EPR does not tell of changes; it is asked", epr=self._name, type=name, why=why)
        return {name: one for name, one in watches.items() if name not in refused}

    async def _read(self, watches: Mapping[str, Watch]) -> bool:
        """Read what each open gap may hide, and what feeds that only poll have not seen yet."""
        open_gaps: dict[str, datetime] = {}
        for gap in await self._gaps.open(self._name):
            open_gaps[gap.type] = min(gap.since, open_gaps.get(gap.type, gap.since))
        done = True
        whole = await self._overdue()
        for one in sorted(open_gaps.keys() | self._polled() | whole.keys()):
            if one in watches and watches[one].standing is not Standing.ACTIVE:
                continue
            done &= await self._read_one(one, open_gaps.get(one), whole.get(one))
        return done

    async def _overdue(self) -> dict[str, datetime]:
        """The types that are to be read as a whole again, and since when what was missed of them may be unread."""
        if self._chosen is None:
            return {}
        now = self._runtime.clock.now()
        every = timedelta(seconds=self._runtime.settings.eprs[self._name].polling.reconcile)
        read = {one: await self._gaps.marked(self._name, _whole(one)) for one in sorted(self._chosen.whole)}
        return {one: at or now for one, at in read.items() if at is None or now - at >= every}

    async def _read_one(self, resource_type: str, gap_since: datetime | None, whole_since: datetime | None) -> bool:
        began = self._runtime.clock.now()
        if self._kind(resource_type) in (FeedKind.RECORD, FeedKind.NONE) and whole_since is None:
            # Read before each decision, or unknown to the EPR: there is nothing that could have been missed.
            await self._gaps.covered(self._name, resource_type, gap_since or began, began, began)
            return True
        come_to = await self._gaps.marked(self._name, resource_type) if resource_type in self._polled() else None
        since = min((at for at in (gap_since, come_to, whole_since) if at is not None), default=began)
        whole = gap_since is not None or whole_since is not None
        try:
            found = await self._take_in(resource_type, since - self._overlap, whole=whole)
        except EprRefused as refusal:
            _log.warning("the EPR cannot say what changed", epr=self._name, type=resource_type, why=said(refusal))
            self._refused[resource_type] = str(refusal)
            return False
        self._refused.pop(resource_type, None)
        if resource_type in self._polled():
            await self._gaps.mark(self._name, resource_type, began)
        if whole_since is not None:
            # What was read because of a gap may begin after the last reading of the whole: that is still to come.
            await self._gaps.mark(self._name, _whole(resource_type), began)
        await self._gaps.covered(self._name, resource_type, since, began, self._runtime.clock.now())
        if gap_since is not None:
            _log.info("read what may have been missed", epr=self._name, type=resource_type, events=found)
        return True

    async def _take_in(self, resource_type: str, since: datetime, *, whole: bool) -> int:
        """Put what changed since then into the inbox; how many events that was."""
        if self._chosen is None:
            return 0
        total = 0
        batch: list[Event] = []
        now = self._runtime.clock.now()
        look = self._chosen.look if whole else self._chosen.glance
        async for event in look(resource_type, since, now):
            batch.append(event)
            if len(batch) >= _BATCH:
                total += await self._accept(batch)
                batch = []
        return total + await self._accept(batch)

    async def _accept(self, events: Sequence[Event]) -> int:
        if events:
            await self._runtime.store.accept(self._name, events, self._runtime.clock.now())
            EVENTS.labels(self._name).inc(len(events))
            self._runtime.woken.set()
        return len(events)

    async def _open(self, types: Iterable[str], cause: Cause, since: datetime, now: datetime) -> None:
        for one in types:
            feed = self._kind(one).value
            await self._gaps.found(
                Gap(epr=self._name, type=one, feed=feed, cause=cause, since=min(since, now), until=now)
            )
        await self._tell()

    async def _tell(self) -> None:
        """Log and count the gaps that have opened and closed since the last time, those of one cause together."""
        now = {(gap.type, gap.cause): gap for gap in await self._gaps.open(self._name)}
        for opened, gaps in ((True, now.keys() - self._known.keys()), (False, self._known.keys() - now.keys())):
            by_cause: dict[Cause, list[Gap]] = {}
            for key in sorted(gaps):
                by_cause.setdefault(key[1], []).append((now if opened else self._known)[key])
            for cause, several in by_cause.items():
                (GAPS_OPENED if opened else GAPS_CLOSED).labels(self._name, cause.value).inc(len(several))
                log = _log.warning if opened else _log.info
                log(
                    "a gap opened; steps towards discharge wait" if opened else "a gap was read and closed",
                    epr=self._name,
                    types=[gap.type for gap in several],
                    since=min(gap.since for gap in several).isoformat(),
                    cause=cause.value,
                    why=IN_WORDS[cause],
                )
        self._known = now

    def _in_order(self, watches: Mapping[str, Watch]) -> bool:
        blind = [
            f"{one.type}: {one.why or one.standing}"
            for one in watches.values()
            if one.type in NEEDED and one.standing is not Standing.ACTIVE
        ]
        if self._kind("Appointment") in (FeedKind.RECORD, FeedKind.NONE):
            blind.append("Appointment: the EPR neither tells of changes nor can be asked for them")
        blind += [f"{one}: {why}" for one, why in self._refused.items() if one in NEEDED]
        if blind:
            self._unready("; ".join(blind))
        else:
            self._runtime.unready.pop(self._place, None)
        return not blind

    def _unready(self, why: str) -> None:
        """Blind to what the EPR does; where it does not tell the service, others may, and the gap says the rest."""
        if self._is_told:
            self._runtime.unready[self._place] = why

    def _eventful(self) -> frozenset[str]:
        return EVENTFUL & self._site.mapping.resource_types

    def _polled(self) -> frozenset[str]:
        return self._chosen.polled if self._chosen is not None else frozenset()

    def _kind(self, resource_type: str) -> FeedKind:
        """The kind of its feed; none as long as the EPR has not said what it can do."""
        return self._chosen.kinds.get(resource_type, FeedKind.NONE) if self._chosen is not None else FeedKind.NONE


def _whole(resource_type: str) -> str:
    """What the last reading of the type as a whole is marked as."""
    return f"{resource_type} as a whole"
