"""Whoever was told something that the record has since taken back is told so.

What was sent cannot be withdrawn. When what it rested on no longer stands, everyone who was told, by whatever notice or
letter, is owed one correction that says what was wrong; several notices to the same role are corrected in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fhirbridge.core.decision import Obligation, Reason, Standing
from fhirbridge.core.effects import Key, Kind
from fhirbridge.core.facts import Person, Source
from fhirbridge.core.identity import of_obligation
from fhirbridge.core.own import CORRECTION, Own, Thing
from fhirbridge.core.policy import Pack, Step
from fhirbridge.core.timeline import Record
from fhirbridge.core.unfounded import founded, no_longer_stands
from fhirbridge.core.vocabulary import PRIORITIES
from fhirbridge.core.wording import listed


def corrections(pack: Pack, record: Record, own: Own, may_tell: Callable[[Thing], bool]) -> Iterator[Obligation]:
    """The corrections owed now and not yet sent, to those who may be told (`may_tell` of what they were sent)."""
    sent = [t for t in own.things.values() if t.key.kind is Kind.COMMUNICATION and t.sent and t.key.pack == pack.name]
    owed: dict[tuple[str, str], list[Thing]] = {}
    for thing in sorted(sent, key=lambda t: (t.written, t.identity)):
        told = thing.key.action != CORRECTION and thing.identity not in own.corrected
        if told and not founded(thing, record) and may_tell(thing):
            owed.setdefault((thing.key.case, thing.key.role), []).append(thing)
    for things in owed.values():
        yield _correction(pack, record, things)


def _correction(pack: Pack, record: Record, things: list[Thing]) -> Obligation:
    first = things[0]
    key = Key(
        patient=first.key.patient,
        case=first.key.case,
        pack=pack.name,
        kind=Kind.COMMUNICATION,
        action=CORRECTION,
        role=first.key.role,
        scope=f"correction:{first.identity}",
    )
    gone = tuple(dict.fromkeys(s for t in things for s in no_longer_stands(t, record)))
    because = tuple(_reason(source, record, pack) for source in gone)
    steps = [step for thing in things for step in _steps(pack, thing)]
    days = listed((pack.calendar.on_date(thing.written) for thing in things), "and")
    wrong = " ".join(reason.says for reason in because)
    return Obligation(
        identity=of_obligation(key),
        key=key,
        run=first.run,
        pathway=first.pathway,
        canonical=pack.canonical,
        steps=tuple(dict.fromkeys(step.id for step in steps)) or first.steps,
        clauses=tuple(dict.fromkeys(step.row for step in steps)) or first.steps,
        since=max((record.sources[s.reference].latest.known for s in gone), default=first.written),
        standing=Standing.OPEN,
        title="Correct what was told",
        description=f"This corrects what you were told on {days}. {wrong} Please disregard what was said then.",
        priority=max((t.priority for t in things), key=PRIORITIES.index),
        because=because,
        evidence=tuple(record.sources[s.reference].latest.source for s in gone) or first.evidence,
        trigger=record.sources[gone[0].reference].latest.source if gone else None,
        covers=(of_obligation(key), *(thing.identity for thing in things)),
        episode=first.key.case if first.key.case.startswith("EpisodeOfCare/") else None,
    )


def _steps(pack: Pack, thing: Thing) -> Iterable[Step]:
    return (step for pathway in pack.pathways for step in pathway.steps if step.id in thing.steps)


def _reason(source: Source, record: Record, pack: Pack) -> Reason:
    latest = record.sources[source.reference].latest
    if isinstance(latest, Person) and not latest.deceased:
        return Reason("The patient is not recorded as having died any more.", (latest.source,))
    visit = record.visits.get(source.reference)
    if visit is not None:
        at = pack.calendar.at_time(visit.at)
        says = f"The appointment on {at} is now recorded as {visit.state.replace('-', ' ')}."
        return Reason(says, (latest.source,))
    return Reason("An entry in the record that it rested on has been taken back or changed.", (latest.source,))
