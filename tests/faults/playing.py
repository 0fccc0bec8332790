"""One run: a history is played against the service, in virtual time, with or without faults.

A run goes round by round. In the window of a round the record changes and the weather may be foul; after it, the
weather is fair, what was late comes in, the feed reads again what may have been missed, and the service works until the
next round. At the end of each round the record is looked at: `Seen`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import cache

from msgspec import Struct

from fhirbridge.adapters.epr.entries import reference_of
from fhirbridge.core.effects import Key, Written
from fhirbridge.core.policy import Pack
from fhirbridge.core.states import is_terminal
from fhirbridge.errors import FhirbridgeError
from fhirbridge.fhir.canonical import OBLIGATION
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.notification import Notification
from fhirbridge.packs.loading import load_pack
from fhirbridge.ports import Resource, Store, Subject, Subscribed
from fhirbridge.service import Service, Site
from fhirbridge.shipped import folder
from fhirbridge.wiring.policies import calendar_of
from tests.faults.feeding import OVERLAP, Feed, Feeding
from tests.faults.hospital import FaultyEpr, Hospital, Time
from tests.faults.process import Killed, MortalStore, Process
from tests.faults.scenario import BEFORE, Move, Round, Scenario, answer
from tests.faults.weather import Weather
from tests.faults.wire import Wire

TICK = timedelta(minutes=10)
LATER = timedelta(hours=3)
SHORT = timedelta(hours=3)
"""In a longer window the service is looked after less often."""
POLL = timedelta(hours=12)
MOST_TURNS = 60
WRITTEN = ("Task", "Flag", "CarePlan", "Communication")
LIVE = ("Task", "Flag", "CarePlan")


class Seen(Struct, frozen=True, order=True):
    """Something of the service's that stands in the record: what it is, whatever its generation, and its status."""

    name: str
    status: str


@cache
def policy() -> tuple[Mapping, Pack]:
    """The default mapping and the largest pack, as they ship."""
    pack = load_pack("rdash-disengagement", calendar=calendar_of("Europe/London", "ENG"))
    return Mapping.load("uk-core", [folder("mappings")]), pack


