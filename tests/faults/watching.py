"""The service's own watcher in a run: it registers, looks after, reads and closes, as it does beside a real service.

Two things are looked at while it goes on, and not only in the end. What the EPR has committed and the service has not
been told of is in an open gap (`Blindness`). And while a gap is open, nothing new is asked for that leads towards a
discharge (`Witnessed`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from pydantic import HttpUrl

from fhirbridge.core.effects import AnyEffect, Written
from fhirbridge.core.policy import Pack
from fhirbridge.fhir.capability import FeedKind
from fhirbridge.fhir.notification import Notification
from fhirbridge.ports import Clock, Store, Subject
from fhirbridge.service import Service
from fhirbridge.service.reading import EVENTFUL
from fhirbridge.settings import EprSettings, PollingSettings, Settings
from fhirbridge.wiring.service import Runtime
from fhirbridge.wiring.watching import Watcher, watchers
from tests.faults.feeding import OVERLAP, Feed
from tests.faults.hospital import Hospital
from tests.faults.offers import OF_DATES
from tests.faults.scenario import BEFORE
from tests.faults.weather import Fault, Weather
from tests.faults.wire import Form, Wire

WHOLE = timedelta(hours=2)
"""How often everything is read again."""
DAYS: dict[str, Any] = {"past": 40, "future": 30, "slice": 14}
"""The window of dates that is read: more than a history has."""
LAST = datetime.max.replace(tzinfo=UTC)
AT = "https://service.example"

_KINDS = {
    Feed.TOPICS: FeedKind.BACKPORT,
    Feed.REST_HOOKS: FeedKind.REST_HOOK,
    Feed.POLLED_LAST_UPDATED: FeedKind.LAST_UPDATED,
    Feed.POLLED_HISTORY: FeedKind.HISTORY,
    Feed.POLLED_DATES: FeedKind.DATE_WINDOW,
}
_PAYLOADS = {Form.EMPTY: "empty", Form.ID_ONLY: "id-only", Form.FULL: "full-resource"}


@cache
def settings(feed: Feed, form: Form) -> Settings:
    """A service with one EPR, of which it learns in this way."""
    one = EprSettings.model_validate(
        {
            "base_url": HttpUrl("https://epr.example/fhir"),
            "feed": _KINDS[feed],
            "subscribe": feed.subscribes,
            "payload": _PAYLOADS.get(form) if feed.subscribes else None,
            "heartbeat": 0,
            "polling": PollingSettings(**DAYS, reconcile=WHOLE.total_seconds()),
        }
    )
    return Settings(eprs={"main": one}, public_url=HttpUrl(AT), overlap=OVERLAP.total_seconds())


class Watching:
    """The watcher of one life of the service."""

    def __init__(self, given: Settings, service: Service, store: Store, clock: Clock) -> None:
        self._runtime = Runtime(settings=given, service=service, store=store, clock=clock)
        self._watcher: Watcher | None = None

    async def begin(self) -> bool:
        """Before anything else: the time in which the service was not there is a gap. Whether it begins only now."""
        if self._watcher is not None:
            return False
        (self._watcher,) = await watchers(self._runtime)
        return True

    @property
    def in_doubt(self) -> bool:
        """Whether something that came shows that something did not."""
        return self._runtime.doubts["main"].is_set()

    async def look_after(self) -> bool:
        """See to the feeds once; whether all is in order."""
        self._runtime.doubts["main"].clear()
        return self._watcher is not None and await self._watcher.look_after()

    async def close(self) -> None:
        """Close what has been read and digested."""
        if self._watcher is not None:
            await self._watcher.close()

    async def ingest(self, said: Notification) -> int:
        """Take a notification, as the endpoint does."""
        count = await self._runtime.service.ingest("main", said)
        if said.topic and await self._runtime.ear.heard("main", said, self._runtime.clock.now()):
            self._runtime.doubts["main"].set()
        return count


class Witnessed:
    """A store, and somebody who looks at what is committed to it while a gap is open (`ports.Store`)."""

    def __init__(self, store: Store, pack: Pack) -> None:
        self._store = store
        self._towards = {step.id for pathway in pack.pathways for step in pathway.steps if step.towards == "discharge"}
        self.findings: list[str] = []

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self._store, name)

    async def commit(self, subject: Subject, *, effects: Sequence[AnyEffect], **named: Any) -> None:
        """Commit, after a look at it."""
        if gaps := await self._store.gaps.open(subject.epr):
            for effect in effects:
                if isinstance(effect, Written) and self._towards.intersection(effect.steps):
                    causes = ", ".join(sorted({f"{gap.type} {gap.cause}" for gap in gaps}))
                    self.findings.append(f"{effect.steps} led towards a discharge while there was a gap: {causes}")
        await self._store.commit(subject, effects=effects, **named)


class Blindness:
    """What the EPR has committed that the service neither knows nor is going to be told of, nor knows to be missing."""

    def __init__(self, hospital: Hospital, wire: Wire, store: Store, weather: Weather) -> None:
        self._hospital = hospital
        self._wire = wire
        self._store = store
        self._feed = weather.feed
        # What is lost without a trace is found when everything is read again; what a replica does not show yet, too.
        silent = {Fault.STALE} if wire.form in (Form.ID_ONLY, Form.FULL) else {Fault.STALE, Fault.DROPPED}
        lost = {Fault.DROPPED, Fault.RENUMBERED} <= weather.kinds or wire.form is Form.EMPTY
        self._looks = not (silent & weather.kinds) and not (self._feed.subscribes and lost)
        self._known: dict[str, int] = {}
        self._last: datetime | None = None

    async def begun(self, patients: Collection[str], now: datetime) -> list[str]:
        """What went unnoticed, by a service that has just begun and has asked nobody yet."""
        return await self._found(patients, now, by_type=False)

    async def found(self, patients: Collection[str], looked: datetime, *, in_order: bool) -> list[str]:
        """What was committed before `looked`, the last time that the feeds were looked after, and went unnoticed."""
        # A number that the EPR has counted may belong to an event on its way; it is missed the next time.
        since = self._last if self._feed is Feed.TOPICS else looked
        if in_order:
            self._last = looked
        return await self._found(patients, since, by_type=in_order) if since is not None else []

    async def _found(self, patients: Collection[str], since: datetime, *, by_type: bool) -> list[str]:
        if not self._looks or not self._unknown(since):
            return []
        await self._learn(patients)
        unknown = [one for one in self._unknown(since) if one[2] < await self._asked(one[0])]
        waiting = {f"{one.event.type}/{one.event.id}" for one in await self._store.waiting(10_000)}
        gaps = await self._store.gaps.open("main")
        return [
            f"{reference} version {version} of {at.isoformat()} is neither known nor in a gap"
            for reference, version, at in unknown
            if not self._comes(reference, version, waiting)
            and not any(
                gap.since - OVERLAP <= at for gap in gaps if not by_type or gap.type == reference.partition("/")[0]
            )
        ]

    def _comes(self, reference: str, version: int, waiting: Collection[str]) -> bool:
        """Whether it was told of, or found by asking where nobody tells; else it takes a gap to have it read."""
        if (reference, version) in self._wire.under_way:
            return True
        return reference in waiting and (not self._feed.told or (reference, version) not in self._wire.untold)

    def _unknown(self, since: datetime) -> list[tuple[str, int, datetime]]:
        return [one for one in self._committed(since) if self._known.get(one[0], 0) < one[1]]

    async def _asked(self, reference: str) -> datetime:
        """When the EPR was last asked for whatever there is of the type: between that, days near today are."""
        if self._feed is not Feed.POLLED_DATES:
            return LAST
        return await self._store.gaps.marked("main", f"{reference.partition('/')[0]} as a whole") or BEFORE

    def _committed(self, since: datetime) -> list[tuple[str, int, datetime]]:
        kinds = EVENTFUL if self._feed is not Feed.POLLED_DATES else frozenset(OF_DATES)
        found = []
        for at, event in self._hospital.dated:
            reference = f"{event.type}/{event.id}"
            ours = int(event.version) in self._hospital.written.get(reference, ())
            # What came and went between two readings of what is there is not found by them.
            gone = self._feed is Feed.POLLED_DATES and self._hospital.committed[reference][-1] is None
            passed = gone and reference not in self._known
            if event.type in kinds and at < since and not ours and not passed:
                found.append((reference, int(event.version), at))
        return found

    async def _learn(self, patients: Collection[str]) -> None:
        for patient in patients:
            for fact in (await self._store.load(Subject("main", f"Patient/{patient}"))).facts:
                source = fact.source
                if source.version.isdecimal():
                    newest = max(int(source.version), self._known.get(source.reference, 0))
                    self._known[source.reference] = newest
