"""What the service wrote and nothing asks for any more: whether it goes, and the reason to give."""

from __future__ import annotations

from collections.abc import Sequence

from fhirbridge.core.effects import Kind, Withdrawal
from fhirbridge.core.facts import Appointment, AppointmentState, Encounter, Episode, Person, Signal, Source, Task
from fhirbridge.core.history import meaning
from fhirbridge.core.own import Own, Thing
from fhirbridge.core.policy import Pack
from fhirbridge.core.scene import Run
from fhirbridge.core.signs import REASONS
from fhirbridge.core.spells import Course, spell_of
from fhirbridge.core.timeline import Record


def could_go(thing: Thing, pack: Pack, own: Own) -> bool:
    """Whether it is this edition's of the pack, and can still be taken back: what was sent cannot."""
    taken_back = not thing.open or (thing.key.kind is Kind.COMMUNICATION and thing.sent is not None)
    started = own.runs.get(thing.run)
    ours = thing.key.pack == pack.name and (started is None or pack.is_edition(started))
    return ours and not taken_back


def why_gone(
    thing: Thing, pack: Pack, own: Own, courses: Sequence[Course], runs: Sequence[Run], record: Record
) -> Withdrawal:
    """Corrected when what started it no longer stands; else what came after it, be it that its case is another now."""
    started = own.runs.get(thing.run)
    whole = courses[-1:] if thing.key.case == record.patient else ()
    each = next((each for each in (*courses, *whole) if thing.key.case in each.case.names or each in whole), None)
    if each is not None and each.died is not None:
        return Withdrawal.DECEASED
    stands = founded(thing, record)
    if each is None or not stands:
        return Withdrawal.SUPERSEDED if stands else Withdrawal.CORRECTED
    for spell in each.spells:
        if spell.ending is not None and spell_of(thing.key.scope) == spell.name:
            before = started is not None and spell.ending.at <= started.since
            if each.back is not None and not before:
                return Withdrawal.RE_ENGAGED
            return Withdrawal.CORRECTED if before else REASONS[spell.ending.sign]
    back = each.last_sign is not None and each.last_sign.at >= thing.since
    if back and pack.waits_for_patient(thing.pathway, thing.steps):
        return Withdrawal.RE_ENGAGED
    if each.closed is not None:
        return REASONS[each.closed.sign]
    runs_on = any(run.scope.name == thing.key.scope and run.pathway == thing.pathway for run in runs)
    if pack.hangs_on_miss(thing.pathway) and not runs_on:
        return Withdrawal.SUPERSEDED
    return Withdrawal.NOT_NEEDED


def founded(thing: Thing, record: Record) -> bool:
    """Whether what the obligation rests on still stands: what set it off, and what its evidence said."""
    return not no_longer_stands(thing, record)


def no_longer_stands(thing: Thing, record: Record) -> tuple[Source, ...]:
    """What the obligation rests on and the record has taken back since."""
    cited = (source for source in thing.evidence if source.reference in record.sources)
    gone = [source for source in cited if _taken_back(source, record)]
    return tuple(dict.fromkeys((*gone, *_fallen(thing, record))))


def _taken_back(source: Source, record: Record) -> bool:
    """Whether what was cited was erased, is a Task whose answer was changed, or an attendance that was none."""
    history = record.sources[source.reference]
    cited = next((version for version in history.versions if version.source == source), history.latest)
    came = isinstance(cited, Appointment) and cited.state is AppointmentState.ATTENDED
    changed = (isinstance(cited, Task) or came) and meaning(cited) != meaning(history.latest)
    return history.latest.erased or changed


def stated(source: Source, record: Record) -> str:
    """What a trigger says now: an appointment's state, whether care has ended or the patient died, that it is there."""
    history = record.sources.get(source.reference)
    if history is None or history.latest.erased:
        return _ERASED
    fact = history.latest
    if isinstance(fact, Episode | Encounter):
        return _FINISHED if fact.status == _FINISHED else _OPEN
    if isinstance(fact, Person):
        return _DECEASED if fact.deceased else _STATED
    if isinstance(fact, Signal):
        return _OPEN if fact.active and fact.end is None else _FINISHED
    visit = record.visits.get(source.reference)
    return visit.state if visit is not None else _STATED


def _fallen(thing: Thing, record: Record) -> list[Source]:
    """The triggers that no longer say what they said when it was written; what was ahead then may have come since."""
    fallen = []
    for source, before in zip(thing.triggers, thing.stated, strict=True):
        now = stated(source, record)
        came = (before == AppointmentState.BOOKED and now != _ERASED) or (before, now) == (_OPEN, _FINISHED)
        if now != before and not came:
            fallen.append(source)
    return fallen


_DECEASED = "deceased"
_ERASED = "erased"
_FINISHED = "finished"
_OPEN = "open"
_STATED = "stated"
