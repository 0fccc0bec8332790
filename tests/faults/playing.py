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
from fhirbridge.errors import EprUnavailable, FhirbridgeError
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
from tests.faults.watching import AT, Blindness, Watching, Witnessed, settings
from tests.faults.weather import Weather
from tests.faults.wire import Wire

TICK = timedelta(minutes=10)
LATER = timedelta(hours=3)
SHORT = timedelta(hours=3)
"""In a longer window the service is looked after less often."""
POLL = timedelta(hours=12)
WATCH = timedelta(hours=48)
"""How often the feeds are looked after while nothing happens: each time is a reading of everything."""
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
        self.witnessed = Witnessed(store, policy()[1])
        self.blind: list[str] = []
        self._blindness = Blindness(self.hospital, self.wire, store, weather)
        self._come_to = BEFORE
        self._down_until = BEFORE
        self._stores: list[MortalStore] = []
        self._start()

    async def play(self, look: Callable[[int, Sequence[Seen]], Awaitable[None]]) -> None:
        """Play the whole history; `look` is called at the end of each round, when all has come to rest.

        It is given the number of the round, and what stood some time before: as long as what was learnt late may be
        behind with what is counted from a letter.
        """
        if self.feed.watched:
            await self._live()
        else:
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
                await self._breaks(0.3, [moves[0].kind])
                await self._do(moves.pop(0))
            await self._breaks(0.01)
            await self._live()
            if self.weather.dice.falls("look again", 0.03):
                await self._read_again(self.clock.time - OVERLAP)
            upcoming = moves[0].at if moves else ends
            tick = TICK if ends - begins <= SHORT else 3 * TICK
            # The record changes at the same instants in every run.
            self.clock.time = min(upcoming, self.clock.time + tick) if self.weather.kinds else upcoming
        self.weather.clears()

    async def _breaks(self, chance: float, kinds: Sequence[str] = ()) -> None:
        """The line may break, and each subscription end, most likely just before something happens."""
        self.weather.may_be_cut(self.clock.time, chance)
        await self.epr.goes_by_itself(chance, kinds)

    async def _answers(self, one: Round) -> None:
        """Staff answer some of the Tasks that stand in the record."""
        self.weather.foul = True
        await self._breaks(0.2)
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
            await self._breaks(0)
            await self._live()
            self.clock.time += timedelta(minutes=40)
        await self._read_again(since - OVERLAP)
        await self._pass(until)

    async def _pass(self, until: datetime) -> None:
        """Time goes by."""
        at_most = WATCH if self.feed.watched else POLL
        while self.clock.time < until:
            await self._live()
            due = await self.store.next_due()
            soonest = due if due is not None and due > self.clock.time else until
            self.clock.time = min(soonest, self.clock.time + at_most, until)
        await self._live()

    async def _live(self) -> None:
        """The service takes what comes in and works until it has nothing more to do; it may die, and is started again.

        Raises:
            AssertionError: it does not come to rest.
        """
        if self.clock.time < self._down_until and self.weather.foul:
            await self.wire.bring(_nobody)
            return
        looked = False
        try:
            await self._begin()
            for _ in range(MOST_TURNS):
                if brought := await self.wire.bring(self._ingest):
                    self.process.strike("acknowledged", 0.1)
                if not looked or (self.watching is not None and self.watching.in_doubt):
                    looked = True
                    await self._look()
                if not await self.service.work_through() and not brought and not await self._close():
                    return
        except (Killed, BaseExceptionGroup):
            if not self.process.dead:
                raise
            self._start()
            if self.feed.watched:
                down = self.weather.dice.whole("down", 0, 90)
                self._down_until = self.clock.time + timedelta(minutes=down)
            return
        raise AssertionError(f"the service does not come to rest at {self.clock.time.isoformat()}")

    async def _begin(self) -> None:
        if self.watching is not None and await self.watching.begin():
            found = await self._blindness.begun(self.scenario.patients, self.clock.time)
            self.blind += [one for one in found if one not in self.blind]

    async def _look(self) -> None:
        """Ask the EPR; where the service looks after its feeds itself, that is all, and it is looked at what it saw."""
        if self.watching is None:
            await self.feeding.ask()
            self._come_to = self.feeding.come_to
            return
        in_order = await self.watching.look_after()
        found = await self._blindness.found(self.scenario.patients, self.clock.time, in_order=in_order)
        self.blind += [one for one in found if one not in self.blind]

    async def _close(self) -> bool:
        """Close the gaps that can be; whether that leaves something to do."""
        if self.watching is None:
            return False
        await self.watching.close()
        return bool(await self.service.due())

    async def _read_again(self, since: datetime) -> None:
        """Read again what changed since then, as the service does where it may not have been told."""
        if self.watching is not None:
            return
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
        if self.watching is not None:
            return await self.watching.ingest(said)
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
        self._stores.append(MortalStore(self.witnessed, self.process))
        self.epr.process = self.process
        mapping, pack = policy()
        calendar = pack.calendar
        self.site = Site(epr=self.epr, mapping=mapping, packs=(pack,), calendar=calendar)
        store = self._stores[-1]
        self.service = Service(store, {"main": self.site}, self.clock)
        self.feeding = Feeding(self.feed, self.site, store, self.clock, self._come_to)
        self.watching: Watching | None = None
        if self.feed.watched:
            given = settings(self.feed, self.wire.form)
            self.watching = Watching(given, self.service, store, self.clock)
            self.hospital.endpoint = f"{AT}/fhir/notify/main"
            self.hospital.counted = self.wire.counted
            self.wire.by(self.hospital.subscription, self.hospital.end)


async def _nobody(said: Notification) -> int:
    raise EprUnavailable("nobody is there to be told")


def _kind_and_status(resource: Resource) -> tuple[str, str]:
    return str(resource["resourceType"]), str(resource.get("status", ""))


def _name(key: Key, keys: dict[str, Key]) -> str:
    of, _, identity = key.scope.partition(":")
    scope = f"{of}:({_name(keys[identity], keys)})" if identity in keys else key.scope
    return f"{key.patient} {key.kind} {key.action} for {key.role or 'nobody'}, {key.case} {scope} {key.occurrence}"
