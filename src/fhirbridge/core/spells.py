"""A case as a sequence of spells: the stretches between one sign of the patient and the next.

A spell begins with the last attendance or contact (or with the case) and ends with the next attendance or contact.
Runs of pathways are anchored on their spell, not on the miss that set them off, so that a late earlier miss or a
correction does not restart what staff have begun.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from msgspec import Struct

from fhirbridge.core.cases import Case, Visit
from fhirbridge.core.facts import AppointmentState, Encounter, Source
from fhirbridge.core.findings import earliest
from fhirbridge.core.history import BEGINNING, History, clock
from fhirbridge.core.messages import check_ins
from fhirbridge.core.own import Own
from fhirbridge.core.signals import SignalSpan, discharged_at
from fhirbridge.core.signs import Ending, Sign, Signs, messages_from_patient
from fhirbridge.core.timeline import Record

AT_START = "start"
"""The scope of the spell that begins with the case itself."""

DISCHARGE = "discharge"
"""The name of the scope that begins with the end of the case."""

TOOK_UP = frozenset(
    {AppointmentState.BOOKED, AppointmentState.PRESENT, AppointmentState.ATTENDED, AppointmentState.MISSED}
)
"""States of an appointment that was made and not cancelled."""

_TAKEN_UP_AGAIN = TOOK_UP - {AppointmentState.MISSED}

_ADDED = re.compile(r"[|>@]")
_APART = re.compile(r"(episode|discharge)$|(signal|signal-end|stay|stay-end|answer|task):")


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
    back: Ending | None = None
    """That the patient came back after the discharge: wrote, booked, attended, or began another case."""


def course(case: Case, record: Record, own: Own, now: datetime, late: float) -> Course:
    """Cut the case into spells, as known at `now`; `late` as for `history.clock`."""
    closed = _closed(case, record, now, late)
    until = min(now, closed.at) if closed else now
    misses = [_miss(v, late) for v in case.missed]
    upcoming: list[datetime | None] = [m.at if m.at > now else m.clock for m in misses if m.clock > now]
    lapses = [m for m in (*misses, *_called_off(case, late)) if m.at <= until]
    if len(lapses) > 1:
        lapses.sort(key=lambda m: (m.at, m.visit.source))
    signs = Signs(case, record, own, until)
    written = [at for at, _ in check_ins(record, case, BEGINNING, until)] if record.messages else []
    spells = _spells(lapses, written, signs, closed)
    upcoming.append(case.comes_after(now))
    changes_at = earliest(upcoming)
    back = _back(case, record, closed, now) if closed is not None and closed.sign is Sign.DISCHARGED else None
    return Course(case, spells, closed, _died(record, now), signs.last, changes_at, back)


def _back(case: Case, record: Record, closed: Ending, now: datetime) -> Ending | None:
    """What the patient did first after the case was closed, or another case that began then.

    What had been booked elsewhere before is no way back.
    """
    done = [sign for sign in messages_from_patient(case, record) if closed.at < sign.at <= now]
    others = [other for other in record.cases if other is not case]
    begun = [other.episode for other in others if other.episode is not None and other.begun > closed.at]
    kept = [v for other in others for v in other.visits if v.at > closed.at and v.state in _TAKEN_UP_AGAIN]
    known = [(episode.stretches[0].known, episode.latest.source) for episode in begun]
    known += [(visit.history.stretches[0].known, visit.source) for visit in kept]
    done += [Ending(at, Sign.CONTACT, source, source.reference) for at, source in known if closed.at < at <= now]
    return min(done, key=lambda sign: (sign.at, sign.source), default=None)


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
    discharged, died = _discharged(case, now, late), _died(record, now)
    if discharged is None or died is None:
        return discharged or died
    return died if died.at < discharged.at else discharged


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


def _spells(lapses: list[Miss], written: list[datetime], signs: Signs, closed: Ending | None) -> tuple[Scope, ...]:
    """The spells in which something lapsed or was written to the patient, and the last one in any case.

    A spell has the number of the sign that ends it; the last one ends with the case, if that has ended.
    """
    inside: dict[int, list[Miss]] = {signs.next_from(at): [] for at in written}
    inside.setdefault(len(signs), [])
    for lapse in lapses:
        inside.setdefault(signs.next_from(lapse.at), []).append(lapse)
    misses = [m for m in lapses if not m.cancelled]
    return tuple([_spell(number, inside[number], lapses, misses, signs, closed) for number in sorted(inside)])


def _spell(
    number: int, inside: list[Miss], lapses: list[Miss], misses: list[Miss], signs: Signs, closed: Ending | None
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


@lru_cache(maxsize=4096)
def is_spell(scope: str) -> bool:
    """Whether a scope of that name is a spell, or inside one: no other is anchored on what a correction may move."""
    return _APART.match(spell_of(scope)) is None
