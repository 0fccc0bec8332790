"""CapabilityStatements: what the service's own FHIR view offers, and what the service would have an EPR offer.

The second is a wish list with R4's own words for how strong each wish is (the extension
`capabilitystatement-expectation`): SHALL is indispensable, SHOULD has a way round that the doctor tells of.
"""

from __future__ import annotations

from collections.abc import Iterable

from fhirbridge.fhir import canonical
from fhirbridge.fhir.capability.feeds import DATES
from fhirbridge.fhir.r4 import SHAPES, Resource
from fhirbridge.fhir.view import offered

_EXPECTATION = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-expectation"
_PUBLISHED = "2026-11-22"
"""When the statements last changed in meaning."""

_INDISPENSABLE = frozenset({"Appointment", "Patient"})
_OURS = frozenset({"Task", "Communication", "Flag", "CarePlan"})


def view(version: str) -> Resource:
    """The read-only FHIR view of what the service wrote (`GET /fhir/…`)."""
    says = "Everything that the service wrote, read-only, for systems that cannot be written to and for whoever asks."
    return _statement("view", "The service's own FHIR view", says, version, "capability", offered()) | {
        "software": {"name": "fhirbridge", "version": version}
    }


def requirements_of_an_epr(version: str) -> Resource:
    """What an EPR has to offer so that nothing has to be done by a way round."""
    says = (
        "What the service asks of an EPR. Where something that it SHOULD offer is missing, the service takes a way "
        "round: it asks again and again instead of being told, tells in a Communication or a document what it cannot "
        "write, and keeps its own worklist."
    )
    subscription = {
        "type": "Subscription",
        "interaction": [_wish({"code": code}, "SHOULD") for code in ("create", "read", "update")],
    }
    resources = [*(_wanted(kind) for kind in sorted({*SHAPES, "Provenance"})), subscription]
    return _statement("epr", "What the service asks of an EPR", says, version, "requirements", resources)


def _wanted(kind: str) -> Resource:
    strength = "SHALL" if kind in _INDISPENSABLE else "SHOULD"
    wanted: Resource = {"type": kind}
    if kind in _OURS or kind == "Provenance":
        wanted["supportedProfile"] = [canonical.profile(kind)]
    reading = () if kind == "Provenance" else ("read", "search-type", "history-instance")
    writing = ("create", "update") if kind in _OURS else ("create",) if kind == "Provenance" else ()
    wanted["interaction"] = [
        *(_wish({"code": code}, "SHOULD" if code == "history-instance" else strength) for code in reading),
        *(_wish({"code": code}, "SHOULD") for code in writing),
    ]
    if kind in _OURS:
        wanted |= {"versioning": "versioned-update", "conditionalCreate": True}
    if kind == "Provenance":
        return wanted | {"updateCreate": True, "searchParam": [_wish({"name": "_tag", "type": "token"}, "SHOULD")]}
    names = {"_lastUpdated": "date"} if kind == "Patient" else {"patient": "reference", "_lastUpdated": "date"}
    names |= dict.fromkeys(DATES.get(kind, ()), "date")
    names |= {"identifier": "token"} if kind in _OURS else {}
    wanted["searchParam"] = [
        _wish({"name": name, "type": of}, strength if name == "patient" else "SHOULD") for name, of in names.items()
    ]
    return wanted


def _wish(element: Resource, strength: str) -> Resource:
    return {"extension": [{"url": _EXPECTATION, "valueCode": strength}], **element}


def _statement(
    identity: str, title: str, says: str, version: str, kind: str, resources: Iterable[Resource]
) -> Resource:
    return {
        "resourceType": "CapabilityStatement",
        "id": identity,
        "url": f"{canonical.BASE}/CapabilityStatement/{identity}",
        "version": version,
        "name": identity.upper() if identity == "epr" else identity.capitalize(),
        "title": title,
        "status": "active",
        "experimental": False,
        "date": _PUBLISHED,
        "publisher": "fhirbridge",
        "description": says,
        "kind": kind,
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": list(resources)}],
    }
