"""Resource versions in any order → the patients they are about, each with facts in the order they became known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import orjson
from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.facts import AnyFact, Source, Unmapped
from fhirbridge.fhir.instants import to_instant
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.r4 import Resource
from fhirbridge.simulation.reading import Deleted

_TICK = timedelta(microseconds=1)


class Version(Struct, frozen=True):
    """A fact; with the resource where that is one of the service's own, which staff may have changed."""

    fact: AnyFact
    own: Resource | None = None


class Patient(Struct, frozen=True):
    """One patient (`Patient/id`) and what became known about them, oldest first, each version once."""

    reference: str
    versions: tuple[Version, ...]


class Collected(Struct, frozen=True, kw_only=True):
    """All patients, by reference, and what was left out.

    `versions` counts the distinct versions that give a fact, `later` those that became known too late to count,
    `without_use` by resource type those that the service has no use for, `unmapped` those that could not become a fact.
    """

    patients: tuple[Patient, ...]
    versions: int
    later: int
    without_use: dict[str, int]
    unmapped: tuple[Unmapped, ...]


def collect(found: Iterable[Resource | Deleted], mapping: Mapping, until: datetime) -> Collected:
    """Turn resources into facts and sort them; the same set of versions gives the same answer in whatever order.

    Versions that became known after `until` are ignored.
    """
    kept: dict[tuple[Source, datetime], tuple[bytes, Version]] = {}
    deletions: set[Deleted] = set()
    without_use: Counter[str] = Counter()
    later = 0
    for each in found:
        if isinstance(each, Deleted):
            deletions.add(each)
            continue
        fact = mapping.fact(each)
        if fact is None:
            without_use[each["resourceType"]] += 1
        elif fact.known > until:
            later += 1
        else:
            _keep(kept, fact, each)
    versions = [version for _, version in kept.values()]
    versions += _erasures(versions, deletions, until)
    unmapped = [version.fact for version in versions if isinstance(version.fact, Unmapped)]
    return Collected(
        patients=_by_patient(versions),
        versions=len(versions) - len(unmapped),
        later=later,
        without_use=dict(sorted(without_use.items())),
        unmapped=tuple(sorted(unmapped, key=lambda fact: (fact.source, fact.known))),
    )


def _keep(kept: dict[tuple[Source, datetime], tuple[bytes, Version]], fact: AnyFact, resource: Resource) -> None:
    """Keep a version once; of two that claim to be the same version and differ, always the same one."""
    content = orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)
    own = resource if getattr(fact, "obligation", None) is not None else None
    key = (fact.source, fact.known)
    if key not in kept or content < kept[key][0]:
        kept[key] = content, Version(fact, own)


def _erasures(versions: list[Version], deletions: set[Deleted], until: datetime) -> list[Version]:
    """For each deletion the last version before it, as one that should never have been."""
    gone = []
    for deletion in deletions:
        at = to_instant(deletion.at, UTC)
        before = [v for v in versions if v.fact.source.reference == deletion.reference and v.fact.known <= at]
        if before and at <= until:
            last = max((v.fact for v in before), key=lambda fact: (fact.known, fact.source))
            source = replace(last.source, version=f"{last.source.version}-deleted".lstrip("-")[-64:])
            gone.append(Version(replace(last, erased=True, known=max(at, last.known + _TICK), source=source)))
    return gone


def _by_patient(versions: Iterable[Version]) -> tuple[Patient, ...]:
    by_reference: dict[str, list[Version]] = {}
    for version in versions:
        if version.fact.patient:
            by_reference.setdefault(version.fact.patient, []).append(version)
    return tuple(
        Patient(reference, tuple(sorted(of, key=lambda v: (v.fact.known, v.fact.source))))
        for reference, of in sorted(by_reference.items())
    )
