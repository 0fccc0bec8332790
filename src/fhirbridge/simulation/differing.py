"""Two packs over the same records: who would get what instead.

Nothing carries the same identity under two packs, so what they ask for is paired by what it is: the same action in the
same case for the same role from the same instant; else for another role; else from another instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.effects import Kind
from fhirbridge.core.own import Thing, fold
from fhirbridge.simulation.collecting import Patient
from fhirbridge.simulation.playing import DryRun, Played, played


class Asked(Struct, frozen=True, kw_only=True):
    """One thing that a pack asks for: of whom, since when, due when, in which words, and its R4 status in the end."""

    case: str
    type: Kind
    action: str
    role: str
    steps: tuple[str, ...]
    since: datetime
    due: datetime | None
    priority: str
    text: str
    status: str


class Changed(Struct, frozen=True):
    """The same thing asked for by both packs, otherwise; `fields` names what differs."""

    old: Asked
    new: Asked
    fields: tuple[str, ...]


class Difference(Struct, frozen=True, kw_only=True):
    """What changes for one patient (`Patient/id`)."""

    patient: str
    only_old: tuple[Asked, ...]
    only_new: tuple[Asked, ...]
    changed: tuple[Changed, ...]

    def __bool__(self) -> bool:
        """Whether anything changes."""
        return bool(self.only_old or self.only_new or self.changed)


_DUE = " To be done by "
"""How the deadline is said at the end of a Task's description: it is compared as `due`, not as text."""
_COMPARED = ("role", "since", "due", "priority", "text", "status")


def difference(patient: Patient, old: DryRun, new: DryRun, until: datetime) -> Difference:
    """What the new pack asks for instead of the old one, by `until`."""
    before, after = (_asked(played(patient, by, until)) for by in (old, new))
    pairs: list[tuple[Asked, Asked]] = []
    for key in (
        lambda one: (one.case, one.type, one.action, one.role, one.since),
        lambda one: (one.case, one.type, one.action, one.since),
        lambda one: (one.case, one.type, one.action, one.role),
    ):
        found, before, after = _paired(before, after, key)
        pairs += found
    changed = ((one, other, _differing(one, other)) for one, other in pairs)
    return Difference(
        patient=patient.reference,
        only_old=tuple(before),
        only_new=tuple(after),
        changed=tuple(sorted((Changed(*each) for each in changed if each[2]), key=lambda each: _age(each.old))),
    )


def _paired(
    before: Iterable[Asked], after: Iterable[Asked], key: Callable[[Asked], object]
) -> tuple[list[tuple[Asked, Asked]], list[Asked], list[Asked]]:
    """What both have under the same key, in order, and what is left of each."""
    waiting: dict[object, list[Asked]] = {}
    for one in after:
        waiting.setdefault(key(one), []).append(one)
    pairs, left = [], []
    for one in before:
        partners = waiting.get(key(one))
        if partners:
            pairs.append((one, partners.pop(0)))
        else:
            left.append(one)
    return pairs, left, sorted((one for several in waiting.values() for one in several), key=_age)


def _asked(known: Played) -> list[Asked]:
    resources = {write.resource["id"]: write.resource for write in known.written}
    things = (thing for one in (known, *known.apart) for thing in fold(one.effects).things.values())
    return sorted((_of(thing, resources[thing.identity]) for thing in things), key=_age)


def _of(thing: Thing, resource: dict[str, object]) -> Asked:
    return Asked(
        case=thing.key.case,
        type=thing.key.kind,
        action=thing.key.action,
        role=thing.key.role,
        steps=thing.steps,
        since=thing.since,
        due=thing.due,
        priority=thing.priority,
        text=_text(resource),
        status=str(resource["status"]),
    )


def _text(resource: dict[str, object]) -> str:
    match resource:
        case {"description": str(text)}:
            return text.rpartition(_DUE)[0] or text
        case {"payload": [{"contentString": str(text)}, *_]}:
            return text
        case _:
            return ""


def _differing(one: Asked, other: Asked) -> tuple[str, ...]:
    return tuple(name for name in _COMPARED if getattr(one, name) != getattr(other, name))


def _age(one: Asked) -> tuple[datetime, str, str, str, str]:
    return one.since, one.case, one.type, one.action, one.role
