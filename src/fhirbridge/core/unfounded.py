"""What the service wrote and nothing asks for any more: whether it goes, and the reason to give."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fhirbridge.core.asking import REASONS
from fhirbridge.core.effects import Kind, Own, Started, Thing, Withdrawal
from fhirbridge.core.facts import AppointmentState, Source
from fhirbridge.core.policy import Pack
from fhirbridge.core.scene import Run
from fhirbridge.core.spells import TOOK_UP, Course, Sign
from fhirbridge.core.timeline import Record


def could_go(thing: Thing, pack: Pack) -> bool:
    """Whether it is this pack's, and can still be taken back: what was sent cannot."""
    taken_back = not thing.open or (thing.key.kind is Kind.COMMUNICATION and thing.sent is not None)
    return thing.key.pack == pack.name and not taken_back


def why_gone(thing: Thing, own: Own, courses: Sequence[Course], runs: Sequence[Run], record: Record) -> Withdrawal:
    """Corrected when what started it no longer stands; else what came after it."""
    started = own.runs.get(thing.run)
    each = next((each for each in courses if thing.key.case in each.case.names), None)
    if each is not None and each.closed is not None and each.closed.sign is Sign.DECEASED:
        return Withdrawal.DECEASED
    if each is None or (started is not None and not _founded(started, record)):
        return Withdrawal.CORRECTED
    for spell in each.spells:
        if spell.ending is not None and re.split(r"[|>@]", thing.key.scope)[0] == spell.name:
            return REASONS[spell.ending.sign]
    if each.closed is not None:
        return REASONS[each.closed.sign]
    if any(run.scope.name == thing.key.scope for run in runs):
        return Withdrawal.SUPERSEDED
    return Withdrawal.NOT_NEEDED


def stated(source: Source, record: Record) -> str:
    """What a trigger says now: the state of an appointment, or that it was not erased."""
    history = record.sources.get(source.reference)
    if history is None or history.latest.erased:
        return _ERASED
    for case in record.cases:
        for visit in case.visits:
            if visit.source.reference == source.reference:
                return visit.state
    return _STATED


def _founded(started: Started, record: Record) -> bool:
    """Whether every trigger still says what it said when the run began; what was booked may have taken place since."""
    said = zip(started.triggers, started.stated or (_STATED,) * len(started.triggers), strict=True)
    for source, before in said:
        now = stated(source, record)
        came_about = before == AppointmentState.BOOKED and now in TOOK_UP
        if now != before and not came_about:
            return False
    return True


_ERASED = "erased"
_STATED = "stated"
