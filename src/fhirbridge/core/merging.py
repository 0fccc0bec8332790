"""Patients whose records were merged: which record survives, and what all of them say under it.

An EPR that finds two records of one person links them (`Patient.link`): the one is replaced by the other. What is known
of both, and what was done for both, then counts under the record that survives; what was written to the other is
withdrawn, and nothing is decided for it. Nothing of that is kept: when the link is taken back, both stand as if it had
never been. Links that lead in a circle name no survivor and change nothing: nobody is left without outreach because a
record contradicts itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.decision import Reason, Withdraw
from fhirbridge.core.effects import AnyEffect, Key, Kind, Withdrawal, Withdrawn, Written
from fhirbridge.core.facts import AnyFact, Fact, Person
from fhirbridge.core.history import History
from fhirbridge.core.own import Own, Thing, fold
from fhirbridge.core.reconcile import closed_in_epr
from fhirbridge.core.timeline import Record

_MOVED = "-moved"
"""Ends the version of what says that a resource is about somebody else now."""


class Link(Struct, frozen=True, order=True):
    """One Patient's word that a record is replaced by another; all three are `Patient/id`."""

    said_by: str
    replaced: str
    survivor: str


class Merged(Struct, frozen=True):
    """One of several records that count as one: its facts, and what the service did for it."""

    patient: str
    facts: tuple[AnyFact, ...]
    effects: tuple[AnyEffect, ...]


def links(facts: Iterable[AnyFact]) -> frozenset[Link]:
    """What the Patients among the facts say now: only the latest version of each counts."""
    people: dict[str, list[Person]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact, Person):
            people[fact.source.reference].append(fact)
    return frozenset(link for versions in people.values() for link in said(History.of(versions).latest))


def said(person: Person) -> Iterator[Link]:
    """What one version of a Patient says."""
    if person.erased:
        return
    if person.replaced_by is not None:
        yield Link(person.patient, person.patient, person.replaced_by)
    for other in person.replaces:
        yield Link(person.patient, other, person.patient)


def survivors(found: Iterable[Link]) -> dict[str, str]:
    """By which record each replaced one is replaced in the end; of two answers, its own word counts."""
    by: dict[str, str] = {}
    for link in sorted(found, key=lambda link: (link.said_by != link.replaced, link)):
        if link.replaced != link.survivor:
            by.setdefault(link.replaced, link.survivor)
    ends = ((replaced, _end(replaced, by)) for replaced in by)
    return {replaced: end for replaced, end in ends if end is not None}


def groups(found: Iterable[Link]) -> dict[str, str]:
    """For each record that any link names, the name of the group that links have ever made of it: its least member."""
    least: dict[str, str] = {}

    def root(patient: str) -> str:
        while least.setdefault(patient, patient) != patient:
            patient = least[patient]
        return patient

    for link in found:
        one, other = sorted((root(link.replaced), root(link.survivor)))
        least[other] = one
    return {patient: root(patient) for patient in list(least)}


def united(survivor: str, records: Collection[Merged], now: datetime) -> Merged:
    """What all these records come to under the survivor, who is one of them or was never heard of.

    What the service did for the others keeps its identities, so that what staff answered and what was sent is not asked
    for again; what is still open there counts as withdrawn, whether or not that has been written yet.
    """
    among = {record.patient for record in records}
    facts = tuple(_facts(survivor, records))
    closed = closed_in_epr(Record.of(facts))
    effects: list[AnyEffect] = []
    for record in sorted(records, key=lambda record: (record.patient == survivor, record.patient)):
        if record.patient == survivor:
            effects += record.effects
            continue
        own = fold(record.effects)
        effects += (_under(survivor, among, effect) for effect in record.effects)
        effects += (
            Withdrawn(identity=thing.identity, at=now, reason=Withdrawal.MERGED)
            for thing in own.things.values()
            if _can_go(thing, closed)
        )
    return Merged(survivor, facts, tuple(effects))


def withdrawals(record: Record, own: Own, survivor: str) -> Iterator[Withdraw]:
    """What was written to a record that has been replaced, and can still be taken back."""
    sources = (record.person.source,) if record.person is not None else ()
    because = (Reason(f"It goes on under {survivor}", sources),)
    closed = closed_in_epr(record)
    for thing in own.things.values():
        if _can_go(thing, closed):
            yield Withdraw(thing, Withdrawal.MERGED, because, sources)


def moves(facts: Iterable[AnyFact]) -> Iterator[AnyFact]:
    """Where a resource is about one patient and then about another: for the first, that it was never about them."""
    versions: dict[str, list[AnyFact]] = defaultdict(list)
    for fact in facts:
        versions[fact.source.reference].append(fact)
    for each in versions.values():
        if len({fact.patient for fact in each}) == 1:
            continue
        ordered = History.of(each).versions
        for before, after in pairwise(ordered):
            if before.patient != after.patient and before.patient and not before.erased:
                source = replace(before.source, version=f"{before.source.version}{_MOVED}"[-64:])
                yield replace(before, erased=True, known=after.known, source=source)


def doubts(record: Record) -> tuple[Reason, ...]:
    """What of the patient's own record leaves open whether they are still its patient; nothing is concluded from it."""
    person = record.person
    if person is None or person.active or person.deceased or person.replaced_by is not None:
        return ()
    told = (
        "The patient's record is marked as inactive, and names no other that replaces it. That does not say that "
        "nobody needs to be reached, so everything goes on"
    )
    return (Reason(told, (person.source,)),)


def _end(patient: str, by: Mapping[str, str]) -> str | None:
    """Where the links from here lead; None where that is a circle."""
    seen = {patient}
    while (after := by.get(patient)) is not None:
        if after in seen:
            return None
        seen.add(after)
        patient = after
    return patient


def _facts(survivor: str, records: Collection[Merged]) -> Iterator[AnyFact]:
    facts = [fact for record in records for fact in record.facts]
    known = any(isinstance(fact, Person) and fact.patient == survivor for fact in facts)
    there = {(fact.source.reference, fact.known) for fact in facts if not _has_moved(fact)}
    for fact in facts:
        # Another's Patient says nothing of the survivor, unless nothing else is known of them.
        another = isinstance(fact, Person) and known and fact.patient != survivor
        within = _has_moved(fact) and (fact.source.reference, fact.known) in there
        if not another and not within:
            yield fact if fact.patient == survivor else replace(fact, patient=survivor)


def _has_moved(fact: Fact) -> bool:
    return fact.erased and fact.source.version.endswith(_MOVED)


def _under(survivor: str, among: Collection[str], effect: AnyEffect) -> AnyEffect:
    """The effect as if it had been done for the survivor."""
    if not isinstance(effect, Written):
        return effect
    return replace(effect, key=_key(effect.key, survivor, among))


def _key(key: Key, survivor: str, among: Collection[str]) -> Key:
    return replace(key, patient=survivor, case=survivor if key.case in among else key.case)


def _can_go(thing: Thing, closed: Collection[str]) -> bool:
    told = thing.key.kind is Kind.COMMUNICATION and thing.sent is not None
    return thing.open and not told and thing.identity not in closed
