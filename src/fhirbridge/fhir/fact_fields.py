"""Which facts a mapping can make, and how what a path finds becomes the value of a field.

A mapping says where in a resource a field is; this module knows what kind of thing the field is. So no mapping can put
a code where an instant belongs, or a code that no policy knows anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any

from fhirbridge.core import facts
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.codes import Codes, codings
from fhirbridge.fhir.fact_codes import OURS, TRUTHS
from fhirbridge.fhir.instants import to_birth_date, to_end, to_instant
from fhirbridge.fhir.mapping_file import Origin
from fhirbridge.fhir.nearest import unknown
from fhirbridge.fhir.paths import Path, compiled
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.references import plain


class Kind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    TRUTH = "truth"
    INSTANT = "instant"
    END = "end"
    """The end of a period: a date without time includes that day."""
    HAPPENED = "happened"
    """As END, but never after the version became known."""
    BIRTH = "birth"
    REFERENCE = "reference"
    REFERENCES = "references"
    CODE = "code"
    CODES = "codes"
    STATE = "state"
    """A code that is an AppointmentState."""
    KEYS = "keys"
    """References and codings as keys of a service."""
    IS_PATIENT = "is-patient"
    """Whether one of the references is the patient of the fact."""
    HOLDERS = "holders"


SEVERAL = frozenset({Kind.REFERENCES, Kind.CODES, Kind.KEYS, Kind.HOLDERS})
"""Kinds that collect what all origins give; of the others the first origin that gives something counts."""

_PERIOD = {"start": Kind.INSTANT, "end": Kind.END}
_OWN = {"status": Kind.TEXT, "obligation": Kind.TEXT}

FACTS: dict[str, tuple[type[facts.Fact], dict[str, Kind]]] = {
    "appointment": (
        facts.Appointment,
        {"state": Kind.STATE, "services": Kind.KEYS, "referrals": Kind.REFERENCES, **_PERIOD},
    ),
    "encounter": (
        facts.Encounter,
        {
            "status": Kind.TEXT,
            "inpatient": Kind.TRUTH,
            "appointments": Kind.REFERENCES,
            "episodes": Kind.REFERENCES,
            "services": Kind.KEYS,
            "participants": Kind.CODES,
            "signals": Kind.CODES,
            **_PERIOD,
        },
    ),
    "episode": (
        facts.Episode,
        {
            "status": Kind.TEXT,
            "settings": Kind.CODES,
            "services": Kind.KEYS,
            "referrals": Kind.REFERENCES,
            "signals": Kind.CODES,
            **_PERIOD,
        },
    ),
    "referral": (
        facts.Referral,
        {
            "status": Kind.TEXT,
            "priority": Kind.CODE,
            "requester": Kind.REFERENCE,
            "authored": Kind.INSTANT,
            "services": Kind.KEYS,
            "signals": Kind.CODES,
        },
    ),
    "signal": (
        facts.Signal,
        {"signals": Kind.CODES, "active": Kind.TRUTH, "encounter": Kind.REFERENCE, **_PERIOD},
    ),
    "task": (
        facts.Task,
        {
            **_OWN,
            "actions": Kind.CODES,
            "outcome": Kind.CODE,
            "happened": Kind.HAPPENED,
            "due": Kind.END,
            "owner": Kind.REFERENCE,
            "about": Kind.REFERENCES,
        },
    ),
    "message": (
        facts.Message,
        {
            **_OWN,
            "actions": Kind.CODES,
            "sender": Kind.REFERENCE,
            "recipients": Kind.REFERENCES,
            "from_patient": Kind.IS_PATIENT,
            "to_patient": Kind.IS_PATIENT,
            "sent": Kind.INSTANT,
            "received": Kind.INSTANT,
            "categorised": Kind.TRUTH,
            "about": Kind.REFERENCES,
        },
    ),
    "plan": (facts.Plan, {**_OWN, "actions": Kind.CODES, **_PERIOD}),
    "own-flag": (facts.OwnFlag, _OWN),
    "person": (
        facts.Person,
        {
            "birth_date": Kind.BIRTH,
            "active": Kind.TRUTH,
            "deceased": Kind.TRUTH,
            "deceased_at": Kind.INSTANT,
            "replaced_by": Kind.REFERENCE,
            "replaces": Kind.REFERENCES,
            "practitioners": Kind.REFERENCES,
            "practice": Kind.TEXT,
        },
    ),
    "relation": (
        facts.Relation,
        {
            "kinds": Kind.CODES,
            "birth_date": Kind.BIRTH,
            "active": Kind.TRUTH,
            "contactable": Kind.TRUTH,
            **_PERIOD,
        },
    ),
    "consent": (
        facts.Consent,
        {"status": Kind.TEXT, "permits": Kind.TRUTH, "covers": Kind.CODES, **_PERIOD},
    ),
    "team": (facts.Team, {"status": Kind.TEXT, "holders": Kind.HOLDERS}),
}
"""The facts by the name that mappings use, and the kind of each of their fields."""

Read = Callable[[Resource, datetime, str], Any]
"""Resource, when it became known and its patient in; the value out, None when nothing is found."""

_Convert = Callable[[list[Any], datetime, str], Any]


def reader(field: str, kind: Kind, origin: Origin, maps: dict[str, Codes], zone: tzinfo) -> Read:
    """Compile one origin of this field, which is of this kind.

    Raises ConfigurationError with the origin's place. The reader raises SenderError when what it finds is no value of
    that kind.
    """
    try:
        path = compiled(origin.path) if origin.path else _constant(origin)
        when = compiled(origin.when) if origin.when else None
        convert = _conversion(field, kind, origin, maps, zone)
    except ConfigurationError as error:
        if error.place:
            raise
        raise ConfigurationError(error.message, place=origin.place) from error

    def read(resource: Resource, known: datetime, patient: str) -> Any:
        items = path(resource)
        return convert(items, known, patient) if items else None

    if when is None:
        return read
    return lambda resource, known, patient: read(resource, known, patient) if when(resource) == [True] else None


def _constant(origin: Origin) -> Path:
    value: object = {"true": True, "false": False}.get(origin.value, origin.value)
    return lambda resource: [value]


def _conversion(field: str, kind: Kind, origin: Origin, maps: dict[str, Codes], zone: tzinfo) -> _Convert:
    mapped = bool(origin.map) if kind is Kind.TRUTH else not origin.value
    if kind in {Kind.CODE, Kind.CODES, Kind.STATE, Kind.TRUTH, Kind.HOLDERS}:
        what, ours = ("truth", TRUTHS) if kind is Kind.TRUTH else OURS[field]
        if origin.value and origin.value not in ours:
            raise ConfigurationError(unknown(origin.value, ours, what), place=origin.place)
        if mapped:
            codes = _codes(origin, maps)
            codes.only(ours, what)
            return _holders(origin, codes) if kind is Kind.HOLDERS else _mapped(kind, origin, codes)
    if origin.map:
        raise ConfigurationError(f"a {kind} is no code, so it has no map", place=origin.place)
    types = tuple(f"{name}/" for name in origin.types)
    simple: dict[Kind, _Convert] = {
        Kind.TEXT: lambda items, known, patient: items[0] if isinstance(items[0], str) else None,
        Kind.TRUTH: lambda items, known, patient: items[0] if isinstance(items[0], bool) else None,
        Kind.INSTANT: lambda items, known, patient: to_instant(items[0], zone),
        Kind.END: lambda items, known, patient: to_end(items[0], zone),
        Kind.HAPPENED: lambda items, known, patient: min(end, known) if (end := to_end(items[0], zone)) else None,
        Kind.BIRTH: lambda items, known, patient: to_birth_date(items[0]),
        Kind.REFERENCE: lambda items, known, patient: next(iter(references(items, types)), None),
        Kind.REFERENCES: lambda items, known, patient: references(items, types) or None,
        Kind.IS_PATIENT: lambda items, known, patient: patient in references(items, ()),
        Kind.KEYS: lambda items, known, patient: _keys(items, types, origin.without) or None,
        Kind.CODE: lambda items, known, patient: items[0],
        Kind.CODES: lambda items, known, patient: tuple(items),
        Kind.STATE: lambda items, known, patient: facts.AppointmentState(items[0]),
    }
    return simple[kind]


def references(items: list[Any], types: tuple[str, ...]) -> tuple[str, ...]:
    """The literal references among References and reference texts, as `Type/id`, each once.

    `types` are the prefixes allowed (`Patient/`); empty for all.
    """
    found: list[str] = []
    for item in items:
        name = plain(item.get("reference") if isinstance(item, dict) else item)
        if name is not None and (not types or name.startswith(types)) and name not in found:
            found.append(name)
    return tuple(found)


def _keys(items: list[Any], types: tuple[str, ...], without: tuple[str, ...]) -> tuple[str, ...]:
    found: list[str] = []
    for item in items:
        if isinstance(item, dict) and "coding" not in item and ("reference" in item or "identifier" in item):
            name = plain(item.get("reference"))
            if name is not None and (not types or name.startswith(types)):
                found.append(name)
            # A logical reference is a key as a coding is.
            item = item.get("identifier")  # noqa: PLW2901
        if item is not None:
            found += [f"{system}|{code}" for system, code in codings(item) if system and system not in without]
    return tuple(dict.fromkeys(found))


def _codes(origin: Origin, maps: dict[str, Codes]) -> Codes:
    if origin.map not in maps:
        raise ConfigurationError(unknown(origin.map, maps, "concept map"), place=origin.place)
    return maps[origin.map]


def _mapped(kind: Kind, origin: Origin, codes: Codes) -> _Convert:
    if kind is Kind.CODES:
        return lambda items, known, patient: codes.of(items) or None
    at = -1 if origin.take == "last" else 0
    make: dict[Kind, Callable[[str], Any]] = {
        Kind.STATE: facts.AppointmentState,
        Kind.TRUTH: lambda ours: ours == "true",
    }
    as_value = make.get(kind, str)

    def one(items: list[Any], known: datetime, patient: str) -> Any:
        found = codes.of(items)
        return as_value(found[at]) if found else None

    return one


def _holders(origin: Origin, codes: Codes) -> _Convert:
    if not origin.role or not origin.member:
        raise ConfigurationError("holders need role and member, paths below path", place=origin.place)
    role, member = compiled(origin.role), compiled(origin.member)

    def holders(items: list[Any], known: datetime, patient: str) -> Any:
        held = [
            f"{code}={reference}"
            for item in items
            for code in codes.of(role(item))
            for reference in references(member(item), ())
        ]
        return tuple(dict.fromkeys(held)) or None

    return holders
