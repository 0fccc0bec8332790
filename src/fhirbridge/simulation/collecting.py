"""Resource versions in any order → the patients they are about, each with facts in the order they became known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import orjson
from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.facts import AnyFact, Person, Source, Unmapped
from fhirbridge.core.history import BEGINNING
from fhirbridge.core.merging import Link, groups, said
from fhirbridge.fhir.instants import to_instant
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.r4 import Resource
from fhirbridge.simulation.reading import Deleted

_TICK = timedelta(microseconds=1)


class Version(Struct, frozen=True, array_like=True):
    """A fact; with the resource, as JSON, where that is one of the service's own, which staff may have changed."""

    fact: AnyFact
    own: bytes | None = None


class Patient(Struct, frozen=True):
    """One patient (`Patient/id`) and what became known about them, oldest first, each version once.

    Records that were ever linked to one another come together, under the name of the least; `linked` are all of them.
    """

    reference: str
    versions: tuple[Version, ...]
    linked: tuple[str, ...] = ()


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


class Sieve:
    """Resources → versions; keeps the deletions, count of what falls through, and when the last became known."""

    def __init__(self, mapping: Mapping, until: datetime | None) -> None:
        self._mapping = mapping
        self._until = until
        self.latest = BEGINNING
        self.later = 0
        self.without_use: Counter[str] = Counter()
        self.deletions: set[Deleted] = set()
        self.links: set[Link] = set()

    def versions(self, found: Iterable[Resource | Deleted]) -> Iterator[Version]:
        """The version that each gives; those known after `until` are ignored, if it is given."""
        for each in found:
            if isinstance(each, Deleted):
                self.deletions.add(each)
                self.latest = max(self.latest, to_instant(each.at, UTC))
                continue
            fact = self._mapping.fact(each)
            if fact is None:
                self.without_use[each["resourceType"]] += 1
            elif self._until is not None and fact.known > self._until:
                self.later += 1
            else:
                self.latest = max(self.latest, fact.known)
                if isinstance(fact, Person):
                    self.links.update(said(fact))
                ours = getattr(fact, "obligation", None) is not None
                yield Version(fact, orjson.dumps(each, option=orjson.OPT_SORT_KEYS) if ours else None)


def collect(found: Iterable[Resource | Deleted], mapping: Mapping, until: datetime) -> Collected:
    """Turn resources into facts and sort them; the same set of versions gives the same answer in whatever order.

    Versions that became known after `until` are ignored.
    """
    sieve = Sieve(mapping, until)
    # The deletions are known once everything has been read.
    found_versions = list(sieve.versions(found))
    patients, unmapped, versions = sort_out(found_versions, sieve.deletions, until, groups(sieve.links))
    return Collected(
        patients=patients,
        versions=versions,
        later=sieve.later,
        without_use=dict(sorted(sieve.without_use.items())),
        unmapped=unmapped,
    )


def sort_out(
    found: Iterable[Version], deletions: Iterable[Deleted], until: datetime, linked: dict[str, str]
) -> tuple[tuple[Patient, ...], tuple[Unmapped, ...], int]:
    """The patients, each version once; what could not be mapped; and how many versions that leaves.

    `linked` are the groups that links make of patients, as of `groups`.
    """
    kept: dict[tuple[Source, datetime], Version] = {}
    for version in found:
        key = (version.fact.source, version.fact.known)
        known = kept.setdefault(key, version)
        # Of two that claim to be the same version and differ, always the same one.
        if known is not version and known != version and _encoded(version) < _encoded(known):
            kept[key] = version
    versions = list(kept.values())
    versions += _erasures(versions, deletions, until)
    unmapped = [version.fact for version in versions if isinstance(version.fact, Unmapped)]
    told = tuple(sorted(unmapped, key=lambda fact: (fact.source, fact.known)))
    return _by_patient(versions, linked), told, len(versions) - len(unmapped)


def _encoded(version: Version) -> bytes:
    return msgspec.msgpack.encode(version)


def _erasures(versions: Iterable[Version], deletions: Iterable[Deleted], until: datetime) -> list[Version]:
    """For each deletion the last version before it, as one that should never have been.

    Where versions of the resource are about several patients, it has gone from the record of each of them.
    """
    names = {deletion.reference for deletion in deletions}
    about: dict[str, dict[str, list[AnyFact]]] = {name: {} for name in names}
    for version in versions if names else ():
        fact = version.fact
        if fact.source.reference in names:
            about[fact.source.reference].setdefault(fact.patient, []).append(fact)
    gone = []
    for deletion in deletions:
        at = to_instant(deletion.at, UTC)
        for facts in about[deletion.reference].values():
            before = [fact for fact in facts if fact.known <= at]
            if before and at <= until:
                last = max(before, key=lambda fact: (fact.known, fact.source))
                source = replace(last.source, version=f"{last.source.version}-deleted".lstrip("-")[-64:])
                gone.append(Version(replace(last, erased=True, known=max(at, last.known + _TICK), source=source)))
    return gone


def _by_patient(versions: Iterable[Version], linked: dict[str, str]) -> tuple[Patient, ...]:
    by_reference: dict[str, list[Version]] = {}
    for version in versions:
        if patient := version.fact.patient:
            by_reference.setdefault(linked.get(patient, patient), []).append(version)
    together: dict[str, list[str]] = {}
    for patient, group in linked.items():
        together.setdefault(group, []).append(patient)
    return tuple(
        Patient(
            reference,
            tuple(sorted(of, key=lambda v: (v.fact.known, v.fact.source))),
            tuple(sorted(together.get(reference, ()))),
        )
        for reference, of in sorted(by_reference.items())
    )
