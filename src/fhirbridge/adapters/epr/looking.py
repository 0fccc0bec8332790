"""Finding in an EPR what the service wrote there before, as far as the EPR can be searched for it.

By identifier or tag where it offers that; else among everything of the type that it has about the patient.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol

from fhirbridge.adapters.epr import entries
from fhirbridge.core.effects import Kind
from fhirbridge.fhir.canonical import OBLIGATION, WRITE
from fhirbridge.fhir.capability import Capability, Once, Way, Writing, once_for, writes_for
from fhirbridge.fhir.linking import referred, write_code
from fhirbridge.fhir.render.elements import logical_id
from fhirbridge.ports import Delivery, Resource


class Server(Protocol):
    """The FHIR interactions that a delivery needs of an EPR."""

    async def capability(self) -> Resource:
        """Its CapabilityStatement."""
        ...

    async def read(self, reference: str) -> Resource | None:
        """The current version of `Type/id`; None when deleted or unknown."""
        ...

    def search(self, resource_type: str, parameters: Mapping[str, str]) -> AsyncIterator[Resource]:
        """All matches."""
        ...

    async def transact(self, bundle: Resource) -> Resource:
        """Carry out a transaction Bundle, all of it or nothing; the transaction-response Bundle."""
        ...

    async def interact(self, entry: Resource) -> Resource:
        """Carry out one entry of a Bundle by itself; the entry that answers it."""
        ...


class Look:
    """What can be found at an EPR with these capabilities, and how writes are kept from being done twice there."""

    def __init__(self, server: Server, capability: Capability) -> None:
        self._server = server
        self._capability = capability
        (self._provenance,) = writes_for(capability, types=("Provenance",))
        self.absent: set[int] = set()
        """Rows that change what was not to be found."""

    @property
    def together(self) -> bool:
        """Whether several writes can be one transaction."""
        return self._capability.transaction

    @property
    def provenance(self) -> Writing | None:
        """How a Provenance is written; None where the EPR takes none."""
        return self._provenance if self._provenance.way is Way.NATIVE else None

    def once(self, kind: str) -> Once:
        """What keeps a resource of this type from being created twice."""
        return once_for(self._capability, kind)[0]

    async def standing(self, delivery: Delivery, known: Mapping[str, str]) -> Resource | None:
        """What a row changes; or what an earlier try to create it left, where the EPR itself does not see to that."""
        outgoing = delivery.outgoing
        if outgoing.verb == "change":
            if reference := known.get(outgoing.identity):
                return await self._server.read(reference)
            return await self.oldest(outgoing.type, entries.obligation_token(outgoing), delivery.subject.patient)
        match self.once(outgoing.type):
            case Once.CHOSEN_ID:
                return await self._server.read(f"{outgoing.type}/{logical_id(outgoing.identity)}")
            case Once.SEARCHED:
                return await self.oldest(outgoing.type, entries.obligation_token(outgoing), delivery.subject.patient)
            case Once.CONDITIONAL | Once.UNSURE:
                return None

    async def at(self, reference: str) -> Resource | None:
        """The current version of `Type/id`; None when it is not there."""
        return await self._server.read(reference)

    async def told(self, wave: Sequence[Delivery], standing: Iterable[Resource]) -> dict[str, str]:
        """The writes of this wave that have left their Provenance in the EPR: they have been committed.

        By the code of the write, the `Type/id` of what was written; empty where the Provenance does not say.
        """
        codes = {code for delivery in wave if (code := write_code(delivery.outgoing.provenance))}
        if not codes or self.provenance is None:
            return {}
        if self.provenance.once is Once.CHOSEN_ID and not self._capability.offer("Provenance").can("search-type"):
            read = [await self._server.read(f"Provenance/{code}") for code in sorted(codes)]
            return {write_code(one): entries.target_of(one) for one in read if one is not None}
        if self.provenance.once is Once.CHOSEN_ID:
            queries = [{"_id": ",".join(sorted(codes))}]
        elif self.provenance.by == "_tag":
            queries = [{"_tag": ",".join(f"{WRITE}|{code}" for code in sorted(codes))}]
        elif self.provenance.by == "target":
            queries = [{"target": entries.reference_of(one)} for one in standing]
        else:
            queries = []
        found = [one for query in queries async for one in self._server.search("Provenance", query)]
        return {write_code(one): entries.target_of(one) for one in found if write_code(one) in codes}

    async def missing(self, wave: Sequence[Delivery], known: dict[str, str]) -> set[str]:
        """Identities referred to that are neither written here nor in the EPR; `known` grows by those found there."""
        created = {delivery.outgoing.identity for delivery in wave if delivery.outgoing.verb == "create"}
        wanted = {identity for delivery in wave for identity in referred(delivery.outgoing.resource)}
        patient = wave[0].subject.patient
        missing = set()
        for identity in sorted(wanted - created - known.keys()):
            for kind in Kind:
                if stored := await self.oldest(kind, f"{OBLIGATION}|{identity}", patient):
                    known[identity] = entries.reference_of(stored)
                    break
            else:
                missing.add(identity)
        return missing

    async def doubles(self, wave: Sequence[Delivery]) -> dict[int, Resource]:
        """For rows whose resource the EPR holds more than once, the oldest.

        Conditional creates can race in an EPR; from then on it answers each of them with a conflict.
        """
        found = {}
        for delivery in wave:
            if delivery.outgoing.verb == "create":
                token = entries.obligation_token(delivery.outgoing)
                same = await self.matches(delivery.outgoing.type, token, delivery.subject.patient)
                if len(same) > 1:
                    found[delivery.row] = same[0]
        return found

    async def oldest(self, kind: str, token: str, patient: str) -> Resource | None:
        """The first of those with this identifier."""
        return next(iter(await self.matches(kind, token, patient)), None)

    async def matches(self, kind: str, token: str, patient: str) -> list[Resource]:
        """Those with this identifier, oldest first: by the instant of their last change, then by id.

        So everybody picks the same one. None where the EPR cannot be searched for them.
        """
        by = once_for(self._capability, kind)[1]
        if not by:
            return []
        if by == "identifier":
            found = [match async for match in self._server.search(kind, {by: token})]
        else:
            found = [match async for match in self._server.search(kind, {by: patient}) if _has(match, token)]
        return sorted(found, key=lambda match: (match.get("meta", {}).get("lastUpdated", ""), match["id"]))


def _has(resource: Resource, token: str) -> bool:
    system, _, value = token.partition("|")
    return any(one.get("system") == system and one.get("value") == value for one in resource.get("identifier", []))
