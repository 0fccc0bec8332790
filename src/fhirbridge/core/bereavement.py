"""When a patient has died: who is told, once, that what was still going on has stopped.

To the patient nothing goes any more, and what was still to be done is withdrawn; that follows from the record as
everything else does. The GP and the team's manager are told of it where there was anything to withdraw: otherwise the
service has had no part in their care, and the record speaks for itself. No policy asks for this; every policy relies on
it. When the death turns out to have been recorded by mistake, what they were told is corrected like anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from fhirbridge.core.decision import Obligation, Reason, Standing
from fhirbridge.core.effects import Key, Kind, Withdrawal
from fhirbridge.core.facts import Person
from fhirbridge.core.identity import of_obligation
from fhirbridge.core.own import Own, Thing
from fhirbridge.core.policy import Pack
from fhirbridge.core.timeline import Record
from fhirbridge.core.unfounded import stated

ACTION = "care-change-notice"
TOLD = ("gp", "team-manager")
_SCOPE = "death"


def tidings(pack: Pack, record: Record, own: Own) -> Iterator[Obligation]:
    """Who is to be told of the death because of what this pack had asked for, and was not told by any pack.

    `own` is all that was done for the patient, under every pack.
    """
    person = record.person
    if person is None or not person.deceased:
        return
    stopped = [t for t in own.things.values() if t.key.pack == pack.name and _stopped(t)]
    if not stopped:
        return
    generation = _taken_back(record, person)
    for role in TOLD:
        key = Key(
            patient=record.patient,
            case=record.patient,
            pack=pack.name,
            kind=Kind.COMMUNICATION,
            action=ACTION,
            role=role,
            scope=_SCOPE,
            generation=generation,
        )
        if not any(_same(thing, key) for thing in own.things.values()):
            yield _notice(pack, record, person, key, sorted(stopped, key=lambda t: (t.since, t.identity)))


def _notice(pack: Pack, record: Record, person: Person, key: Key, stopped: list[Thing]) -> Obligation:
    steps = tuple(dict.fromkeys(step for thing in stopped for step in thing.steps))
    rows = {step.id: step.row for pathway in pack.pathways for step in pathway.steps}
    on = f" on {pack.calendar.on_date(person.deceased_at)}" if person.deceased_at is not None else ""
    died = f"The patient is recorded as having died{on}."
    return Obligation(
        identity=of_obligation(key),
        key=key,
        run=stopped[0].run,
        pathway=stopped[0].pathway,
        canonical=pack.canonical,
        steps=steps,
        clauses=tuple(dict.fromkeys(rows.get(step, step) for step in steps)),
        since=person.known,
        standing=Standing.OPEN,
        title="The patient has died",
        description=f"{died} This service has stopped trying to reach them, and writes to them no more.",
        because=(Reason(died, (person.source,)),),
        evidence=(person.source,),
        trigger=person.source,
        triggers=(person.source,),
        stated=(stated(person.source, record),),
        covers=(of_obligation(key),),
    )


def _stopped(thing: Thing) -> bool:
    """Whether somebody was still to do something, or to be told, and that was withdrawn because of the death."""
    return thing.reason is Withdrawal.DECEASED and thing.key.kind in (Kind.TASK, Kind.COMMUNICATION)


def _taken_back(record: Record, person: Person) -> int:
    """How often a death had been recorded, and was taken back."""
    versions = record.sources[person.source.reference].versions
    dead = [isinstance(version, Person) and version.deceased and not version.erased for version in versions]
    return sum(before and not after for before, after in pairwise(dead))


def _same(thing: Thing, key: Key) -> bool:
    mine = thing.key.kind is key.kind and (thing.key.action, thing.key.role) == (key.action, key.role)
    return mine and (thing.key.scope, thing.key.generation) == (key.scope, key.generation)
