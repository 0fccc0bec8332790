"""What an EPR's notification says: bytes in, events out.

Two dialects. An R4 rest-hook either posts nothing (look again), posts the resource, or puts and deletes it under the
resource's own path. The Subscriptions R5 Backport guide posts a Bundle whose first entry is the subscription's status:
a Parameters resource in R4, a SubscriptionStatus in R4B; its events name their focus, or nothing (empty payload), and
the Bundle may carry the focus resources. Older drafts of the guide wrote the parameters' names in camel case.

An event is a hint, not a command: whoever takes it still reads what is current. Nothing in here reads a clock or the
network, and whatever the bytes are, the answer is a `Notification` or a `SenderError`.
"""

from __future__ import annotations

from typing import Any

import orjson
from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.errors import SenderError, TooLarge
from fhirbridge.fhir.r4 import RESOURCE_TYPES, Resource
from fhirbridge.fhir.references import versioned
from fhirbridge.fhir.validation import ID, check

MAX_BYTES = 5_000_000
MAX_DEPTH = 64


class Event(Struct, frozen=True, kw_only=True):
    """A hint from an EPR that a resource changed. `resource` is there when the notification carried it.

    `deleted` when the EPR said that it deleted the resource.
    """

    type: str
    id: str
    version: str = ""
    resource: Resource | None = None
    deleted: bool = False


class Notification(Struct, frozen=True, kw_only=True):
    """What one notification said.

    `kind` is `rest-hook`, or the backport's notification type (`handshake`, `heartbeat`, `event-notification`,
    `query-status`, `query-event`). `look_again`: something changed, but not everything is named, so the caller has to
    read. `subscription` is the reference that the Bundle gives, `topic` the canonical of its topic without a version,
    `status` how it stands, `numbers` the event numbers in it and `so_far` the number of events since the subscription
    started; a jump in them is a lost event.
    """

    kind: str = "rest-hook"
    events: tuple[Event, ...] = ()
    look_again: bool = False
    subscription: str = ""
    topic: str = ""
    status: str = ""
    numbers: tuple[int, ...] = ()
    so_far: int | None = None


