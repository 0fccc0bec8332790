"""How what the service writes gets into an EPR: as what it is, carried by another type, or not at all.

What is not written as itself is on the service's own worklist in every case: a Communication tells of a Task, it cannot
be ticked off.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from fhirbridge.fhir.capability.statement import Capability, Offer

WRITTEN = ("Task", "Flag", "CarePlan", "Communication", "Provenance", "AuditEvent")
"""The types that the service writes, by themselves or carried by another."""

_RECORDS = frozenset({"Provenance", "AuditEvent"})
"""Written once, never changed, and of no use to the person who reads a worklist."""


class Way(StrEnum):
    """How something that the service writes gets into the EPR."""

    NATIVE = "native"
    """As what it is."""
    COMMUNICATION = "communication"
    """Told in a Communication."""
    DOCUMENT_REFERENCE = "document-reference"
    """Told in a document."""
    OWN = "own"
    """Kept by the service: its own worklist, and its read-only FHIR view."""


CARRIERS = MappingProxyType({Way.COMMUNICATION: "Communication", Way.DOCUMENT_REFERENCE: "DocumentReference"})
"""The type that something is told in."""
_RECORDED = (Way.NATIVE, Way.OWN)


class Once(StrEnum):
    """What keeps a write from being done twice when it has to be sent again."""

    CONDITIONAL = "conditional"
    """The EPR itself: a create that is conditional on its identifier, or on its tag."""
    CHOSEN_ID = "chosen-id"
    """A PUT under an id derived from its identity: the EPR takes an update as a create."""
    SEARCHED = "searched"
    """Looking for it first: by its identifier or tag, else among all there is of its type about the patient."""
    UNSURE = "unsure"
    """Nothing in the EPR: after a crash, something may be there twice."""


class Writing(Struct, frozen=True, kw_only=True):
    """How one type of what the service writes is written; `as_type` is empty where the EPR takes nothing of it.

    Not `changeable`: it is written when its content is final, and never touched again. `by` is the search parameter
    that finds it; empty where none does.
    """

    type: str
    way: Way
    as_type: str = ""
    changeable: bool = False
    once: Once = Once.UNSURE
    by: str = ""


def writes_for(
    capability: Capability, wished: Mapping[str, Way] = MappingProxyType({}), types: tuple[str, ...] = WRITTEN
) -> tuple[Writing, ...]:
    """How each of these types is written at an EPR: as itself, else carried by another type, else not there.

    `wished` are ways that somebody has set: they are gone whatever the statement says, for it may be wrong.
    """
    return tuple(_writing(capability, one, wished.get(one)) for one in types)


def _writing(capability: Capability, resource_type: str, wished: Way | None) -> Writing:
    ways = _RECORDED if resource_type in _RECORDS else tuple(Way)
    for way in (wished,) if wished in ways else ways:
        offer = capability.offer(CARRIERS.get(way, resource_type))
        if way is not Way.OWN and (wished is way or _possible(offer, resource_type, way)):
            return _as(offer, resource_type, way, wished=wished is way)
    return Writing(type=resource_type, way=Way.OWN)


def once_for(capability: Capability, as_type: str) -> tuple[Once, str]:
    """What keeps a resource of this type from being written twice, and the search parameter that finds it, if any."""
    return _once(capability.offer(as_type), as_type in _RECORDS)


def _possible(offer: Offer, resource_type: str, way: Way) -> bool:
    if resource_type in _RECORDS:
        return offer.can("create") or (offer.update_create and offer.can("update"))
    once_is_enough = way is not Way.NATIVE or resource_type == "Communication"
    return offer.can("create") and (once_is_enough or offer.can("update"))


def _as(offer: Offer, resource_type: str, way: Way, *, wished: bool) -> Writing:
    """To write `resource_type` as what is offered here; a type that is to be written as itself can be changed."""
    recorded = resource_type in _RECORDS
    changeable = not recorded and (offer.can("update") or (wished and way is Way.NATIVE))
    once, by = _once(offer, recorded)
    return Writing(type=resource_type, way=way, as_type=offer.type, changeable=changeable, once=once, by=by)


def _once(offer: Offer, recorded: bool) -> tuple[Once, str]:
    by = offer.searches("_tag", "target") if recorded else offer.searches("identifier", "patient", "subject")
    chosen = offer.update_create and offer.can("update")
    if chosen and (recorded or not offer.conditional_create):
        return Once.CHOSEN_ID, by
    if offer.conditional_create:
        return Once.CONDITIONAL, by
    return (Once.SEARCHED, by) if by else (Once.UNSURE, "")
