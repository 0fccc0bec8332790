"""The life of what the service writes, as tables: FHIR R4's statuses, how they may follow one another, which end it.

The tables hold the statuses of the required bindings (https://hl7.org/fhir/R4/valueset-task-status.html,
valueset-event-status.html, valueset-flag-status.html, valueset-request-status.html and
valueset-document-reference-status.html). A status that is not in a
table is somebody's invention: it does not end anything, and nothing is moved on from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fhirbridge.errors import Defect


def _table(rows: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    return MappingProxyType({status: frozenset(following.split()) for status, following in rows.items()})


MOVES: Mapping[str, Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "Task": _table(
            {
                "draft": "requested received accepted ready in-progress completed cancelled rejected entered-in-error",
                "requested": "received accepted rejected ready in-progress on-hold completed failed cancelled "
                "entered-in-error",
                "received": "accepted rejected ready in-progress on-hold completed failed cancelled entered-in-error",
                "accepted": "ready in-progress on-hold completed failed cancelled rejected entered-in-error",
                "ready": "in-progress on-hold completed failed cancelled rejected entered-in-error",
                "in-progress": "on-hold completed failed cancelled entered-in-error",
                "on-hold": "ready in-progress completed failed cancelled entered-in-error",
                "completed": "",
                "failed": "",
                "rejected": "",
                "cancelled": "",
                "entered-in-error": "",
            }
        ),
        "Communication": _table(
            {
                "preparation": "in-progress on-hold completed not-done stopped entered-in-error",
                "in-progress": "on-hold completed not-done stopped entered-in-error",
                "on-hold": "preparation in-progress completed not-done stopped entered-in-error",
                "unknown": "preparation in-progress on-hold completed not-done stopped entered-in-error",
                "completed": "",
                "not-done": "",
                "stopped": "",
                "entered-in-error": "",
            }
        ),
        "Flag": _table({"active": "inactive entered-in-error", "inactive": "", "entered-in-error": ""}),
        "DocumentReference": _table(
            {"current": "superseded entered-in-error", "superseded": "", "entered-in-error": ""}
        ),
        "CarePlan": _table(
            {
                "draft": "active on-hold revoked completed entered-in-error",
                "active": "on-hold revoked completed entered-in-error",
                "on-hold": "active revoked completed entered-in-error",
                "unknown": "draft active on-hold revoked completed entered-in-error",
                "completed": "",
                "revoked": "",
                "entered-in-error": "",
            }
        ),
    }
)
"""For each type and status, the statuses that may follow. A status that nothing follows is terminal."""

LATE: Mapping[str, frozenset[str]] = MappingProxyType({"Communication": frozenset({"received"})})
"""Elements that can only be learnt once the status is terminal, and may therefore still be added then.

A Communication is completed when it is handed over; that it arrived becomes known later.
"""


def is_terminal(resource_type: str, status: str) -> bool:
    """Whether a resource of this type has come to its end with this status.

    Raises:
        Defect: the service does not write resources of this type.
    """
    return _moves(resource_type).get(status) == frozenset()


def may_follow(resource_type: str, before: str, after: str) -> bool:
    """Whether a resource of this type may move from the status `before` to `after`; staying where it is always may.

    Raises:
        Defect: the service does not write resources of this type.
    """
    return before == after or after in _moves(resource_type).get(before, frozenset())


def _moves(resource_type: str) -> Mapping[str, frozenset[str]]:
    try:
        return MOVES[resource_type]
    except KeyError:
        raise Defect(f"{resource_type}: no table of its statuses; add one to fhirbridge.core.states") from None