def posted(body: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Notification:
    """Read `POST /fhir/notify/{epr}`: empty, one resource, or a notification Bundle.

    Raises SenderError naming the element, TooLarge when the body is longer or deeper than the limits.
    """
    if not body.strip():
        return Notification(look_again=True)
    resource = read_json(body, max_bytes=max_bytes, max_depth=max_depth)
    if resource.get("resourceType") == "Bundle":
        return bundled(resource)
    return Notification(events=(_event(resource),))


def put(
    resource_type: str, resource_id: str, body: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH
) -> Notification:
    """Read `PUT /fhir/notify/{epr}/{type}/{id}`; without a body it only names the resource.

    Raises SenderError as `posted` does, and when the body is another resource than the path says.
    """
    _check_path(resource_type, resource_id)
    if not body.strip():
        return Notification(events=(Event(type=resource_type, id=resource_id),), look_again=True)
    event = _event(read_json(body, max_bytes=max_bytes, max_depth=max_depth))
    if (event.type, event.id) != (resource_type, resource_id):
        raise SenderError(
            f"the path says {resource_type}/{resource_id}, the body {event.type}/{event.id}; send one of them",
            place=f"{event.type}.id",
        )
    return Notification(events=(event,))


def deleted(resource_type: str, resource_id: str) -> Notification:
    """Read `DELETE /fhir/notify/{epr}/{type}/{id}`. Raises SenderError when the path is no FHIR reference."""
    _check_path(resource_type, resource_id)
    return Notification(events=(Event(type=resource_type, id=resource_id, deleted=True),))


def read_json(body: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Resource:
    """Parse one JSON object within limits of size and nesting.

    Raises TooLarge beyond the limits, SenderError when it is not JSON or not an object.
    """
    if len(body) > max_bytes:
        raise TooLarge(
            f"the body has {len(body)} bytes, more than {max_bytes}; send resources singly", issue="too-long"
        )
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "depth limit" in error.msg or "ecursion" in error.msg:  # orjson stops at 1024 levels by itself
            raise _too_deep(max_depth) from None
        raise SenderError(
            f"not JSON: {error.msg} at line {error.lineno} column {error.colno}", issue="invalid"
        ) from None
    if not isinstance(value, dict):
        raise SenderError("the body is not a JSON object; send a FHIR resource", issue="structure")
    if body.count(b"{") + body.count(b"[") > max_depth:
        _check_depth(value, max_depth)
    return value


def _check_depth(value: Resource, max_depth: int) -> None:
    level: list[Any] = [value]
    depth = 1
    while level:
        if depth > max_depth:
            raise _too_deep(max_depth)
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        depth += 1


def _too_deep(max_depth: int) -> TooLarge:
    return TooLarge(f"the body is nested deeper than {max_depth} levels; no FHIR resource is", issue="too-long")


def _check_path(resource_type: str, resource_id: str) -> None:
    if resource_type not in RESOURCE_TYPES:
        raise SenderError(
            f"{resource_type[:60]!r} is not a resource type of FHIR R4", place="path", issue="not-supported"
        )
    if not ID.fullmatch(resource_id):
        raise SenderError(f"{resource_id[:60]!r} is not a FHIR id", place="path", issue="value")


def _event(resource: Resource, place: str = "") -> Event:
    try:
        check(resource)
    except SenderError as error:
        if place:
            raise SenderError(error.message, place=f"{place}.{error.place}", issue=error.issue) from None
        raise
    version = resource["meta"].get("versionId", "")
    return Event(type=resource["resourceType"], id=resource["id"], version=version, resource=resource)


def bundled(bundle: Resource) -> Notification:
    """Read a notification Bundle, or the answer to `$status` or `$events`. Raises SenderError naming the element."""
    entries = bundle.get("entry")
    if not isinstance(entries, list) or not entries:
        raise SenderError("is missing; a notification Bundle begins with its status", place="Bundle.entry")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise SenderError("is not an object", place=f"Bundle.entry[{index}]", issue="structure")
    status = _status(entries[0].get("resource"))
    kind = status.get("type")
    if kind not in {"handshake", "heartbeat", "event-notification", "query-status", "query-event"}:
        raise SenderError(
            f"{str(kind)[:40]!r} is not a notification type of the Subscriptions R5 Backport guide",
            place="Bundle.entry[0].resource.type",
            issue="code-invalid",
        )
    named = status["events"] if kind in {"event-notification", "query-event"} else []
    carried = _carried(entries) if named else {}
    events = tuple(_focus(focus, carried) for focus in dict.fromkeys(focus for _, focus in named) if focus)
    return Notification(
        kind=str(kind),
        events=events,
        look_again=kind == "event-notification" and (not named or any(not focus for _, focus in named)),
        subscription=str(status.get("subscription") or ""),
        topic=str(status.get("topic") or "").partition("|")[0],
        status=str(status.get("status") or ""),
        numbers=tuple(number for number, _ in named if number is not None),
        so_far=status.get("so_far"),
    )


def _status(resource: object) -> dict[str, Any]:
    """The status entry in one shape, whichever release wrote it: type, subscription, so_far, events."""
    if isinstance(resource, dict) and resource.get("resourceType") == "Parameters":
        parameters = _parts(resource.get("parameter"))
        named = parameters.get("notification-event", []) + parameters.get("notificationEvent", [])
        parts = [_parts(event.get("part")) for event in named]
        return {
            "type": _value(parameters, "type"),
            "subscription": _value(parameters, "subscription"),
            "topic": _value(parameters, "topic"),
            "status": _value(parameters, "status"),
            "so_far": _number(_value(parameters, "events-since-subscription-start", "eventsSinceSubscriptionStart")),
            "events": [
                (_number(_value(event, "event-number", "eventNumber")), _reference(_value(event, "focus")))
                for event in parts
            ],
        }
    if isinstance(resource, dict) and resource.get("resourceType") == "SubscriptionStatus":
        told = resource.get("notificationEvent")
        events: list[dict[str, Any]] = [e for e in told if isinstance(e, dict)] if isinstance(told, list) else []
        return {
            "type": resource.get("type"),
            "subscription": _plain(resource.get("subscription")),
            "topic": resource.get("topic"),
            "status": resource.get("status"),
            "so_far": _number(resource.get("eventsSinceSubscriptionStart")),
            "events": [(_number(event.get("eventNumber")), _reference(_plain(event.get("focus")))) for event in events],
        }
    raise SenderError(
        "is not the status of a subscription; only notification Bundles are taken here, other resources one at a time",
        place="Bundle.entry[0].resource",
        issue="not-supported",
    )


def _parts(parameters: object) -> dict[str, list[dict[str, Any]]]:
    named: dict[str, list[dict[str, Any]]] = {}
    for parameter in parameters if isinstance(parameters, list) else ():
        if isinstance(parameter, dict) and isinstance(parameter.get("name"), str):
            named.setdefault(parameter["name"], []).append(parameter)
    return named


def _value(parameters: dict[str, list[dict[str, Any]]], *names: str) -> object:
    for name in names:
        for parameter in parameters.get(name, ()):
            for key, value in parameter.items():
                if key.startswith("value"):
                    return _plain(value)
    return None


def _plain(value: object) -> object:
    return value.get("reference") if isinstance(value, dict) else value


def _number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value >= 0 else None
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(2**63)) else None


def _reference(value: object) -> tuple[str, str, str] | None:
    if value is None:
        return None
    named = versioned(value)
    if named is None:
        raise SenderError(
            f"focus {repr(value)[:60]} does not name a FHIR R4 resource",
            place="Bundle.entry[0].resource",
            issue="value",
        )
    return named


def _carried(entries: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[int, Resource | None]]:
    """Resources that the Bundle carries, by type and id; None for one that its entry says was deleted."""
    carried: dict[tuple[str, str], tuple[int, Resource | None]] = {}
    for index, entry in enumerate(entries[1:], start=1):
        request = entry.get("request")
        resource = entry.get("resource")
        if isinstance(request, dict) and request.get("method") == "DELETE":
            gone = versioned(request.get("url")) or versioned(entry.get("fullUrl"))
            if gone:
                carried[gone[:2]] = (index, None)
        elif isinstance(resource, dict):
            carried[str(resource.get("resourceType")), str(resource.get("id"))] = (index, resource)
    return carried


def _focus(focus: tuple[str, str, str], carried: dict[tuple[str, str], tuple[int, Resource | None]]) -> Event:
    resource_type, resource_id, version = focus
    if (resource_type, resource_id) not in carried:
        return Event(type=resource_type, id=resource_id, version=version)
    index, resource = carried[resource_type, resource_id]
    if resource is None:
        return Event(type=resource_type, id=resource_id, version=version, deleted=True)
    event = _event(resource, f"Bundle.entry[{index}].resource")
    # A resource that was put in before the one that it tells of was committed is an earlier version of it.
    return replace(event, version=version) if version else event