class Run:
    """A service, an EPR and the line between them."""

    def __init__(self, scenario: Scenario, weather: Weather, store: Store) -> None:
        self.scenario = scenario
        self.weather = weather
        self.clock = Time(BEFORE)
        self.wire = Wire(self.clock, weather)
        self.hospital = Hospital(self.clock, self.wire.committed)
        self.epr = FaultyEpr(self.hospital, self.clock, weather)
        self.store = store
        self.lives = 0
        self.feed = Feed.of_seed(scenario.seed)
        self._come_to = BEFORE
        self._stores: list[MortalStore] = []
        self._start()

    async def play(self, look: Callable[[int, Sequence[Seen]], Awaitable[None]]) -> None:
        """Play the whole history; `look` is called at the end of each round, when all has come to rest.

        It is given the number of the round, and what stood some time before: as long as what was learnt late may be
        behind with what is counted from a letter.
        """
        await self._subscribe()
        for move in self.scenario.setting_up:
            await self._do(move)
        await self._rest(self.scenario.rounds[0].answers, since=BEFORE)
        late = LATER
        ends = [one.answers for one in self.scenario.rounds[1:]] + [self.scenario.ends]
        for one, until in zip(self.scenario.rounds, ends, strict=True):
            await self._answers(one)
            if not self.scenario.mixed:
                await self._window([], one.answers + timedelta(hours=1))
                await self._rest(one.begins, since=one.answers)
            await self._window(list(one.moves), one.ends)
            late = max(late, one.ends - one.begins + LATER)
            await self._rest(until - late, since=one.answers)
            before = await self.seen()
            await self._pass(until)
            await look(one.number, before)
        for store in self._stores:
            for lease in store.abandoned:
                await lease.__aexit__(None, None, None)

    async def seen(self) -> list[Seen]:
        """What of the service's stands in the record and has not come to its end."""
        names = await self._names()
        ours = [(one, identity) for one in self.hospital.standing(*LIVE) if (identity := self.identity(one))]
        live = [(one, identity) for one, identity in ours if not is_terminal(*_kind_and_status(one))]
        return sorted(Seen(names[identity], str(one["status"])) for one, identity in live)

    def identity(self, resource: Resource) -> str:
        """The obligation that a resource was written for, even if that was taken off later; else empty."""
        first = (self.hospital.committed[reference_of(resource)][0] or {}) if "id" in resource else {}
        named = [one["value"] for one in first.get("identifier", []) if one.get("system") == OBLIGATION]
        return str(named[0]) if named else ""

    async def _subscribe(self) -> None:
        """What is told of need not be read before each decision."""
        for one in (await self.hospital.capability())["rest"][0]["resource"] if self.feed.told else ():
            if one["type"] in self.site.mapping.resource_types:
                await self.store.subscribed(
                    Subscribed(
                        epr="main", criteria=f"{one['type']}?", reference="Subscription/s", secret="s", since=BEFORE
                    )
                )

    async def _window(self, moves: list[Move], ends: datetime) -> None:
        """The record changes, and whatever can go wrong may."""
        self.weather.foul = True
        begins = self.clock.time
        while self.clock.time < ends:
            while moves and moves[0].at <= self.clock.time:
                await self._do(moves.pop(0))
            await self._live()
            if self.weather.dice.falls("look again", 0.03):
                await self._read_again(self.clock.time - OVERLAP)
            upcoming = moves[0].at if moves else ends
            tick = TICK if ends - begins <= SHORT else 3 * TICK
            # The record changes at the same instants in every run.
            self.clock.time = min(upcoming, self.clock.time + tick) if self.weather.kinds else upcoming
        self.weather.clears()

    async def _answers(self, one: Round) -> None:
        """Staff answer some of the Tasks that stand in the record."""
        self.weather.foul = True
        names = await self._names()
        for task in self.hospital.standing("Task"):
            identity = self.identity(task)
            given = answer(self.scenario.seed, names[identity], one.number) if identity else None
            if given is not None and not is_terminal(*_kind_and_status(task)):
                await self.hospital.update({**task, **given})

    async def _names(self) -> dict[str, str]:
        """For each identity what it is called without its generation.

        That counts how often something was asked for and taken back before, which may be less often where it was
        learnt of late.
        """
        keys: dict[str, Key] = {}
        for patient in self.scenario.patients:
            known = await self.store.load(Subject("main", f"Patient/{patient}"))
            keys |= {effect.identity: effect.key for effect in known.effects if isinstance(effect, Written)}
        return {identity: _name(key, keys) for identity, key in keys.items()}

    async def _rest(self, until: datetime, since: datetime) -> None:
        """Fair weather: what was late comes in, what may have been missed is read again, deadlines pass."""
        settled = self.clock.time + timedelta(hours=2)
        while self.clock.time < settled:
            await self.wire.bring(self._ingest, everything=True)
            await self._live()
            self.clock.time += timedelta(minutes=40)
        await self._read_again(since - OVERLAP)
        await self._pass(until)

    async def _pass(self, until: datetime) -> None:
        """Time goes by."""
        while self.clock.time < until:
            await self._live()
            due = await self.store.next_due()
            soonest = due if due is not None and due > self.clock.time else until
            self.clock.time = min(soonest, self.clock.time + POLL, until)
        await self._live()

    async def _live(self) -> None:
        """The service takes what comes in and works until it has nothing more to do; it may die, and is started again.

        Raises:
            AssertionError: it does not come to rest.
        """
        asked = False
        try:
            for _ in range(MOST_TURNS):
                if brought := await self.wire.bring(self._ingest):
                    self.process.strike("acknowledged", 0.1)
                if not asked:
                    asked = True
                    await self.feeding.ask()
                    self._come_to = self.feeding.come_to
                if not await self.service.work_through() and not brought:
                    return
        except (Killed, BaseExceptionGroup):
            if not self.process.dead:
                raise
            self._start()
            return
        raise AssertionError(f"the service does not come to rest at {self.clock.time.isoformat()}")

    async def _read_again(self, since: datetime) -> None:
        """Read again what changed since then, as the service does where it may not have been told."""
        try:
            await self.feeding.read_again(since)
        except (Killed, BaseExceptionGroup):
            if not self.process.dead:
                raise
            self._start()
        except FhirbridgeError:
            if not self.weather.foul:
                raise

    async def _ingest(self, said: Notification) -> int:
        return await self.service.ingest("main", said)

    async def _do(self, move: Move) -> None:
        if move.resource is not None:
            await self.hospital.update(move.resource)
        else:
            await self.hospital.delete(move.deleted)

    def _start(self) -> None:
        """A new process over the same store."""
        self.lives += 1
        self.process = Process(self.weather)
        self._stores.append(MortalStore(self.store, self.process))
        self.epr.process = self.process
        mapping, pack = policy()
        calendar = pack.calendar
        self.site = Site(epr=self.epr, mapping=mapping, packs=(pack,), calendar=calendar)
        store = self._stores[-1]
        self.service = Service(store, {"main": self.site}, self.clock)
        self.feeding = Feeding(self.feed, self.site, store, self.clock, self._come_to)


def _kind_and_status(resource: Resource) -> tuple[str, str]:
    return str(resource["resourceType"]), str(resource.get("status", ""))


def _name(key: Key, keys: dict[str, Key]) -> str:
    of, _, identity = key.scope.partition(":")
    scope = f"{of}:({_name(keys[identity], keys)})" if identity in keys else key.scope
    return f"{key.patient} {key.kind} {key.action} for {key.role or 'nobody'}, {key.case} {scope} {key.occurrence}"
