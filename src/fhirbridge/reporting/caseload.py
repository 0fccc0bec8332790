"""The caseload of discharge coordinators: how many people each works with, and who has more than they should.

A coordinator is the owner of a Task that the service wrote for that role and that is still open. One coordinator works
with a limited number of people (clause 1 of the twelve-point plan); more are reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.effects import Kind
from fhirbridge.core.facts import Task
from fhirbridge.core.own import fold
from fhirbridge.core.policy import Pack
from fhirbridge.core.timeline import Record
from fhirbridge.core.vocabulary import ANSWERED
from fhirbridge.errors import ConfigurationError
from fhirbridge.reporting.seen import Seen

ROLE = "discharge-coordinator"

_CLOSED = ANSWERED | {"cancelled", "entered-in-error"}


class Coordinated(Struct, frozen=True, kw_only=True):
    """One open Task of a discharge coordinator; `read` says whether the EPR has shown it to the service."""

    epr: str
    patient: str
    identity: str
    owner: str | None
    read: bool


class Coordinator(Struct, frozen=True, kw_only=True):
    """One coordinator of one EPR: their people, their open Tasks, and whether they have more people than the limit."""

    epr: str
    coordinator: str
    people: tuple[str, ...]
    tasks: int
    over: bool


class Unallocated(Struct, frozen=True, kw_only=True):
    """A person with open Tasks that nobody owns; `coordinated` says whether somebody owns another Task of theirs."""

    epr: str
    patient: str
    tasks: int
    coordinated: bool


class Caseload(Struct, frozen=True, kw_only=True):
    """Every coordinator under one pack, as known at `until`, those with the most people first."""

    pack: str
    version: str
    title: str
    until: datetime
    limit: int
    coordinators: tuple[Coordinator, ...]
    unallocated: tuple[Unallocated, ...]
    unallocated_tasks: int
    unsaid: tuple[str, ...]


def limit_of(pack: Pack) -> int:
    """How many people one coordinator works with at most: the pack's setting `caseload`.

    Raises:
        ConfigurationError: the pack has no such setting.
    """
    if "caseload" not in pack.settings:
        raise ConfigurationError(
            "has no setting `caseload`, people of one coordinator at most; give --limit", place=pack.name
        )
    return int(pack.settings["caseload"])


def coordinated(pack: Pack, seen: Seen) -> Iterator[Coordinated]:
    """Every open Task that the service wrote for a discharge coordinator of this person."""
    tasks = {
        latest.obligation: latest
        for history in Record.of(seen.facts).sources.values()
        if isinstance(latest := history.latest, Task) and latest.obligation is not None
    }
    for thing in fold(seen.effects).things.values():
        if (thing.key.pack, thing.key.kind, thing.key.role) != (pack.name, Kind.TASK, ROLE) or not thing.open:
            continue
        task = tasks.get(thing.identity)
        if task is None:
            owner = seen.owners.get(thing.identity)
        elif task.erased or task.status in _CLOSED:
            continue
        else:
            owner = task.owner
        yield Coordinated(
            epr=seen.epr,
            patient=thing.key.patient,
            identity=thing.identity,
            owner=owner,
            read=task is not None,
        )


def caseload(
    pack: Pack, tasks: Iterable[Coordinated], until: datetime, limit: int, unsaid: tuple[str, ...] = ()
) -> Caseload:
    """The open Tasks by their owners; `unsaid` is what else could not be told."""
    owned: dict[tuple[str, str], list[Coordinated]] = {}
    free: dict[tuple[str, str], list[Coordinated]] = {}
    for task in tasks:
        if task.owner is None:
            free.setdefault((task.epr, task.patient), []).append(task)
        else:
            owned.setdefault((task.epr, task.owner), []).append(task)
    coordinators = [_coordinator(*key, several, limit) for key, several in owned.items()]
    known = {(each.epr, patient) for each in coordinators for patient in each.people}
    unread = sum(not task.read for several in free.values() for task in several)
    if unread:
        unsaid = (
            *unsaid,
            f"{unread} of the unallocated tasks have not been read back from the EPR, where somebody may own them.",
        )
    return Caseload(
        pack=pack.name,
        version=pack.version,
        title=pack.title,
        until=until,
        limit=limit,
        coordinators=tuple(sorted(coordinators, key=lambda one: (-len(one.people), one.epr, one.coordinator))),
        unallocated=tuple(
            Unallocated(epr=epr, patient=patient, tasks=len(several), coordinated=(epr, patient) in known)
            for (epr, patient), several in sorted(free.items())
        ),
        unallocated_tasks=sum(map(len, free.values())),
        unsaid=(
            "People are counted by their open tasks: what the service did not ask a coordinator to do is not seen.",
            *unsaid,
        ),
    )


def _coordinator(epr: str, coordinator: str, tasks: list[Coordinated], limit: int) -> Coordinator:
    people = tuple(sorted({task.patient for task in tasks}))
    return Coordinator(epr=epr, coordinator=coordinator, people=people, tasks=len(tasks), over=len(people) > limit)
