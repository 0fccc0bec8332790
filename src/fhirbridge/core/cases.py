"""Cases: an episode of care, or what stands for one, with its appointments.

An appointment belongs to the episode of its encounter; else to that of its referral; else to the patient's one episode
of the same service, then to the only one, that was open at its start; else it is a case of its own for that service.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property

from msgspec import Struct

from fhirbridge.core.facts import Appointment, AppointmentState, Encounter, Episode, Referral, Source
from fhirbridge.core.history import BEGINNING, History
from fhirbridge.core.signals import discharged_at

STAYS = frozenset({"in-progress", "onleave", "finished"})
"""Statuses of an Encounter in which an inpatient stay has begun."""

_CAME = frozenset({AppointmentState.ATTENDED, AppointmentState.PRESENT})
_HAPPENED = frozenset({"in-progress", "finished"})
_NEVER_OPEN = frozenset({"cancelled", "entered-in-error"})
_WAITING = frozenset({"active", "on-hold", "draft"})


class Visit(Struct, frozen=True):
    """An appointment as it counts for a case.

    `at` is its start, `over` its end, else its start. `state` is what the Appointment says now, but attended when an
    Encounter of it (`seen`) took place. `source` is the version of the Appointment that holds now.
    """

    history: History[Appointment]
    at: datetime
    over: datetime
    state: AppointmentState
    source: Source
    seen: Source | None = None

    def attended(self, at: datetime) -> bool:
        """Whether it counts as attended at that instant."""
        if self.state is AppointmentState.ATTENDED:
            return self.at <= at
        return self.state is AppointmentState.PRESENT and self.over <= at


class Case(Struct, frozen=True, dict=True):
    """One episode of care of a patient; one service where no episode fits; or a referral that led to neither yet.

    `id` is `EpisodeOfCare/x`, `Service/` and the service's key, or `ServiceRequest/x`. `visits` are in the order of
    their start.
    """

    id: str
    visits: tuple[Visit, ...] = ()
    missed: tuple[Visit, ...] = ()
    called_off: tuple[Visit, ...] = ()
    came: tuple[Visit, ...] = ()
    """Those of the visits that were missed, called off by the patient, and attended or about to be."""
    episode: History[Episode] | None = None
    encounters: tuple[History[Encounter], ...] = ()
    referral: Referral | None = None
    """The referral that is all there is of the case so far."""

    def came_by(self, at: datetime) -> tuple[Visit, ...]:
        """The visits that count as attended at that instant."""
        if self._not_over:
            return tuple(v for v in self.came if v.attended(at))
        return self.came[: bisect_right(self._came_at, at)]

    def comes_after(self, at: datetime) -> datetime | None:
        """The first instant after that one at which another of the visits counts as attended."""
        ahead = [v.over for v in self._not_over if v.over > at]
        number = bisect_right(self._came_at, at)
        ahead += [v.at for v in self.came[number:] if v.state is AppointmentState.ATTENDED][:1]
        return min(ahead, default=None)

    @cached_property
    def _came_at(self) -> list[datetime]:
        return [visit.at for visit in self.came]

    @cached_property
    def _not_over(self) -> tuple[Visit, ...]:
        return tuple(v for v in self.came if v.state is AppointmentState.PRESENT)

    @cached_property
    def stays(self) -> tuple[History[Encounter], ...]:
        """Its inpatient stays that have begun, oldest first."""
        began = [e for e in self.encounters if e.latest.inpatient and e.latest.status in STAYS]
        return tuple(sorted(began, key=lambda e: e.latest.start or e.stretches[0].known))

    @cached_property
    def begun(self) -> datetime:
        """When the case began, as far as the record tells."""
        if self.episode is not None:
            return self.episode.latest.start or self.episode.stretches[0].known
        if self.referral is not None:
            return self.referral.authored or self.referral.known
        if self.visits:
            return self.visits[0].at
        stays = self.stays
        return (stays[0].latest.start or stays[0].stretches[0].known) if stays else BEGINNING

    @cached_property
    def announced(self) -> datetime:
        """When it was first known of, where that was before it began: by its episode, or its first appointment."""
        ahead: History[Episode] | History[Appointment] | None = self.episode
        if ahead is None and self.referral is None and self.visits:
            ahead = self.visits[0].history
        return min(self.begun, ahead.stretches[0].known) if ahead is not None else self.begun

    def named_in(self, references: Iterable[str]) -> bool:
        """Whether one of the references is the case itself, an appointment or an encounter of it."""
        mine = {self.id} | {v.source.reference for v in self.visits}
        return bool(mine.union(e.latest.source.reference for e in self.encounters).intersection(references))

    def open_at(self, at: datetime) -> bool:
        """Whether the case had begun and not yet ended at that instant."""
        ended = discharged_at(self.episode) if self.episode is not None else None
        return self.begun <= at and (ended is None or at <= ended)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that obligations of this case may carry: its own, and those of its referrals."""
        return frozenset({self.id, *self.referrals})

    @cached_property
    def services(self) -> tuple[str, ...]:
        """The keys of the service this case belongs to."""
        if self.episode and self.episode.latest.services:
            return self.episode.latest.services
        if self.referral is not None:
            return self.referral.services
        return tuple(sorted({key for visit in self.visits for key in visit.history.latest.services}))

    @cached_property
    def referrals(self) -> tuple[str, ...]:
        """`ServiceRequest/id` of everything that led to this case."""
        mine = set(self.episode.latest.referrals) if self.episode else set()
        if self.referral is not None:
            mine.add(self.referral.source.reference)
        for visit in self.visits:
            mine.update(visit.history.latest.referrals)
        return tuple(sorted(mine))


