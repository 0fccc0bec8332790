"""What pathways are anchored on besides spells: a signal's period, a case, its discharge, an overdue Task.

A run happens once in its scope. The scope's name is part of the identity of everything the run asks for, so it is made
of what does not change: the resource that a signal came from, and how often it had been taken back before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from fhirbridge.core.answers import anchor, answers
from fhirbridge.core.own import Own
from fhirbridge.core.policy import Pathway
from fhirbridge.core.scene import Run
from fhirbridge.core.signals import SignalSpan
from fhirbridge.core.signs import Ending, Sign
from fhirbridge.core.spells import DISCHARGE, Course, Overdue, Scope, stay_bounds
from fhirbridge.core.timeline import Record


def of_discharge(course: Course) -> Iterable[Scope]:
    """The end of the episode, if the EPR has ended it."""
    closed = course.closed
    if closed is not None and closed.sign is Sign.DISCHARGED:
        yield Scope(name=DISCHARGE, start=closed.counts_from, ended=closed)


def of_case(course: Course) -> Iterable[Scope]:
    """The case as a whole, from when it was known of, ahead of its beginning too, to its end."""
    yield Scope(name="episode", start=course.case.announced, ending=course.closed, whole_case=True)


def of_signal(course: Course, record: Record, codes: frozenset[str], *, patient_wide: bool) -> Iterable[Scope]:
    """Each period of one of these signals that began while the case was open; until that ends, or the patient dies."""
    closed = course.died if patient_wide else course.closed
    for signal in record.signals:
        begins_inside = closed is None or signal.start < closed.at
        outlives_start = signal.end is None or signal.end > course.case.begun
        if signal.code in codes and begins_inside and outlives_start:
            yield Scope(name=f"signal:{_named(signal)}", start=signal.began, ending=closed, signal=signal)


def of_signal_in_spell(spell: Scope, record: Record, codes: frozenset[str]) -> Iterable[Scope]:
    """Each period of one of these signals that was live at some time in the spell."""
    if not spell.misses:
        return
    for signal in record.signals:
        begun = spell.ending is None or signal.start < spell.ending.at
        if signal.code in codes and begun and (signal.end is None or signal.end > spell.misses[0].clock):
            yield Scope(
                name=f"{spell.name}|{_named(signal)}",
                start=signal.start,
                ending=spell.ending,
                assessed=spell.assessed,
                misses=spell.misses,
                streak=spell.streak,
                lapses=spell.lapses,
                spell=True,
                signal=signal,
            )


def of_signal_end(course: Course, record: Record, codes: frozenset[str], now: datetime) -> Iterable[Scope]:
    """The end of each period of one of these signals."""
    for signal in record.signals:
        if signal.code in codes and signal.end is not None and signal.end <= now:
            ended = Ending(signal.end, Sign.DISCHARGED, signal.source, signal.source.reference)
            yield Scope(name=f"signal-end:{_named(signal)}", start=signal.end, ended=ended, signal=signal)


def of_stay(course: Course, now: datetime) -> Iterable[Scope]:
    """Each inpatient stay, from its start until it is finished, whatever becomes of the episode meanwhile."""
    for stay in course.case.stays:
        start, ended = stay_bounds(stay)
        if start <= now:
            name = f"stay:{stay.latest.source.reference}"
            yield Scope(name=name, start=start, ending=ended or course.died, stay=stay.latest.source)


def of_signal_in_stay(course: Course, record: Record, codes: frozenset[str], now: datetime) -> Iterable[Scope]:
    """Each period of one of these signals that was live at some time of an inpatient stay, until the stay ends."""
    for stay in of_stay(course, now):
        for signal in record.signals:
            begun = stay.ending is None or signal.start < stay.ending.at
            if signal.code in codes and begun and (signal.end is None or signal.end > stay.start):
                start = max(stay.start, signal.start)
                yield replace(stay, name=f"{stay.name}|{_named(signal)}", start=start, signal=signal)


def of_stay_end(course: Course, now: datetime) -> Iterable[Scope]:
    """The end of each inpatient stay."""
    for stay in course.case.stays:
        _, ended = stay_bounds(stay)
        if ended is not None and ended.at <= now:
            yield Scope(name=f"stay-end:{stay.latest.source.reference}", start=ended.at, ended=ended)


def of_answer(course: Course, record: Record, own: Own, outcomes: frozenset[str]) -> Iterable[Scope]:
    """Each answer with one of these outcomes that was given in this case."""
    for at, _, source in answers(course, record, own, outcomes):
        yield Scope(name=f"answer:{anchor(source, record)}", start=at, ending=course.closed, answer=source)


def home_of(signal: SignalSpan, courses: Sequence[Course]) -> str | None:
    """The one case a signal belongs to: where a stay was going on, else the open case that began last."""
    for each in courses:
        for stay in each.case.stays:
            start, ended = stay_bounds(stay)
            if start <= signal.began and (ended is None or signal.began <= ended.at):
                return each.case.id
    open_then = [c for c in courses if c.closed is None or c.closed.at > signal.began] or list(courses)
    return open_then[-1].case.id if open_then else None


def after(spell: Scope, run: Run) -> Scope | None:
    """What is left of the spell after its pathway ended the run by its own word, if anything lapsed since."""
    ended = run.ended
    if ended is None or ended is not run.ending:
        return None
    lapses = tuple(m for m in spell.lapses if m.at > ended.at)
    if not lapses:
        return None
    return replace(
        spell,
        name=f"{spell.name}>{ended.anchor}",
        start=ended.at,
        lapses=lapses,
        misses=tuple(m for m in spell.misses if m.at > ended.at),
    )


def of_overdue(overdue: Overdue, ending: Ending | None, run: Scope) -> Scope:
    """One overdue Task of a run with that scope, until `ending`; what outlives the episode is chased as long."""
    name = f"task:{overdue.identity}"
    return Scope(name=name, start=overdue.due, ending=ending, overdue=overdue, stay=run.stay, ended=run.ended)


def _named(signal: SignalSpan) -> str:
    return f"{signal.source.reference}:{signal.code}:{signal.asserted}"


def nowhere(pathway: Pathway) -> str:
    """What is said where a case has nothing that the pathway could be anchored on."""
    signals, outcomes = (" or ".join(sorted(codes)) for codes in (pathway.signals, pathway.outcomes))
    return {
        "discharge": "The episode has not ended.",
        "episode": "The case has ended.",
        "signal": f"The record carries no signal {signals}.",
        "signal-end": f"No signal {signals} has ended.",
        "signal-in-spell": f"The record carries no signal {signals} beside a missed appointment.",
        "signal-in-stay": f"The record carries no signal {signals} during an inpatient stay.",
        "answer": f"No outcome {outcomes} is recorded.",
        "stay": "There has been no inpatient stay.",
        "stay-end": "No inpatient stay has ended.",
        "task": "Nothing that was asked for is overdue.",
    }.get(pathway.once_per, "No appointment was missed.")
