"""AuditEvent: who looked at or changed what about whom, through the service (R4, `AuditEvent`).

Of a search it keeps the query, in Base64 as R4 wants it. Patients are named by absolute references, for two EPRs may
give the same id to different people.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from fhirbridge.fhir.canonical import BASE
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import utc

_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_REST = {"system": f"{_TERMINOLOGY}/audit-event-type", "code": "rest", "display": "RESTful Operation"}
_RECORD = {"system": _DICOM, "code": "110110", "display": "Patient Record"}
_SIGNING = {"system": _DICOM, "code": "110114", "display": "User Authentication"}
_LOGIN = {"system": _DICOM, "code": "110122", "display": "Login"}
_LOGOUT = {"system": _DICOM, "code": "110123", "display": "Logout"}
_INTERACTION = "http://hl7.org/fhir/restful-interaction"

WHO = f"{BASE}/identifier/viewer"
"""Identifies people and systems by their names in the settings of the service."""

Did = Literal["read", "vread", "history-instance", "search-type", "operation", "look", "complete", "login", "logout"]
"""A RESTful interaction; or at the console `look`, `complete`, `login`, `logout`."""

_ACTIONS = {"complete": "U", "operation": "E", "login": "E", "logout": "E", "search-type": "E"}


class Access(Struct, frozen=True, kw_only=True):
    """One access.

    `who` is the name in the settings, `known_as` what they are called, `role` the role they work in. `patients` are
    absolute references, `query` what was asked for, `what` references of single resources. `refused`: nothing was
    shown. `address` is that of whoever asked, as far as it is known.
    """

    did: Did
    at: datetime
    who: str
    known_as: str = ""
    role: str = ""
    person: bool = False
    patients: Sequence[str] = ()
    what: Sequence[str] = ()
    query: str = ""
    address: str = ""
    refused: bool = False


def audit_event(access: Access) -> Resource:
    """The access as R4 keeps it."""
    kind, subtype = _kind(access.did)
    event: Resource = {"resourceType": "AuditEvent", "type": kind}
    if subtype:
        event["subtype"] = [subtype]
    event |= {
        "action": _ACTIONS.get(access.did, "R"),
        "recorded": utc(access.at),
        "outcome": "4" if access.refused else "0",
        "agent": [_agent(access)],
        "source": {
            "observer": {"type": "Device", "display": "fhirbridge"},
            "type": [
                {
                    "system": f"{_TERMINOLOGY}/security-source-type",
                    "code": "4",
                    "display": "Application Server",
                }
            ],
        },
    }
    entities = [*map(_patient, access.patients), *map(_thing, access.what), *([_query(access)] if access.query else [])]
    return event | ({"entity": entities} if entities else {})


def _kind(did: Did) -> tuple[Resource, Resource | None]:
    match did:
        case "login":
            return _SIGNING, _LOGIN
        case "logout":
            return _SIGNING, _LOGOUT
        case "look" | "complete":
            return _RECORD, None
        case _:
            return _REST, {"system": _INTERACTION, "code": did}


def _agent(access: Access) -> Resource:
    kind = ("humanuser", "human user") if access.person else ("dataprocessor", "data processor")
    system = f"{_TERMINOLOGY}/extra-security-role-type"
    agent: Resource = {"type": {"coding": [{"system": system, "code": kind[0], "display": kind[1]}]}}
    if access.role:
        agent["role"] = [{"text": access.role}]
    agent["who"] = {"identifier": {"system": WHO, "value": access.who}}
    if access.known_as:
        agent["name"] = access.known_as
    agent["requestor"] = True
    if access.address:
        agent["network"] = {"address": access.address, "type": "2"}
    return agent


def _patient(reference: str) -> Resource:
    return {
        "what": {"reference": reference, "type": "Patient"},
        "type": {"system": f"{_TERMINOLOGY}/audit-entity-type", "code": "1", "display": "Person"},
        "role": {"system": f"{_TERMINOLOGY}/object-role", "code": "1", "display": "Patient"},
    }


def _thing(reference: str) -> Resource:
    return {
        "what": {"reference": reference},
        "type": {"system": f"{_TERMINOLOGY}/audit-entity-type", "code": "2", "display": "System Object"},
        "role": {"system": f"{_TERMINOLOGY}/object-role", "code": "4", "display": "Domain Resource"},
    }


def _query(access: Access) -> Resource:
    return {
        "type": {"system": f"{_TERMINOLOGY}/audit-entity-type", "code": "2", "display": "System Object"},
        "role": {"system": f"{_TERMINOLOGY}/object-role", "code": "24", "display": "Query"},
        "query": base64.b64encode(access.query.encode()).decode(),
    }
