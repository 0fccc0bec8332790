"""A case as a sequence of spells: the stretches between one sign of the patient and the next.

A spell begins with the last attendance or contact (or with the case) and ends with the next attendance or contact.
Runs of pathways are anchored on their spell, not on the miss that set them off, so that a late earlier miss or a
correction does not restart what staff have begun.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from fhirbridge.core.attribution import cases_of_task, happened_at
from fhirbridge.core.cases import Case, Visit
from fhirbridge.core.effects import Own, Withdrawal
from fhirbridge.core.facts import AppointmentState, Encounter, Source, Task
from fhirbridge.core.findings import earliest
from fhirbridge.core.history import BEGINNING, History, clock
from fhirbridge.core.messages import about, check_ins, sent_at
from fhirbridge.core.signals import SignalSpan, discharged_at
from fhirbridge.core.timeline import Record
from fhirbridge.core.vocabulary import ANSWERED, CONTACT_MADE, CONTACTS_PATIENT

AT_START = "start"
"""The scope of the spell that begins with the case itself."""

DISCHARGE = "discharge"
"""The name of the scope that begins with the end of the case."""

TOOK_UP = frozenset(
    {AppointmentState.BOOKED, AppointmentState.PRESENT, AppointmentState.ATTENDED, AppointmentState.MISSED}
)
"""States of an appointment that was made and not cancelled."""

_SAID = frozenset({"completed", "in-progress"})
_ADDED = re.compile(r"[|>@]")


class Sign(StrEnum):
    """What brings a spell to its end."""

    ATTENDED = "attended"
    CONTACT = "contact"
    DISCHARGED = "discharged"
    DECEASED = "deceased"
    OVER = "over"
    """What the scope is about has come to its end."""


REASONS = {
    Sign.ATTENDED: Withdrawal.RE_ENGAGED,
    Sign.CONTACT: Withdrawal.RE_ENGAGED,
    Sign.DISCHARGED: Withdrawal.DISCHARGED,
    Sign.DECEASED: Withdrawal.DECEASED,
    Sign.OVER: Withdrawal.NOT_NEEDED,
}
"""Why something is withdrawn when its run ended by that sign."""


class Ending(Struct, frozen=True):
    """The sign that ended a spell: when, by which resource version, and with which outcome, if it was a Task's.

    `anchor` names it independently of where it is stored, to serve as the next spell's scope.
    """

    at: datetime
    sign: Sign
    source: Source
    anchor: str
    outcome: str | None = None
    clock: datetime | None = None
    """From when deadlines run, where that is later: it became known long after it happened."""

    @property
    def counts_from(self) -> datetime:
        """The instant deadlines run from."""
        return self.clock or self.at


class Miss(Struct, frozen=True):
    """An appointment that the patient missed or, with `cancelled`, called off.

    `at` is when that happened: its start, or when the cancellation became known. `clock` is the instant deadlines run
    from.
    """

    visit: Visit
    at: datetime
    clock: datetime
    cancelled: bool = False


class Scope(Struct, frozen=True, kw_only=True):
    """What runs are anchored on: a spell, or a signal's period, an episode, a discharge, an overdue Task.

    `name` tells it from others of the same case, and is part of every identity. It lasts from `start` to `ending`.
    Of a `spell`: `assessed` says that an appointment had been attended before it, `misses` are those inside it,
    `streak` those since the last attendance up to its end, `lapses` the misses and the patient's own cancellations
    inside it, `row` those since the last attendance. `signal`, `overdue`, `stay` and `answer`
    are what other scopes are about.
    """

    name: str
    start: datetime
    ending: Ending | None = None
    assessed: Source | None = None
    misses: tuple[Miss, ...] = ()
    streak: tuple[Miss, ...] = ()
    lapses: tuple[Miss, ...] = ()
    row: tuple[Miss, ...] = ()
    spell: bool = False
    signal: SignalSpan | None = None
    overdue: Overdue | None = None
    ended: Ending | None = None
    """The end of the case, or of the stay, that this scope begins with."""
    stay: Source | None = None
    answer: Source | None = None
    whole_case: bool = False


class Overdue(Struct, frozen=True):
    """A Task of ours that passed its due date undone."""

    identity: str
    title: str
    due: datetime
    triggers: tuple[Source, ...]


class Course(Struct, frozen=True):
    """The spells of a case at one instant, oldest first, and how the case ended, if it did.

    `changes_at`: when another spell or miss appears without anything new being learnt.
    """

    case: Case
    spells: tuple[Scope, ...]
    closed: Ending | None
    died: Ending | None
    last_sign: Ending | None
    """The last attendance or contact so far."""
    changes_at: datetime | None


def course(case: Case, record: Record, own: Own, now: datetime, late: float) -> Course:
    """Cut the case into spells, as known at `now`; `late` as for `history.clock`."""
    closed = _closed(case, record, now, late)
    until = min(now, closed.at) if closed else now
    misses = [_miss(v, late) for v in case.missed]
    upcoming = [m.at if m.at > now else m.clock for m in misses if m.clock > now]
    lapses = [m for m in (*misses, *_called_off(case, late)) if m.at <= until]
    if len(lapses) > 1:
        lapses.sort(key=lambda m: (m.at, m.visit.source))
    signs = _Signs(case, record, own, until)
    written = [at for at, _ in check_ins(record, case, BEGINNING, until)] if record.messages else []
    spells = _spells(lapses, written, signs, closed)
    changes_at = earliest((*upcoming, case.comes_after(now)))
    return Course(case, spells, closed, _died(record, now), signs.last, changes_at)


def _called_off(case: Case, late: float) -> list[Miss]:
    """The patient's own cancellations; they happen when they become known, at the latest at the appointment's start."""
    return [
        Miss(v, at, clock(at, v.history.since, late), cancelled=True)
        for v in case.called_off
        for at in (min(v.at, v.history.since),)
    ]


def _miss(visit: Visit, late: float) -> Miss:
    return Miss(visit, visit.at, clock(visit.at, visit.history.since, late))


def _closed(case: Case, record: Record, now: datetime, late: float) -> Ending | None:
    """What ended the case first: its discharge, or the patient's death."""
    endings = [ending for ending in (_discharged(case, now, late), _died(record, now)) if ending is not None]
    return min(endings, key=lambda e: e.at, default=None)


