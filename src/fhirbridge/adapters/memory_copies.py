"""Copies of what was delivered to an EPR as itself, in memory, beside `MemoryWorklist`; see `store.copies`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from fhirbridge.adapters.memory_worklist import MemoryWorklist
from fhirbridge.adapters.store.copies import Current, own_identity, placings, stands_there
from fhirbridge.adapters.store.version_key import version_key
from fhirbridge.fhir import copies
from fhirbridge.fhir.copies import COPY
from fhirbridge.fhir.linking import write_code
from fhirbridge.fhir.worklist import listed_id
from fhirbridge.ports import Delivery, Listed, Placing, Receipt, Subject, Version

Versions = Mapping[tuple[str, str, str, str], Version]


class MemoryCopies:
    """Puts copies among the versions of the worklist; `versions` are what is kept, `references` what was delivered."""

    def __init__(
        self, worklist: MemoryWorklist, versions: Versions, references: Callable[[Subject], Mapping[str, str]]
    ) -> None:
        self._worklist = worklist
        self._versions = versions
        self._references = references

    def delivered(self, receipts: Sequence[Receipt], rows: Mapping[int, Delivery], now: datetime) -> None:
        """Copy what these receipts say to stand in the EPR as itself; `rows` are those not settled yet."""
        told = {receipt.row: receipt for receipt in receipts if receipt.reference and receipt.row in rows}
        places: dict[Subject, dict[str, str]] = {}
        for number, receipt in sorted(told.items()):
            subject = rows[number].subject
            places.setdefault(subject, dict(self._references(subject)))[rows[number].outgoing.identity] = (
                receipt.reference
            )
        for number, receipt in sorted(told.items()):
            subject, outgoing = rows[number].subject, rows[number].outgoing
            if not stands_there(subject, outgoing, receipt):
                continue
            before = self._current(subject.epr, outgoing.type, outgoing.identity)
            if before is not None and before.way != COPY:
                continue
            taken = self._current(subject.epr, "Provenance", write_code(outgoing.provenance)) is not None
            known = Current(before.way, before.version, before.resource) if before else None
            for placing in placings(outgoing, known, places[subject], taken):
                self._worklist.put(subject, placing, now)

    def heard(self, epr: str, versions: Sequence[Version], now: datetime) -> None:
        """Lay what these versions, which are not kept yet, say of the service's own things over their copies."""
        for version in sorted(versions, key=lambda one: one.fact.known):
            fact, identity = version.fact, own_identity(version)
            before = self._current(epr, fact.source.type, identity) if identity else None
            if before is None or before.way != COPY or not self._is_newest(epr, version):
                continue
            after = copies.heard(before.resource, version.resource, erased=fact.erased)
            if after is not before.resource:
                placing = Placing(identity=identity, resource=after, based_on=before.version, way=COPY, notice=identity)
                self._worklist.put(Subject(epr, fact.patient), placing, now)

    def _current(self, epr: str, kind: str, identity: str) -> Listed | None:
        return self._worklist.current(f"{kind}/{listed_id(epr, identity)}")

    def _is_newest(self, epr: str, version: Version) -> bool:
        fact = version.fact
        mine = (epr, fact.source.type, fact.source.id)
        kept = {key[3]: one.fact.known for key, one in self._versions.items() if key[:3] == mine}
        latest = max(kept.values(), default=None)
        return latest is None or latest < fact.known or (latest == fact.known and version_key(version) not in kept)