def cases_of(
    appointments: list[History[Appointment]],
    episodes: list[History[Episode]],
    encounters: list[History[Encounter]],
    referrals: list[History[Referral]],
) -> tuple[Case, ...]:
    """The cases of one patient, in the order in which they began."""
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
        case = _case_of(fact, fact.start, history.stretches[0].known, episode_of_encounter.get(reference), episodes)
        visits[case].append(_visit(history, fact, fact.start, seen.get(reference)))
    by_reference = {e.latest.source.reference: e for e in episodes}
    stays = {_home_of(e, by_reference) for e in encounters if e.latest.inpatient and e.latest.status in STAYS}
    cases = [
        _case(
            case,
            sorted(visits[case], key=lambda v: (v.at, v.source.id)),
            episode=by_reference.get(case),
            encounters=tuple(e for e in encounters if _home_of(e, by_reference) == case),
        )
        for case in sorted(set(visits) | set(by_reference) | stays)
    ]
    taken = {referral for case in cases for referral in case.referrals}
    waiting = [r.latest for r in referrals if r.latest.status in _WAITING and r.latest.source.reference not in taken]
    cases += [Case(id=fact.source.reference, referral=fact) for fact in waiting]
    return tuple(sorted(cases, key=lambda case: (case.begun, case.id)))


def rebooked(
    cases: tuple[Case, ...],
    encounters: Iterable[History[Encounter]],
    history: History[Appointment],
    before: Visit | None,
) -> tuple[tuple[Case, ...], Visit] | None:
    """The cases with this appointment of an episode as it is now, and the appointment; `before` is what it was.

    None where more may change by it than the episode's appointments: then all cases have to be made anew.
    """
    fact = history.latest
    reference = fact.source.reference
    if fact.erased or fact.start is None or any(reference in e.latest.appointments for e in encounters):
        return None
    episodes = sorted((c.episode for c in cases if c.episode is not None), key=lambda e: e.latest.source.reference)
    name = _case_of(fact, fact.start, history.stretches[0].known, None, episodes)
    case = next((case for case in cases if case.id == name and case.episode is not None), None)
    if case is None or (before is not None and all(v is not before for v in case.visits)):
        return None
    referrals = set(fact.referrals).symmetric_difference(before.history.latest.referrals if before is not None else ())
    if referrals.difference(case.episode.latest.referrals if case.episode is not None else ()):
        return None
    visit = _visit(history, fact, fact.start, None)
    visits = sorted((visit, *(v for v in case.visits if v is not before)), key=lambda v: (v.at, v.source.id))
    amended = _case(name, visits, case.episode, case.encounters)
    return tuple(amended if each is case else each for each in cases), visit


def _seen(encounters: list[History[Encounter]]) -> dict[str, Source]:
    return {
        appointment: encounter.latest.source
        for encounter in encounters
        if encounter.latest.status in _HAPPENED
        for appointment in encounter.latest.appointments
    }


def _visit(history: History[Appointment], fact: Appointment, start: datetime, seen: Source | None) -> Visit:
    state = AppointmentState.ATTENDED if seen else fact.state
    return Visit(history, start, fact.end or start, state, fact.source, seen)


def _case(
    case: str,
    visits: list[Visit],
    episode: History[Episode] | None,
    encounters: tuple[History[Encounter], ...],
) -> Case:
    return Case(
        id=case,
        visits=tuple(visits),
        missed=tuple(v for v in visits if v.state is AppointmentState.MISSED),
        called_off=tuple(v for v in visits if v.state is AppointmentState.CANCELLED_BY_PATIENT),
        came=tuple(v for v in visits if v.state in _CAME),
        episode=episode,
        encounters=encounters,
    )


def _home_of(encounter: History[Encounter], episodes: Mapping[str, History[Episode]]) -> str:
    """The episode that an encounter names; an encounter without one is a case of its own."""
    named = [e for e in encounter.latest.episodes if e in episodes] or list(encounter.latest.episodes)
    return named[0] if named else encounter.latest.source.reference


def _case_of(
    fact: Appointment,
    start: datetime,
    first_known: datetime,
    by_encounter: str | None,
    episodes: list[History[Episode]],
) -> str:
    """The case of an appointment, in the order of the contract: encounter, referral, service, only episode, its own."""
    if by_encounter:
        return by_encounter
    known = [e for e in episodes if e.latest.status not in _NEVER_OPEN]
    referred = [e for e in known if set(e.latest.referrals) & set(fact.referrals)]
    if referred:
        return max(referred, key=lambda e: e.latest.start or BEGINNING).latest.source.reference
    open_then = [e for e in known if _open_at(e, start, first_known)]
    same_service = [e for e in open_then if set(e.latest.services) & set(fact.services)]
    for candidates in (same_service, open_then):
        if len(candidates) == 1:
            return candidates[0].latest.source.reference
    return "Service/" + (min(fact.services) if fact.services else "unknown")


def _open_at(episode: History[Episode], at: datetime, known: datetime) -> bool:
    """Whether the episode was open at that instant, as was known when the appointment was; it stays with it then."""
    fact = episode.latest
    if fact.start is not None and at < fact.start:
        return False
    end = discharged_at(episode)
    return end is None or at <= end or known < min(end, episode.since)
