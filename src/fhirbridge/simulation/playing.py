"""One patient in virtual time: from each instant at which something changes to the next.

An instant is when a version became known, when a gap opened or closed, or when a decision asked to look again. At each
of them the service's own `settle` decides on all that is known by then, and its writes are laid over what an EPR would
hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import orjson
from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.effects import AnyEffect
from fhirbridge.core.facts import AnyFact, Appointment
from fhirbridge.core.findings import earliest
from fhirbridge.core.policy import Pack
from fhirbridge.fhir.directory import Directory
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render import simulated, simulated_provenance
from fhirbridge.service.assigning import Assignment, Editions, no_editions
from fhirbridge.simulation.collecting import Patient, Version
from fhirbridge.simulation.deciding import Alone, Deciding, Together
from fhirbridge.simulation.outages import Outage, arrival, open_gaps, turns
from fhirbridge.simulation.spreading import Line


class DryRun(Struct, frozen=True, kw_only=True):
    """What a dry run decides with: packs, in order, the calendar and the directory of recipients.

    Where there are `assignments`, the packs are those of the service that a case belongs to.
    """

    packs: tuple[Pack, ...]
    calendar: Calendar
    directory: Directory = Directory()
    assignments: tuple[Assignment, ...] = ()
    editions: Editions = no_editions

    @property
    def addressing(self) -> None:
        """Every recipient counts as reached when it is decided."""
        return


class Written(Struct, frozen=True, kw_only=True):
    """One write: when, about whom (`Patient/id`), the resource as it is after it, and its Provenance.

    `before` is the resource as it was; None when this write created it.
    """

    at: datetime
    patient: str
    resource: Resource
    provenance: Resource
    before: Resource | None = None


class Played(Struct, frozen=True):
    """What one patient's record came to: every write, in order, and the facts and effects it rests on in the end.

    Of records that were linked, `patient` is the one that survives, and `apart` are those that stand by themselves in
    the end, because a link was taken back; all writes are in the first.
    """

    written: list[Written]
    facts: tuple[AnyFact, ...]
    effects: tuple[AnyEffect, ...]
    patient: str = ""
    apart: tuple[Played, ...] = ()


def play(patient: Patient, by: DryRun, until: datetime, outages: Sequence[Outage] = ()) -> list[Written]:
    """Every write for this patient up to and including `until`, in order.

    Raises:
        Defect: a decision does not come to an end.
    """
    return played(patient, by, until, outages).written


def played(patient: Patient, by: DryRun, until: datetime, outages: Sequence[Outage] = ()) -> Played:
    """The same, with what was known in the end.

    Raises:
        Defect: a decision does not come to an end.
    """
    waiting = _agenda(patient.versions, outages)
    deciding: Deciding = Together(by, patient.linked) if patient.linked else Alone(by, patient.reference)
    held: dict[str, Resource] = {}
    latest: dict[str, AnyFact] = {}
    written: list[Written] = []
    wakes_at: datetime | None = None
    while (now := earliest((waiting[-1][0] if waiting else None, wakes_at))) is not None and now <= until:
        matters = wakes_at is not None and wakes_at <= now
        while waiting and waiting[-1][0] <= now:
            _, version = waiting.pop()
            if version is None:
                matters = True
                continue
            deciding.learn(version.fact)
            _changed_by_staff(version, held)
            matters |= not _repeats(version.fact, latest.get(version.fact.source.reference))
            latest[version.fact.source.reference] = version.fact
        if not matters:
            continue
        settled = deciding.look(now, open_gaps(outages, now) if outages else ())
        wakes_at = earliest(one.wakes_at for _, one in settled)
        for reference, outgoing in ((reference, outgoing) for reference, one in settled for outgoing in one.outgoing):
            before = held.get(outgoing.identity)
            after = simulated(outgoing, now, before)
            if after is not before:
                held[outgoing.identity] = after
                why = simulated_provenance(outgoing, now)
                written.append(Written(at=now, patient=reference, resource=after, provenance=why, before=before))
    found = [Played([], known.facts, known.effects, known.patient) for known in deciding.known(until)]
    first, *apart = found or [Played([], (), (), patient.reference)]
    return replace(first, written=written, apart=tuple(apart))


def _agenda(versions: Sequence[Version], outages: Sequence[Outage]) -> list[tuple[datetime, Version | None]]:
    """What becomes known when, the last first; None where a gap opens or closes."""
    if not outages:
        return [(version.fact.known, version) for version in reversed(versions)]
    agenda: list[tuple[datetime, Version | None]] = [(arrival(one.fact, outages), one) for one in versions]
    agenda += [(at, None) for at in turns(outages)]
    return sorted(agenda, key=lambda one: one[0])[::-1]


def final(written: Iterable[Written]) -> list[Resource]:
    """The last version of each resource, Provenances too, in the order in which they were first written.

    Writes of the same instant are in the order of their patients' references.
    """
    last: dict[tuple[str, str], Resource] = {}
    for write in sorted(written, key=lambda write: (write.at, write.patient)):
        for resource in (write.resource, write.provenance):
            last[resource["resourceType"], resource["id"]] = resource
    return list(last.values())


def final_lines(written: Sequence[Written]) -> list[Line]:
    """`final` of one patient as NDJSON, to be merged with that of others."""
    first: dict[tuple[str, str], datetime] = {}
    for write in written:
        for resource in (write.resource, write.provenance):
            first.setdefault((resource["resourceType"], resource["id"]), write.at)
    return [
        Line(at, written[0].patient, order, orjson.dumps(resource, option=orjson.OPT_APPEND_NEWLINE))
        for order, (resource, at) in enumerate(zip(final(written), first.values(), strict=True))
    ]


def _repeats(fact: AnyFact, before: AnyFact | None) -> bool:
    """Whether an Appointment was stored anew with nothing in it that counts: no decision can come out otherwise."""
    if not isinstance(fact, Appointment) or not isinstance(before, Appointment):
        return False
    return replace(fact, source=before.source, known=before.known) == before


def _changed_by_staff(version: Version, held: dict[str, Resource]) -> None:
    """What staff made of a resource of ours is what the next change is laid over; its id and version stay ours."""
    identity = getattr(version.fact, "obligation", None)
    if version.own is not None and identity in held:
        ours = held[identity]
        held[identity] = orjson.loads(version.own) | {"id": ours["id"], "meta": ours["meta"]}
