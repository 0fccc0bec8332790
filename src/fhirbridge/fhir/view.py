"""The read-only FHIR view, as FHIR: what can be read and searched for, and the Bundles that answer. Pure.

One table says what each type can be searched by: the CapabilityStatement is made of it, and what it does not list is
refused. R4: https://hl7.org/fhir/R4/http.html and https://hl7.org/fhir/R4/search.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from fhirbridge.fhir.canonical import BASE, profile
from fhirbridge.fhir.r4 import FHIR_JSON, Resource
from fhirbridge.fhir.render.elements import utc

_R4 = "http://hl7.org/fhir/SearchParameter"


class Parameter(Struct, frozen=True):
    """One search parameter: R4's type, the R4 definition where it is one of R4's own, and what it looks at."""

    type: str
    defined: str
    looks_at: str


_PATIENT = "Patient/id; with several EPRs the absolute reference. It is the same as the other of patient and subject."
_EVERYWHERE: dict[str, Parameter] = {
    "_id": Parameter("token", f"{_R4}/Resource-id", "The logical id in this view."),
    "_lastUpdated": Parameter("date", f"{_R4}/Resource-lastUpdated", "With the prefixes eq ge gt le lt sa eb."),
}
_IDENTIFIER = "The obligation identifier, with or without its system."
_STATUS = "Codes, alternatives divided by commas."
_ACTION = "Codes of the action system, with or without the system; alternatives divided by commas."

SEARCHABLE: Mapping[str, Mapping[str, Parameter]] = {
    "CarePlan": _EVERYWHERE
    | {
        "patient": Parameter("reference", f"{_R4}/clinical-patient", _PATIENT),
        "subject": Parameter("reference", f"{_R4}/CarePlan-subject", _PATIENT),
        "identifier": Parameter("token", f"{_R4}/clinical-identifier", _IDENTIFIER),
        "status": Parameter("token", f"{_R4}/CarePlan-status", _STATUS),
        "category": Parameter("token", f"{_R4}/CarePlan-category", _ACTION),
    },
    "Communication": _EVERYWHERE
    | {
        "patient": Parameter("reference", f"{_R4}/Communication-patient", _PATIENT),
        "subject": Parameter("reference", f"{_R4}/Communication-subject", _PATIENT),
        "identifier": Parameter("token", f"{_R4}/Communication-identifier", _IDENTIFIER),
        "status": Parameter("token", f"{_R4}/Communication-status", _STATUS),
        "category": Parameter("token", f"{_R4}/Communication-category", _ACTION),
    },
    "Flag": _EVERYWHERE
    | {
        "patient": Parameter("reference", f"{_R4}/clinical-patient", _PATIENT),
        "subject": Parameter("reference", f"{_R4}/Flag-subject", _PATIENT),
        "identifier": Parameter("token", f"{_R4}/Flag-identifier", _IDENTIFIER),
        "status": Parameter("token", "", _STATUS),
        "code": Parameter("token", "", _ACTION),
    },
    "Provenance": _EVERYWHERE
    | {"target": Parameter("reference", f"{_R4}/Provenance-target", "Type/id in this view; alternatives by commas.")},
    "Task": _EVERYWHERE
    | {
        "patient": Parameter("reference", f"{_R4}/Task-patient", _PATIENT),
        "subject": Parameter("reference", f"{_R4}/Task-subject", _PATIENT),
        "identifier": Parameter("token", f"{_R4}/Task-identifier", _IDENTIFIER),
        "status": Parameter("token", f"{_R4}/Task-status", _STATUS),
        "code": Parameter("token", f"{_R4}/Task-code", _ACTION),
    },
}
"""What each type of the view can be searched by. Flag has no R4 parameters for status and code: these are ours."""

ANSWERING = ("_count", "_summary", "_format")
"""What says how to answer rather than what to look for."""

_INTERACTIONS = ("read", "vread", "history-instance", "search-type")


def capability_statement(url: str, version: str, started: datetime) -> Resource:
    """What the view at this base URL can do: exactly what it does."""
    return {
        "resourceType": "CapabilityStatement",
        "version": version,
        "name": "FhirbridgeView",
        "title": "Read-only view of what fhirbridge wrote",
        "status": "active",
        "date": utc(started),
        "kind": "instance",
        "instantiates": [f"{BASE}/CapabilityStatement/view"],
        "software": {"name": "fhirbridge", "version": version},
        "implementation": {"description": "Read-only view of what fhirbridge wrote", "url": url},
        "fhirVersion": "4.0.1",
        "format": [FHIR_JSON, "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Reading alone. Results come in the order of their last change, the oldest first, "
                "with a link to the next page; _summary=count gives the number alone.",
                "security": {
                    "cors": False,
                    "description": "A bearer token for each client system; each access is kept as an AuditEvent.",
                },
                "resource": offered(),
            }
        ],
    }


def offered() -> list[Resource]:
    """What the view offers of each type, as `CapabilityStatement.rest.resource`."""
    return [_listed(kind, parameters) for kind, parameters in SEARCHABLE.items()]


def _listed(kind: str, parameters: Mapping[str, Parameter]) -> Resource:
    return {
        "type": kind,
        "supportedProfile": [profile(kind)],
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "searchParam": [_parameter(name, parameter) for name, parameter in parameters.items()],
    }


def _parameter(name: str, parameter: Parameter) -> Resource:
    told: Resource = {"name": name}
    if parameter.defined:
        told["definition"] = parameter.defined
    return told | {"type": parameter.type, "documentation": parameter.looks_at}


def searchset(
    found: Iterable[Resource], base: str, *, total: int, self_link: str, next_link: str = "", count_only: bool = False
) -> Resource:
    """The answer to a search; links are absolute."""
    links = [{"relation": "self", "url": self_link}]
    if next_link:
        links.append({"relation": "next", "url": next_link})
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": total, "link": links}
    if count_only:
        return bundle
    entries = [
        {"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one, "search": {"mode": "match"}}
        for one in found
    ]
    return bundle | ({"entry": entries} if entries else {})


def history_bundle(versions: Sequence[Resource], base: str, self_link: str) -> Resource:
    """Every version of one resource, the newest first."""
    entries = [
        {
            "fullUrl": f"{base}/{one['resourceType']}/{one['id']}",
            "resource": one,
            "request": {
                "method": "POST" if one["meta"]["versionId"] == "1" else "PUT",
                "url": one["resourceType"] if one["meta"]["versionId"] == "1" else f"{one['resourceType']}/{one['id']}",
            },
            "response": {
                "status": "201" if one["meta"]["versionId"] == "1" else "200",
                "etag": f'W/"{one["meta"]["versionId"]}"',
                "lastModified": one["meta"]["lastUpdated"],
            },
        }
        for one in reversed(versions)
    ]
    return {
        "resourceType": "Bundle",
        "type": "history",
        "total": len(entries),
        "link": [{"relation": "self", "url": self_link}],
        "entry": entries,
    }


def told_from(resource: Resource, own: Mapping[str, str], base_url: str = "") -> Resource:
    """The resource with references as a reader of the view can follow them.

    `own` gives for a reference in the EPR to something that the service wrote its reference in the view. All other
    relative references are those of the EPR: they are made absolute where its `base_url` is given.
    """
    own_types = frozenset(SEARCHABLE)

    def told(value: Any) -> Any:
        if isinstance(value, list):
            return [told(one) for one in value]
        if not isinstance(value, dict):
            return value
        named = value.get("reference")
        rest = {name: told(one) for name, one in value.items()}
        if isinstance(named, str):
            rest["reference"] = followed(named)
        return rest

    def followed(named: str) -> str:
        plain, slash, version = named.partition("/_history/")
        if plain in own:
            return own[plain]
        kind, _, identity = plain.partition("/")
        relative = kind[:1].isupper() and identity and ":" not in plain
        if not base_url or not relative or (kind in own_types and f"{kind}/{identity}" in own.values()):
            return named
        return f"{base_url}/{plain}{slash}{version}"

    return {name: told(value) for name, value in resource.items()}
