"""How the EPR in memory searches: one current version of a resource against the parameters of a FHIR search.

Several parameters all have to match, the alternatives of one need not; see `_PARAMETERS` for those that are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from fhirbridge.adapters.epr import entries
from fhirbridge.ports import Resource

_Parameters = Sequence[tuple[str, str]]

_PATIENT = ("subject", "patient", "for")
_EVER = datetime.max.replace(tzinfo=UTC)
# They say how a page of matches looks, not what matches.
_OF_THE_PAGE = ("_count", "_sort")


def unsupported(parameters: _Parameters) -> list[str]:
    """The names among (name, value) pairs that are not known here."""
    return [name for name, _ in parameters if name not in _PARAMETERS and name not in _OF_THE_PAGE]


def matches(resource: Resource, parameters: _Parameters) -> bool:
    """Whether the resource matches every one of the (name, value) pairs; commas part alternatives."""
    wanted = [(name, value.split(",")) for name, value in parameters if name not in _OF_THE_PAGE]
    return all(_PARAMETERS[name](resource, values) for name, values in wanted)


def _is_about(resource: Resource, values: Sequence[str]) -> bool:
    return bool(_patients(resource) & {value if "/" in value else f"Patient/{value}" for value in values})


def _token(element: Resource, value: str, of: str) -> bool:
    system, bar, code = value.rpartition("|")
    return element.get(of) == code and (not bar or element.get("system", "") == system)


def _compared(stored: str, value: str) -> bool:
    left = datetime.fromisoformat(stored)
    return _within(left, left, value)


def _within(low: datetime, high: datetime, value: str) -> bool:
    """How FHIR compares a time from `low` to `high` with an instant that has a prefix."""
    prefix, instant = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    right = datetime.fromisoformat(instant)
    return {"ge": high >= right, "gt": high > right, "le": low <= right, "lt": low < right, "eq": low == right}[prefix]


def _takes_place(resource: Resource, values: Sequence[str]) -> bool:
    period = resource.get("period", {"start": resource.get("start"), "end": resource.get("start")})
    if not period.get("start"):
        return False
    low = _moment(period["start"])
    high = _moment(period["end"]) if period.get("end") else _EVER
    return any(_within(low, high, value) for value in values)


def _moment(written: str) -> datetime:
    read = datetime.fromisoformat(written)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _is_at(resource: Resource, values: Sequence[str]) -> bool:
    actors = {participant.get("actor", {}).get("reference") for participant in resource.get("participant", [])}
    return bool(actors & {value if "/" in value else f"Location/{value}" for value in values})


def _patients(resource: Resource) -> set[str]:
    direct = [resource.get(name, {}) for name in _PATIENT]
    actors = [participant.get("actor", {}) for participant in resource.get("participant", [])]
    references = {str(one.get("reference", "")) for one in [*direct, *actors]}
    if resource["resourceType"] == "Patient":
        references.add(entries.reference_of(resource))
    return references


_PARAMETERS: Mapping[str, Callable[[Resource, Sequence[str]], bool]] = {
    "_id": lambda one, values: one["id"] in values,
    "_lastUpdated": lambda one, values: any(_compared(one["meta"]["lastUpdated"], value) for value in values),
    "date": _takes_place,
    "location": _is_at,
    "_tag": lambda one, values: any(_token(tag, v, "code") for tag in one["meta"].get("tag", []) for v in values),
    "identifier": lambda one, values: any(_token(i, v, "value") for i in one.get("identifier", []) for v in values),
    "patient": _is_about,
    "subject": _is_about,
    "status": lambda one, values: one.get("status") in values,
    "target": lambda one, values: any(target.get("reference") in values for target in one.get("target", [])),
    "criteria": lambda one, values: one.get("criteria") in values,
    "url": lambda one, values: one.get("channel", {}).get("endpoint") in values,
}
