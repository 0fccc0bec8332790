"""One patient → everything that a pack asked for, each with its clause, its team and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from fhirbridge.core.accounts import Asked
from fhirbridge.core.cases import Case
from fhirbridge.core.decision import Standing
from fhirbridge.core.effects import AnyEffect, Kind
from fhirbridge.core.explain import explain
from fhirbridge.core.facts import AnyFact
from fhirbridge.core.own import Own, Thing, fold
from fhirbridge.core.policy import Pack, Step
from fhirbridge.core.timeline import Record

NO_TEAM = "no team recorded"
_TEAMS = ("CareTeam/", "HealthcareService/", "Organization/")
_TAKEN_BACK = frozenset({"cancelled", "entered-in-error"})


class State(StrEnum):
    """What became of a duty."""

    IN_TIME = "in-time"
    LATE = "late"
    """Answered after it was due."""
    NOT_DONE = "not-done"
    """Due, and not answered."""
    WITHDRAWN = "withdrawn"
    OPEN = "open"
    """Not due yet."""


class Duty(Struct, frozen=True, kw_only=True):
    """One Task that was to be done, or one Communication that was sent, for one row of the ledger.

    `due` is the deadline; of a Communication the instant at which it was called for. `done` is when it was answered or
    sent. `team` is a reference or a service's key.
    """

    team: str
    row: str
    clause: str
    title: str
    patient: str
    case: str
    identity: str
    kind: Kind
    role: str
    due: datetime
    done: datetime | None
    state: State


def duties(pack: Pack, facts: Iterable[AnyFact], effects: Iterable[AnyEffect], until: datetime) -> tuple[Duty, ...]:
    """Every duty of one patient under the pack, as known at `until`; each row of the ledger once for each thing."""
    record = Record.of(facts)
    own = fold(effects)
    found = {
        (duty.identity, duty.row): duty for duty in (*_withdrawn(pack, record, own), *_asked(pack, record, own, until))
    }
    return tuple(sorted(found.values(), key=lambda duty: (duty.due, duty.identity, duty.row)))


def _asked(pack: Pack, record: Record, own: Own, until: datetime) -> Iterator[Duty]:
    """What still follows from the record, answered or not."""
    cases = {case.id: case for case in record.cases}
    steps = _steps(pack)
    for account in explain(pack, record, own, until):
        notes = (step for pathway in account.pathways for run in pathway.runs for step in run.steps)
        for note, one in ((each, asked) for each in notes for asked in each.asked):
            thing = own.things.get(one.identity)
            if thing is not None:
                yield from _duty(thing, steps[note.id], cases[account.case], record, _state(one, until), one)


def _withdrawn(pack: Pack, record: Record, own: Own) -> Iterator[Duty]:
    """What was asked for once and does not follow from the record any more."""
    steps = _steps(pack)
    for thing in own.things.values():
        if thing.key.pack == pack.name and thing.withdrawn is not None:
            case = next((case for case in record.cases if thing.key.case in case.names), None)
            for step in (steps[name] for name in thing.steps if name in steps):
                yield from _duty(thing, step, case, record, State.WITHDRAWN, None)


def _duty(
    thing: Thing, step: Step, case: Case | None, record: Record, state: State, asked: Asked | None
) -> Iterator[Duty]:
    due = thing.due if asked is None else asked.due
    if thing.key.kind is Kind.COMMUNICATION:
        due = thing.since
    if due is None or thing.key.kind not in (Kind.TASK, Kind.COMMUNICATION):
        return
    yield Duty(
        team=_team(thing, case, record),
        row=step.row,
        clause=step.clause,
        title=step.title,
        patient=record.patient,
        case=thing.key.case,
        identity=thing.identity,
        kind=thing.key.kind,
        role=thing.key.role,
        due=due,
        done=asked.done if asked else None,
        state=state,
    )


def _state(asked: Asked, until: datetime) -> State:
    if asked.standing is Standing.ENDED:  # withdrawn after its deadline, it was not done in time either
        return State.WITHDRAWN if asked.lapsed is None else State.NOT_DONE
    if asked.status in _TAKEN_BACK:
        return State.WITHDRAWN
    if asked.standing is Standing.ANSWERED:
        late = asked.due is not None and asked.done is not None and asked.done > asked.due
        return State.LATE if late else State.IN_TIME
    return State.NOT_DONE if asked.due is not None and asked.due < until else State.OPEN


def _team(thing: Thing, case: Case | None, record: Record) -> str:
    """Whose duty it is: the team that owns the Task, else the team of the case."""
    owners = [task.latest.owner for task in record.tasks if task.latest.obligation == thing.identity]
    services = case.services if case else ()
    named = (name for name in (*owners, *services) if name and name.startswith(_TEAMS))
    return next(named, next(iter(services), NO_TEAM))


def _steps(pack: Pack) -> dict[str, Step]:
    return {step.id: step for pathway in pack.pathways for step in pathway.steps}
