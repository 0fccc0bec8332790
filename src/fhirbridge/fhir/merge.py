"""How a change of the service is laid over a resource that staff may have changed meanwhile.

What staff change is theirs. A resource in a terminal status gains only what cannot be known before; the status of any
other only moves on; an owner, note, output, priority or due date that a person set stays. The dry run and the adapter
that writes to an EPR use the same function, so that the one foretells the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fhirbridge.core.states import LATE, is_terminal, may_follow
from fhirbridge.fhir.canonical import BASE
from fhirbridge.fhir.r4 import Resource

_FIXED = frozenset({"resourceType", "id", "meta", "identifier"})
"""What a change never touches."""
_GROWING = frozenset({"note", "output"})
"""Lists in which everything stays, and what is new is appended."""
_SHARED = frozenset({"input", "reasonCode"})
"""Lists in which the service replaces its own entries (coded in its own systems) and leaves those of others."""
_NESTED = frozenset({"period", "restriction"})
"""Elements that are merged within."""
_FOLLOWS = {"restriction": "description"}
"""The description of a Task names its due date, so it stays where that stays."""
_STAMP = "lastModified"
_POINT = "activity.detail.status of "


def merge(current: Resource, elements: Resource, before: Mapping[str, str | None] | None = None) -> Resource:
    """Lay `elements` over `current`, a resource as just read from the EPR.

    `before` gives by path (`restriction.period.end`) what the service wrote there last; where `current` holds something
    else, a person set it, and it stays. References in `elements` are resolved already. Answers a new resource, or
    `current` itself when there is nothing to write; neither argument is changed.

    Raises:
        Defect: The service does not write resources of this type.
    """
    kind, status = str(current["resourceType"]), str(current.get("status", ""))
    kept = set(_FIXED) | _set_by_a_person(current, before or {})
    if is_terminal(kind, status):
        kept |= {name for name in elements if name not in LATE.get(kind, frozenset()) or name in current}
    elif not may_follow(kind, status, elements.get("status", status)):
        kept |= {"status", "statusReason"}
    merged = dict(current)
    for name, value in elements.items():
        if name not in kept and name != _STAMP:
            merged[name] = (
                _activities(current.get(name, []), value, before or {})
                if name == "activity"
                else _laid_over(name, current.get(name), value)
            )
    if merged == current:
        return current
    return merged | ({_STAMP: elements[_STAMP]} if _STAMP in elements else {})


def _set_by_a_person(current: Resource, before: Mapping[str, str | None]) -> set[str]:
    paths = {path: value for path, value in before.items() if not path.startswith(_POINT)}
    theirs = {path.partition(".")[0] for path, value in paths.items() if not _same(_at(current, path), value)}
    return theirs | {_FOLLOWS[name] for name in theirs if name in _FOLLOWS}


def point_path(description: str) -> str:
    """The path, for `before`, of the status of the CarePlan's point with this description."""
    return f"{_POINT}{description}"


def _activities(current: list[Resource], value: list[Resource], before: Mapping[str, str | None]) -> list[Resource]:
    """Points gain their new state where no person set another one; whatever is new is appended, and nothing goes."""
    states = {point["description"]: point["status"] for each in value if (point := each.get("detail"))}
    laid = [_in_state(each, states, before) for each in current]
    points = {each["detail"].get("description") for each in current if "detail" in each}
    new = [each for each in value if each not in current and each.get("detail", {}).get("description") not in points]
    return [*laid, *new]


def _in_state(activity: Resource, states: Mapping[str, str], before: Mapping[str, str | None]) -> Resource:
    point = activity.get("detail", {})
    name = point.get("description", "")
    if name not in states or before.get(point_path(name), point["status"]) != point["status"]:
        return activity
    return activity | {"detail": point | {"status": states[name]}}


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _same(one: Any, other: Any) -> bool:
    if one == other or not (isinstance(one, str) and isinstance(other, str)):
        return bool(one == other)
    try:
        # An EPR may give an instant back in another offset.
        return datetime.fromisoformat(one) == datetime.fromisoformat(other)
    except ValueError:
        return False


def _laid_over(name: str, current: Any, value: Any) -> Any:
    if name in _NESTED:
        return _within(current, value)
    if name in _GROWING and current:
        known = [_gist(each) for each in current]
        return [*current, *(each for each in value if _gist(each) not in known)]
    if name in _SHARED and current:
        return [*(each for each in current if not _is_own(each)), *value]
    return value


def _gist(entry: Resource) -> object:
    """What makes two entries the same: of a note its text, whenever it was taken; of others all."""
    return entry.get("text", entry)


def _within(current: Any, value: Any) -> Any:
    if not (isinstance(current, dict) and isinstance(value, dict)):
        return value
    return current | {name: _within(current.get(name), each) for name, each in value.items()}


def _is_own(entry: Resource) -> bool:
    coded = entry.get("type", entry)
    return any(coding.get("system", "").startswith(BASE) for coding in coded.get("coding", []))
