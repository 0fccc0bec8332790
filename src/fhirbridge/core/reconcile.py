"""reconcile(decision, own, record, now): what is desired against what was written; the difference is the writes.

Create what is missing, tighten what several ask for, close what the record answers, withdraw what no longer holds. What
is terminal is never reopened, and what a person closed is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fhirbridge.core.decision import (
    Amend,
    Complete,
    Create,
    Decision,
    MarkDelivery,
    Obligation,
    Standing,
    Withdraw,
    Write,
)
from fhirbridge.core.effects import (
    Amended,
    AnyEffect,
    Completed,
    HandedOver,
    Kind,
    Marked,
    Withdrawal,
    Withdrawn,
    Written,
)
from fhirbridge.core.own import Own, Thing
from fhirbridge.core.states import is_terminal
from fhirbridge.core.timeline import Record


def reconcile(decision: Decision, own: Own, record: Record) -> tuple[Write, ...]:
    """The writes that make what exists equal to what should exist, creations in the order in which they arose."""
    closed = closed_in_epr(record)
    writes: list[Write] = []
    for obligation in decision.obligations:
        thing = own.things.get(obligation.identity)
        if thing is None:
            if obligation.standing is Standing.OPEN:
                writes.append(Create(obligation))
        elif thing.open and thing.sent is None and thing.identity not in closed:
            writes.extend(_change(obligation, thing, decision.endings))
    for unfounded in decision.unfounded:
        if unfounded.thing.identity not in closed:
            clauses = _ended_by(unfounded.thing, decision.endings)
            writes.append(Withdraw(unfounded.thing, unfounded.reason, clauses=clauses))
    withdrawn = {write.thing.identity for write in writes if isinstance(write, Withdraw)}
    writes += (mark for mark in decision.marks if mark.thing.identity not in withdrawn)
    return tuple(writes)


def _change(obligation: Obligation, thing: Thing, endings: tuple[tuple[str, str], ...]) -> list[Write]:
    if obligation.standing is Standing.ANSWERED:
        return [Complete(thing, obligation)]
    if obligation.standing is Standing.ENDED:
        reason = obligation.withdrawal or Withdrawal.NOT_NEEDED
        return [Withdraw(thing, reason, obligation.because, obligation.evidence, _ended_by(thing, endings))]
    wanted = (obligation.steps, obligation.due, obligation.priority, obligation.points, obligation.activities)
    written = (thing.steps, thing.due, thing.priority, thing.points, thing.activities)
    if wanted == written and set(obligation.covers) == set(thing.covers):
        return []
    return [Amend(thing, obligation)]


def _ended_by(thing: Thing, endings: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return tuple(row for action, row in endings if action == thing.key.action and thing.key.kind is Kind.FLAG)


def closed_in_epr(record: Record) -> set[str]:
    """Identities of what is terminal in the EPR already, whoever closed it."""
    tasks, messages, plans = ([h.latest for h in hs] for hs in (record.tasks, record.messages, record.plans))
    closed = {
        fact.obligation
        for fact in (*tasks, *messages, *plans)
        if fact.obligation is not None and is_terminal(fact.source.type, fact.status)
    }
    flags = {flag.latest.obligation for flag in record.own_flags if flag.latest.status != "active"}
    return closed | flags


Addressing = Callable[[Obligation], tuple[AnyEffect, ...]]
"""What becomes of a new Communication: it is handed over, or addressed to whoever a channel has to reach."""


def effects_of(
    decision: Decision, writes: tuple[Write, ...], now: datetime, addressing: Addressing | None = None
) -> tuple[AnyEffect, ...]:
    """The writes as effects, to be kept with them.

    Without `addressing` every Communication counts as handed over when it is decided.
    """
    runs = {write.obligation.run for write in writes if isinstance(write, Create)}
    effects: list[AnyEffect] = [started for started in decision.started if started.identity in runs]
    for write in writes:
        effects.extend(_effects(write, now))
        if isinstance(write, Create) and write.obligation.kind is Kind.COMMUNICATION:
            handed_over = (HandedOver(identity=write.obligation.identity, at=now),)
            effects.extend(addressing(write.obligation) if addressing else handed_over)
    return tuple(effects)


def _effects(write: Write, now: datetime) -> list[AnyEffect]:
    match write:
        case Create(obligation=obligation):
            return [_written(obligation, now)]
        case Amend(thing=thing, obligation=obligation):
            amended = Amended(
                identity=thing.identity,
                at=now,
                steps=obligation.steps,
                covers=obligation.covers,
                due=obligation.due,
                priority=obligation.priority,
                evidence=obligation.evidence,
                points=obligation.points,
                activities=obligation.activities,
            )
            return [amended]
        case Complete(thing=thing, obligation=obligation):
            answer = obligation.answer or thing.evidence[0]
            return [Completed(identity=thing.identity, at=now, by=answer, outcome=obligation.outcome)]
        case Withdraw(thing=thing, reason=reason):
            return [Withdrawn(identity=thing.identity, at=now, reason=reason)]
        case MarkDelivery(thing=thing, mark=mark):
            return [Marked(identity=thing.identity, at=now, mark=mark)]


def _written(obligation: Obligation, now: datetime) -> Written:
    return Written(
        identity=obligation.identity,
        at=now,
        key=obligation.key,
        run=obligation.run,
        pathway=obligation.pathway,
        steps=obligation.steps,
        since=obligation.since,
        due=obligation.due,
        priority=obligation.priority,
        evidence=obligation.evidence,
        covers=obligation.covers,
        triggers=obligation.triggers,
        stated=obligation.stated,
        points=obligation.points,
        activities=obligation.activities,
    )
