"""decide(pack, record, own, now): what should exist, and why; a pure function of what is known.

For each case it finds the scopes that pathways are anchored on, asks of each pathway whether it runs there, works
through its steps in the order of the pack, and joins what they ask for. Nothing is remembered between two calls but the
effects that are passed in, so order and repetition of events do not matter and a corrected record corrects the
consequences.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from fhirbridge.core.cases import Case
from fhirbridge.core.confirming import confirming
from fhirbridge.core.corrections import corrections
from fhirbridge.core.decision import Decision, Obligation, Unfounded
from fhirbridge.core.findings import earliest
from fhirbridge.core.gaps import Gap
from fhirbridge.core.joining import join
from fhirbridge.core.looking import Looking
from fhirbridge.core.memory import Memory
from fhirbridge.core.own import CORRECTION, Own, Thing
from fhirbridge.core.policy import Pack
from fhirbridge.core.runs import Runs
from fhirbridge.core.spells import Course, course
from fhirbridge.core.timeline import Record
from fhirbridge.core.unfounded import could_go, why_gone


def decide(
    pack: Pack,
    record: Record,
    own: Own,
    now: datetime,
    *,
    cases: frozenset[str] | None = None,
    starts: bool = True,
    gaps: tuple[Gap, ...] = (),
    memory: Memory | None = None,
) -> Decision:
    """What the pack asks for, for this patient, at this instant (UTC).

    `cases` are the ids of the cases it applies to, all by default. A run stays with the version and the settings of the
    pack that it was started with; with `starts` off, the pack is such an older edition and starts nothing new. While
    there are `gaps` in what is known of the EPR, nothing new is asked for that leads towards a discharge.
    `memory` saves work, where one is kept; it changes nothing.
    """
    runs = Runs(pack, record, own, now, starts=starts, gaps=gaps)
    if memory is None:
        return _decided(runs, cases, None)
    memory.turn_to(pack, record, own, gaps)
    decision = memory.stands((cases, starts), now)
    if decision is None:
        decision = _decided(runs, cases, memory)
    memory.decided((cases, starts), decision)
    return decision


def _decided(runs: Runs, cases: frozenset[str] | None, memory: Memory | None) -> Decision:
    looking = Looking(runs, cases, memory)
    courses = looking.everything()
    found = runs.found
    obligations = _joined(looking, memory, runs.pack)
    deliveries = confirming(runs.pack, runs.record, runs.own, runs.now)
    wanted = {obligation.identity for obligation in (*obligations, *deliveries.obligations)}
    return Decision(
        obligations=(*obligations, *_corrections(runs, courses, memory), *deliveries.obligations),
        started=runs.new(),
        endings=tuple(dict.fromkeys(found.endings)),
        unfounded=tuple(_unfounded(runs, courses, wanted, memory)),
        marks=deliveries.marks,
        held=tuple(found.held),
        wakes_at=earliest((runs.wakes_at, deliveries.wakes_at)),
    )


def _joined(looking: Looking, memory: Memory | None, pack: Pack) -> tuple[Obligation, ...]:
    """What is asked for, as obligations; what was made of the same places before."""
    if memory is None:
        return join(looking.asks, pack)[0]
    known = memory.joined(looking.places)
    if known is None:
        known, made = join(looking.asks, pack, memory.made)
        memory.join(looking.places, known, made)
    return known


def _corrections(runs: Runs, courses: Sequence[Course], memory: Memory | None) -> Iterable[Obligation]:
    """What those are owed who were told what no longer stands."""
    pack, record, own = runs.pack, runs.record, runs.own
    if memory is not None and memory.all_founded(record, own):
        return ()

    def may_tell(thing: Thing) -> bool:
        each = next((each for each in courses if thing.key.case in each.case.names), None)
        nowhere = course(Case(id=record.patient), record, own, runs.now, pack.late)  # its case may be what was erased
        return runs.may_tell(thing.key.role, each or nowhere)

    return tuple(corrections(pack, record, own, may_tell))


def _unfounded(runs: Runs, courses: Sequence[Course], wanted: set[str], memory: Memory | None) -> Iterable[Unfounded]:
    """What was written, is not wanted any more and can be taken back, each with the reason."""
    pack, own = runs.pack, runs.own
    could = memory.could_go if memory is not None else [t for t in own.things.values() if could_go(t, pack, own)]
    # A correction stays owed, be it under way: whoever waits for it was told what it corrects.
    gone = [thing for thing in could if thing.identity not in wanted and thing.key.action != CORRECTION]
    stand = [run for _, run in runs.found.all]
    for thing in gone:
        yield Unfounded(thing, why_gone(thing, pack, own, courses, stand, runs.record))
