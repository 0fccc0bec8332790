"""Facts → the record of a patient, in any order and with any duplicates.

The record knows nothing of the present moment: whoever asks passes the instant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.cases import Case, Visit, cases_of
from fhirbridge.core.facts import (
    AnyFact,
    Appointment,
    Consent,
    Encounter,
    Episode,
    Fact,
    Message,
    OwnFlag,
    Person,
    Plan,
    Referral,
    Relation,
    Signal,
    Task,
)
from fhirbridge.core.history import F, History
from fhirbridge.core.signals import SignalSpan, signal_spans


class Record(Struct, frozen=True):
    """All that is known about one patient."""

    patient: str
    cases: tuple[Case, ...] = ()
    person: Person | None = None
    signals: tuple[SignalSpan, ...] = ()
    referrals: dict[str, Referral] = {}
    relations: tuple[History[Relation], ...] = ()
    consents: tuple[History[Consent], ...] = ()
    tasks: tuple[History[Task], ...] = ()
    messages: tuple[History[Message], ...] = ()
    plans: tuple[History[Plan], ...] = ()
    encounters: tuple[History[Encounter], ...] = ()
    own_flags: tuple[History[OwnFlag], ...] = ()
    visits: dict[str, Visit] = {}
    """Every appointment as it counts, by its reference."""
    sources: dict[str, History[Fact]] = {}
    """Every history by its reference."""

    @classmethod
    def of(cls, facts: Iterable[AnyFact], late: float = 4 * 3600) -> Record:
        """Build the record from facts in any order; `late` seconds after which a clock runs from when it was known."""
        versions: dict[str, dict[tuple[str, datetime], AnyFact]] = defaultdict(dict)
        for fact in facts:
            versions[fact.source.reference].setdefault((fact.source.version, fact.known), fact)
        return cls.of_histories({name: History.of(list(of.values())) for name, of in versions.items()}, late)

    @classmethod
    def of_histories(cls, histories: Mapping[str, History[Fact]], late: float) -> Record:
        """The same from all versions of each resource, by its reference."""
        return _build(histories, late)


def _build(histories: Mapping[str, History[Fact]], late: float) -> Record:
    by_type: dict[type[Fact], list[History[Fact]]] = defaultdict(list)
    sources: dict[str, History[Fact]] = {}
    for reference in sorted(histories):
        history = histories[reference]
        sources[reference] = history
        if not history.latest.erased:
            by_type[type(history.latest)].append(history)
    persons = [h.latest for h in _of(by_type, Person)]
    patient = next((h.latest.patient for h in sources.values() if h.latest.patient), "")
    referrals = {h.latest.source.reference: h.latest for h in _of(by_type, Referral)}
    signals = tuple(signal_spans(_of(by_type, Signal), _of(by_type, Referral), _of(by_type, Episode), late))
    cases = cases_of(_of(by_type, Appointment), _of(by_type, Episode), _of(by_type, Encounter), _of(by_type, Referral))
    return Record(
        patient=patient,
        cases=cases or ((Case(id=patient),) if signals else ()),
        person=persons[-1] if persons else None,
        signals=signals,
        referrals=referrals,
        relations=tuple(_of(by_type, Relation)),
        consents=tuple(_of(by_type, Consent)),
        tasks=tuple(_of(by_type, Task)),
        messages=tuple(_of(by_type, Message)),
        plans=tuple(_of(by_type, Plan)),
        encounters=tuple(_of(by_type, Encounter)),
        own_flags=tuple(_of(by_type, OwnFlag)),
        visits={visit.source.reference: visit for case in cases for visit in case.visits},
        sources=sources,
    )


def _of(by_type: dict[type[Fact], list[History[Fact]]], kind: type[F]) -> list[History[F]]:
    return by_type.get(kind, [])  # type: ignore[return-value]  # keyed by the very type of the latest fact
