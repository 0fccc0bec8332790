"""What the service wrote and nothing asks for any more: whether it goes, and the reason to give."""

from __future__ import annotations

from collections.abc import Sequence

from fhirbridge.core.asking import REASONS
from fhirbridge.core.effects import Kind, Own, Thing, Withdrawal
from fhirbridge.core.facts import Source
from fhirbridge.core.policy import Pack
from fhirbridge.core.scene import Run
from fhirbridge.core.spells import Course, Sign
from fhirbridge.core.timeline import Record


def could_go(thing: Thing, pack: Pack) -> bool:
    """Whether it is this pack's, and can still be taken back: what was sent cannot."""
    taken_back = not thing.open or (thing.key.kind is Kind.COMMUNICATION and thing.sent is not None)
    return thing.key.pack == pack.name and not taken_back


def why_gone(thing: Thing, own: Own, courses: Sequence[Course], runs: Sequence[Run], record: Record) -> Withdrawal:
    """Corrected when what started it no longer stands; else what came after it."""
    started = own.runs.get(thing.run)
    missed = {m.visit.source.reference for each in courses for spell in each.spells for m in spell.misses}
    each = next((each for each in courses if thing.key.case in each.case.names), None)
    if each is not None and each.closed is not None and each.closed.sign is Sign.DECEASED:
        return Withdrawal.DECEASED
    if started is not None and not all(_stands(source, missed, record) for source in started.triggers):
        return Withdrawal.CORRECTED
    if each is None:
        return Withdrawal.CORRECTED
    for spell in each.spells:
        if spell.ending is not None and thing.key.scope.split("|")[0] == spell.name:
            return REASONS[spell.ending.sign]
    if each.closed is not None:
        return REASONS[each.closed.sign]
    if any(run.scope.name == thing.key.scope for run in runs):
        return Withdrawal.SUPERSEDED
    return Withdrawal.NOT_NEEDED


def _stands(source: Source, missed: set[str], record: Record) -> bool:
    history = record.sources.get(source.reference)
    if history is None or history.latest.erased:
        return False
    return source.type != "Appointment" or source.reference in missed