def _discharged(case: Case, now: datetime, late: float) -> Ending | None:
    at = discharged_at(case.episode) if case.episode is not None else None
    if case.episode is None or at is None or at > now:
        return None
    source = case.episode.latest.source
    return Ending(at, Sign.DISCHARGED, source, source.reference, clock=clock(at, case.episode.since, late))


def _died(record: Record, now: datetime) -> Ending | None:
    person = record.person
    if person is None or not person.deceased:
        return None
    at = min(person.deceased_at or person.known, now)
    return Ending(at, Sign.DECEASED, person.source, person.source.reference)


class _Signs:
    """Attendances and contacts of a case up to an instant, oldest first, one for each instant.

    Most cases have many of them, and few that anybody asks for: what is known of an attendance is put together then.
    """

    def __init__(self, case: Case, record: Record, own: Own, until: datetime) -> None:
        self._all: Sequence[Visit | Ending] = case.came_by(until)
        contacts = [c for c in _contacts(case, record, own) if c.at <= until]
        if contacts:
            self._all = sorted((*self._all, *contacts), key=_place)
        self._ats = [each.at for each in self._all]
        if len(set(self._ats)) < len(self._ats):
            first = [n for n, at in enumerate(self._ats) if n == 0 or at != self._ats[n - 1]]
            self._all, self._ats = [self._all[n] for n in first], [self._ats[n] for n in first]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, number: int) -> Ending:
        each = self._all[number]
        return each if isinstance(each, Ending) else _attended(each)

    @property
    def last(self) -> Ending | None:
        """The last of them."""
        return self[-1] if self._all else None

    def next_from(self, at: datetime) -> int:
        """The number of the first that is not before that instant."""
        return bisect_left(self._ats, at)

    def attended_before(self, number: int) -> Ending | None:
        """The last attendance among those before the one with this number."""
        while number:
            number -= 1
            each = self._all[number]
            if not isinstance(each, Ending):
                return _attended(each)
        return None


