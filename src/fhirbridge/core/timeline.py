"""Facts → the record of a patient, in any order and with any duplicates.

Every version of a resource that was ever learnt is kept as a `History`; the latest version is what holds now, and the
stretches of equal meaning before it say since when something is known and how often it was taken back. From the
histories the record builds cases: an episode of care (or, where none fits, a service) with its appointments.

The record knows nothing of the present moment: whoever asks passes the instant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar

from msgspec import Struct

from fhirbridge.core.facts import (
    AnyFact,
    Appointment,
    AppointmentState,
    Consent,
    Encounter,
    Episode,
    Fact,
    Message,
    OwnFlag,
    Person,
    Plan,
    Referral,
    Relation,
    Signal,
    Source,
    Task,
)

F = TypeVar("F", bound=Fact)

BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
"""Before anything that can be recorded; stands for "since always"."""

_HAPPENED = frozenset({"in-progress", "finished"})
_WAITING = frozenset({"active", "on-hold", "draft"})
_NEVER_OPEN = frozenset({"cancelled", "entered-in-error"})


class Stretch(Struct, frozen=True):
    """Consecutive versions of one resource that mean the same; `known` is when the first of them was committed."""

    meaning: object
    known: datetime


class History(Struct, Generic[F], frozen=True):
    """All versions of one resource, oldest first, reduced to what matters."""

    latest: F
    stretches: tuple[Stretch, ...]

    @property
    def since(self) -> datetime:
        """When what the latest version means first became known, without interruption."""
        return self.stretches[-1].known

    def taken_back(self, meaning: object) -> int:
        """How often this meaning was asserted and later replaced by another."""
        return sum(1 for stretch in self.stretches[:-1] if stretch.meaning == meaning)

    @classmethod
    def of(cls, versions: Sequence[F]) -> History[F]:
        """Order the versions by when they were committed, and join those that mean the same."""
        if len(versions) == 1:
            fact = versions[0]
            return cls(latest=fact, stretches=(Stretch(meaning(fact), fact.known),))
        ordered = sorted(versions, key=_order)
        stretches: list[Stretch] = []
        for fact in ordered:
            means = meaning(fact)
            if not stretches or stretches[-1].meaning != means:
                stretches.append(Stretch(means, fact.known))
        return cls(latest=ordered[-1], stretches=tuple(stretches))


def _order(fact: Fact) -> tuple[datetime, int, str]:
    version = fact.source.version
    return fact.known, int(version) if version.isdecimal() else 0, version


def meaning(fact: Fact) -> object:
    """What of a version counts for "since when is this known"."""
    if fact.erased:
        return "erased"
    match fact:
        case Appointment(state=state):
            return state
        case Signal(signals=signals, active=active):
            return (signals, active)
        case Task(status=status, outcome=outcome):
            return (status, outcome)
        case Encounter(status=status) | Episode(status=status) | Message(status=status):
            return status
        case _:
            return "stated"


class SignalSpan(Struct, frozen=True):
    """One signal of the record and when it holds: from `start` until before `end` (None: it still does)."""

    code: str
    start: datetime
    end: datetime | None
    source: Source
    asserted: int
    """How often it had been asserted and taken back before: tells one period of it from the next."""

    def holds(self, at: datetime) -> bool:
        """Whether it holds at that instant."""
        return self.start <= at and (self.end is None or at < self.end)


class Visit(Struct, frozen=True):
    """An appointment as it counts for a case. `at` is its start; `over` its end, else its start."""

    history: History[Appointment]
    at: datetime
    over: datetime
    seen: Source | None = None
    """The Encounter that shows the patient was seen, whatever the Appointment says."""

    @property
    def source(self) -> Source:
        """The version of the Appointment that holds now."""
        return self.history.latest.source

    @property
    def state(self) -> AppointmentState:
        """What the Appointment says now, but attended when an Encounter of it took place."""
        return AppointmentState.ATTENDED if self.seen else self.history.latest.state

    def attended(self, at: datetime) -> bool:
        """Whether it counts as attended at that instant."""
        state = self.state
        return (state is AppointmentState.ATTENDED and self.at <= at) or (
            state is AppointmentState.PRESENT and self.over <= at
        )


class Case(Struct, frozen=True):
    """One episode of care of a patient; one service where no episode fits; or a referral that led to neither yet.

    `id` is `EpisodeOfCare/x`, `Service/` and the service's key, or `ServiceRequest/x`. `visits` are in the order of
    their start.
    """

    id: str
    visits: tuple[Visit, ...]
    episode: History[Episode] | None = None
    encounters: tuple[History[Encounter], ...] = ()
    referral: Referral | None = None
    """The referral that is all there is of the case so far."""

    @property
    def begun(self) -> datetime:
        """When the case began, as far as the record tells."""
        if self.episode is not None:
            return self.episode.latest.start or self.episode.stretches[0].known
        if self.referral is not None:
            return self.referral.authored or self.referral.known
        return self.visits[0].at if self.visits else BEGINNING

    @property
    def names(self) -> frozenset[str]:
        """Every name that obligations of this case may carry: its own, and those of its referrals."""
        return frozenset({self.id, *self.referrals})

    @property
    def services(self) -> tuple[str, ...]:
        """The keys of the service this case belongs to."""
        if self.episode and self.episode.latest.services:
            return self.episode.latest.services
        if self.referral is not None:
            return self.referral.services
        return tuple(sorted({key for visit in self.visits for key in visit.history.latest.services}))

    @property
    def referrals(self) -> tuple[str, ...]:
        """`ServiceRequest/id` of everything that led to this case."""
        mine = set(self.episode.latest.referrals) if self.episode else set()
        if self.referral is not None:
            mine.add(self.referral.source.reference)
        for visit in self.visits:
            mine.update(visit.history.latest.referrals)
        return tuple(sorted(mine))


class Record(Struct, frozen=True):
    """All that is known about one patient."""

    patient: str
    cases: tuple[Case, ...] = ()
    person: Person | None = None
    signals: tuple[SignalSpan, ...] = ()
    referrals: dict[str, Referral] = {}
    relations: tuple[History[Relation], ...] = ()
    consents: tuple[History[Consent], ...] = ()
    tasks: tuple[History[Task], ...] = ()
    messages: tuple[History[Message], ...] = ()
    plans: tuple[History[Plan], ...] = ()
    own_flags: tuple[History[OwnFlag], ...] = ()
    sources: dict[str, History[Fact]] = {}
    """Every history by its reference."""

    @classmethod
    def of(cls, facts: Iterable[AnyFact], late: float = 4 * 3600) -> Record:
        """Build the record from facts in any order; `late` seconds after which a clock runs from when it was known."""
        return _build(facts, late)


def clock(happened: datetime | None, known: datetime, late: float) -> datetime:
    """The instant clocks run from: when it happened, or when it became known if that is more than `late` later."""
    if happened is None or (known - happened).total_seconds() > late:
        return known
    return happened


def _build(facts: Iterable[AnyFact], late: float) -> Record:
    versions: dict[str, dict[tuple[str, datetime], AnyFact]] = defaultdict(dict)
    for fact in facts:
        versions[fact.source.reference].setdefault((fact.source.version, fact.known), fact)
    by_type: dict[type[Fact], list[History[Fact]]] = defaultdict(list)
    sources: dict[str, History[Fact]] = {}
    for reference in sorted(versions):
        history: History[Fact] = History.of(list(versions[reference].values()))
        sources[reference] = history
        if not history.latest.erased:
            by_type[type(history.latest)].append(history)
    persons = [h.latest for h in _of(by_type, Person)]
    patient = next((h.latest.patient for h in sources.values() if h.latest.patient), "")
    referrals = {h.latest.source.reference: h.latest for h in _of(by_type, Referral)}
    return Record(
        patient=patient,
        cases=_cases(_of(by_type, Appointment), _of(by_type, Episode), _of(by_type, Encounter), _of(by_type, Referral)),
        person=persons[-1] if persons else None,
        signals=tuple(_signals(by_type, late)),
        referrals=referrals,
        relations=tuple(_of(by_type, Relation)),
        consents=tuple(_of(by_type, Consent)),
        tasks=tuple(_of(by_type, Task)),
        messages=tuple(_of(by_type, Message)),
        plans=tuple(_of(by_type, Plan)),
        own_flags=tuple(_of(by_type, OwnFlag)),
        sources=sources,
    )


def _of(by_type: dict[type[Fact], list[History[Fact]]], kind: type[F]) -> list[History[F]]:
    return by_type.get(kind, [])  # type: ignore[return-value]  # keyed by the very type of the latest fact


# --- signals ------------------------------------------------------------------------------------


def _signals(by_type: dict[type[Fact], list[History[Fact]]], late: float) -> Iterable[SignalSpan]:
    for flag in _of(by_type, Signal):
        yield from _signal_spans(flag, late)
    for referral in _of(by_type, Referral):
        fact = referral.latest
        if fact.signals and fact.status not in ("revoked", "entered-in-error"):
            start = clock(fact.authored, referral.stretches[0].known, late)
            yield from (SignalSpan(code, start, None, fact.source, 0) for code in fact.signals)
    for episode in _of(by_type, Episode):
        stated = episode.latest
        if stated.signals and stated.status not in _NEVER_OPEN:
            start = clock(stated.start, episode.stretches[0].known, late)
            end = discharged_at(episode)
            yield from (SignalSpan(code, start, end, stated.source, 0) for code in stated.signals)


def _signal_spans(flag: History[Signal], late: float) -> Iterable[SignalSpan]:
    fact = flag.latest
    asserted = [s for s in flag.stretches if isinstance(s.meaning, tuple) and s.meaning[1]]
    first_known = asserted[-1].known if asserted else flag.since
    start = clock(fact.start, first_known, late)
    end = fact.end if fact.end is not None else (None if fact.active else flag.since)
    back = max(len(asserted) - 1, 0)
    yield from (SignalSpan(code, start, end, fact.source, back) for code in fact.signals)


# --- cases --------------------------------------------------------------------------------------


def discharged_at(episode: History[Episode]) -> datetime | None:
    """When the EPR ended the episode: its end, or when that became known if the end lies later or is not recorded."""
    fact = episode.latest
    if fact.status != "finished":
        return None
    return min(fact.end, episode.since) if fact.end else episode.since


def _cases(
    appointments: list[History[Appointment]],
    episodes: list[History[Episode]],
    encounters: list[History[Encounter]],
    referrals: list[History[Referral]],
) -> tuple[Case, ...]:
    seen = _seen(encounters)
    episode_of_encounter = {
        appointment: encounter.latest.episodes[0]
        for encounter in encounters
        if encounter.latest.episodes
        for appointment in encounter.latest.appointments
    }
    visits: dict[str, list[Visit]] = defaultdict(list)
    for history in appointments:
        fact = history.latest
        if fact.start is None:
            continue
        reference = fact.source.reference
        case = _case_of(fact, fact.start, episode_of_encounter.get(reference), episodes)
        visits[case].append(Visit(history, fact.start, fact.end or fact.start, seen.get(reference)))
    by_reference = {e.latest.source.reference: e for e in episodes}
    cases = [
        Case(
            id=case,
            visits=tuple(sorted(visits[case], key=lambda v: (v.at, v.source.id))),
            episode=by_reference.get(case),
            encounters=tuple(e for e in encounters if case in e.latest.episodes),
        )
        for case in sorted(set(visits) | set(by_reference))
    ]
    taken = {referral for case in cases for referral in case.referrals}
    waiting = [r.latest for r in referrals if r.latest.status in _WAITING and r.latest.source.reference not in taken]
    cases += [Case(id=fact.source.reference, visits=(), referral=fact) for fact in waiting]
    return tuple(sorted(cases, key=lambda case: (case.begun, case.id)))


def _seen(encounters: list[History[Encounter]]) -> dict[str, Source]:
    return {
        appointment: encounter.latest.source
        for encounter in encounters
        if encounter.latest.status in _HAPPENED
        for appointment in encounter.latest.appointments
    }


def _case_of(fact: Appointment, start: datetime, by_encounter: str | None, episodes: list[History[Episode]]) -> str:
    """The case of an appointment, in the order of the contract: encounter, referral, service, only episode, its own."""
    if by_encounter:
        return by_encounter
    known = [e for e in episodes if e.latest.status not in _NEVER_OPEN]
    referred = [e for e in known if set(e.latest.referrals) & set(fact.referrals)]
    if referred:
        return max(referred, key=lambda e: e.latest.start or BEGINNING).latest.source.reference
    open_then = [e for e in known if _open_at(e, start)]
    same_service = [e for e in open_then if set(e.latest.services) & set(fact.services)]
    for candidates in (same_service, open_then):
        if len(candidates) == 1:
            return candidates[0].latest.source.reference
    return "Service/" + (min(fact.services) if fact.services else "unknown")


def _open_at(episode: History[Episode], at: datetime) -> bool:
    fact = episode.latest
    if fact.start is not None and at < fact.start:
        return False
    end = discharged_at(episode) if fact.status == "finished" else None
    return end is None or at <= end
