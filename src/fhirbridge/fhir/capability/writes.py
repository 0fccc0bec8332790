"""How what the service writes gets into an EPR: as what it is, carried by another type, or not at all.

What is not written as itself is on the service's own worklist in every case: a Communication tells of a Task, it cannot
be ticked off.
"""

from __future__ import annotations

from enum import StrEnum

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


class Once(StrEnum):
    """What keeps a write from being done twice when it has to be sent again."""

    CONDITIONAL = "conditional"
    """The EPR itself: conditional create, or a PUT under a chosen id."""
    SEARCHED = "searched"
    """Looking first for its identifier."""
    UNSURE = "unsure"
    """Nothing in the EPR: after a crash, something may be there twice."""


class Writing(Struct, frozen=True, kw_only=True):
    """How one type of what the service writes is written; `as_type` is empty where the EPR takes nothing of it.

    Not `changeable`: it is written when its content is final, and never touched again.
    """

    type: str
    way: Way
    as_type: str = ""
    changeable: bool = False
    once: Once = Once.UNSURE


def writes_for(capability: Capability) -> tuple[Writing, ...]:
    """How each type of `WRITTEN` is written at an EPR: as itself, else carried by another type, else not there."""
    return tuple(_writing(capability, one) for one in WRITTEN)


def _writing(capability: Capability, resource_type: str) -> Writing:
    offer = capability.offer(resource_type)
    if resource_type in _RECORDS:
        if offer.update_create and offer.can("update"):
            return Writing(type=resource_type, way=Way.NATIVE, as_type=resource_type, once=Once.CONDITIONAL)
        return _as(offer, resource_type, Way.NATIVE, "_tag") or Writing(type=resource_type, way=Way.OWN)
    itself = resource_type == "Communication" or offer.can("update")
    return (
        (itself and _as(offer, resource_type, Way.NATIVE, "identifier"))
        or _as(capability.offer("Communication"), resource_type, Way.COMMUNICATION, "identifier")
        or _as(capability.offer("DocumentReference"), resource_type, Way.DOCUMENT_REFERENCE, "identifier")
        or Writing(type=resource_type, way=Way.OWN)
    )


def _as(offer: Offer, resource_type: str, way: Way, found_by: str) -> Writing | None:
    """To write `resource_type` as what is offered here; None if that cannot be created."""
    if not offer.can("create"):
        return None
    changeable = offer.can("update") and resource_type not in _RECORDS
    once = Once.CONDITIONAL if offer.conditional_create else _searched(offer, found_by)
    return Writing(type=resource_type, way=way, as_type=offer.type, changeable=changeable, once=once)


def _searched(offer: Offer, parameter: str) -> Once:
    return Once.SEARCHED if offer.searches(parameter) else Once.UNSURE