def _place(sign: Visit | Ending) -> tuple[datetime, Sign, str]:
    if isinstance(sign, Ending):
        return sign.at, sign.sign, sign.anchor
    return sign.at, Sign.ATTENDED, sign.source.reference


def _contacts(case: Case, record: Record, own: Own) -> Iterable[Ending]:
    for message in record.messages:
        fact = message.latest
        said = fact.from_patient and fact.status in _SAID
        if said and about(fact, case, record.cases):
            yield Ending(sent_at(fact), Sign.CONTACT, fact.source, fact.source.reference)
    for task in record.tasks:
        if _is_contact(task.latest) and case.id in cases_of_task(task, own, record.cases):
            yield _contact(task)


def _attended(visit: Visit) -> Ending:
    return Ending(visit.at, Sign.ATTENDED, visit.seen or visit.source, visit.source.reference)


def _contact(task: History[Task]) -> Ending:
    fact = task.latest
    anchor = f"obligation:{fact.obligation}" if fact.obligation else fact.source.reference
    return Ending(happened_at(task), Sign.CONTACT, fact.source, anchor, fact.outcome)


def _is_contact(fact: Task) -> bool:
    return fact.status in ANSWERED and fact.outcome in CONTACT_MADE and not CONTACTS_PATIENT.isdisjoint(fact.actions)


def _spells(lapses: list[Miss], written: list[datetime], signs: _Signs, closed: Ending | None) -> tuple[Scope, ...]:
    """The spells in which something lapsed or was written to the patient, and the last one in any case.

    A spell has the number of the sign that ends it; the last one ends with the case, if that has ended.
    """
    inside: dict[int, list[Miss]] = {signs.next_from(at): [] for at in written}
    inside.setdefault(len(signs), [])
    for lapse in lapses:
        inside.setdefault(signs.next_from(lapse.at), []).append(lapse)
    misses = [m for m in lapses if not m.cancelled]
    return tuple(_spell(number, inside[number], lapses, misses, signs, closed) for number in sorted(inside))


def _spell(
    number: int, inside: list[Miss], lapses: list[Miss], misses: list[Miss], signs: _Signs, closed: Ending | None
) -> Scope:
    before = signs[number - 1] if number else None
    attended = signs.attended_before(number)
    attended_at = attended.at if attended is not None else BEGINNING
    missed = tuple(m for m in inside if not m.cancelled)
    return Scope(
        name=before.anchor if before is not None else AT_START,
        start=before.at if before is not None else BEGINNING,
        ending=signs[number] if number < len(signs) else closed,
        assessed=attended.source if attended is not None else None,
        misses=missed,
        streak=tuple(m for m in misses if attended_at < m.at <= missed[-1].at) if missed else (),
        lapses=tuple(inside),
        row=tuple(m for m in lapses if attended_at < m.at <= inside[-1].at) if inside else (),
        spell=True,
    )


def stay_bounds(stay: History[Encounter]) -> tuple[datetime, Ending | None]:
    """When the stay began, and its end, if it is finished."""
    fact = stay.latest
    start = fact.start or stay.stretches[0].known
    if fact.status != "finished":
        return start, None
    at = min(fact.end, stay.since) if fact.end else stay.since
    return start, Ending(at, Sign.DISCHARGED, fact.source, fact.source.reference)


@lru_cache(maxsize=4096)
def spell_of(scope: str) -> str:
    """The name of the spell that a scope's name begins with: scopes inside a spell add to it."""
    return _ADDED.split(scope, maxsplit=1)[0]
