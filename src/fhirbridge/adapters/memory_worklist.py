"""The service's own worklist in memory (`ports.Worklist`), for dry runs and tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count

from msgspec.structs import replace

from fhirbridge.errors import Overtaken
from fhirbridge.fhir.copies import COPY
from fhirbridge.fhir.worklist import action_of, listed_id, numbered
from fhirbridge.ports import Event, Listed, Placing, Subject, Wanted

Accept = Callable[[str, Sequence[Event], datetime], Awaitable[None]]
References = Callable[[Subject], Mapping[str, str]]


class MemoryWorklist:
    """The in-memory worklist.

    `accept` puts events into the inbox, as `ports.Store.accept` does; `references` are those of what was delivered.
    """

    def __init__(self, accept: Accept, references: References) -> None:
        self._accept = accept
        self._references = references
        self._rows = count(1)
        self._versions: dict[str, list[Listed]] = {}

    async def search(self, wanted: Wanted, *, after: int = 0, limit: int = 50) -> list[Listed]:
        """Current versions with a row above `after`, by row."""
        found = sorted(self._matching(wanted), key=lambda one: one.row)
        return [self._shown(one) for one in found if one.row > after][:limit]

    async def count(self, wanted: Wanted) -> int:
        """How many current versions there are."""
        return sum(1 for _ in self._matching(wanted))

    async def read(self, reference: str) -> Listed | None:
        """The current version of `Type/id`."""
        found = self.current(reference)
        return self._shown(found) if found else None

    async def history(self, reference: str) -> list[Listed]:
        """Every version of `Type/id`, oldest first."""
        versions = self._versions.get(reference, [])
        return [replace(self._shown(one), current=one is versions[-1]) for one in versions]

    async def standing(self, subject: Subject) -> dict[str, Listed]:
        """Everything of a patient that is on the worklist, by identity."""
        current = (versions[-1] for versions in self._versions.values() if versions)
        mine = [one for one in current if one.subject == subject and one.way != COPY]
        return {one.identity: self._shown(one) for one in sorted(mine, key=lambda one: one.row)}

    async def place(self, subject: Subject, placings: Sequence[Placing], now: datetime) -> dict[str, Listed]:
        """Put versions of the service's own writes on the worklist; what stands then, by identity.

        Raises:
            Overtaken: one is based on a version that is no longer current.
        """
        before = {reference: list(versions) for reference, versions in self._versions.items()}
        try:
            for placing in placings:
                self.put(subject, placing, now)
        except Overtaken:
            self._versions = before
            raise
        return await self.standing(subject)

    async def complete(self, reference: str, placing: Placing, now: datetime) -> Listed:
        """Put a version that staff made on the worklist, and an event that tells of it into the inbox.

        Raises:
            Overtaken: it is based on a version that is no longer current, or nothing is there.
        """
        before = await self.read(reference)
        if before is None or before.way == COPY or placing.based_on < 1:
            raise Overtaken("nothing of that name is on the worklist: read it again")
        after = self.put(before.subject, placing, now)
        event = Event(type=after.resource["resourceType"], id=after.resource["id"], version=str(after.version))
        await self._accept(before.subject.epr, [event], now)
        return after

    def put(self, subject: Subject, placing: Placing, now: datetime) -> Listed:
        """Add a version, and make it the current one; raises Overtaken when it is based on another."""
        reference = f"{placing.resource['resourceType']}/{listed_id(subject.epr, placing.identity)}"
        versions = self._versions.setdefault(reference, [])
        if placing.based_on != len(versions):
            raise Overtaken("somebody changed what stands on the worklist since it was read: read it again")
        listed = Listed(
            row=next(self._rows),
            subject=subject,
            identity=placing.identity,
            resource=numbered(placing.resource, subject.epr, placing.identity, placing.based_on + 1, now),
            way=placing.way,
            updated=now,
            notice=placing.notice,
            by=placing.by,
            write=placing.write,
        )
        versions.append(listed)
        return listed

    def current(self, reference: str) -> Listed | None:
        """The current version of `Type/id`, as it was put."""
        versions = self._versions.get(reference)
        return versions[-1] if versions else None

    def _shown(self, one: Listed) -> Listed:
        return replace(one, told=self._references(one.subject).get(one.notice, ""))

    def _matching(self, wanted: Wanted) -> Iterator[Listed]:
        for versions in self._versions.values():
            if versions and _matches(versions[-1], wanted):
                yield versions[-1]


def _matches(one: Listed, wanted: Wanted) -> bool:
    asked = (
        (wanted.types, one.resource["resourceType"]),
        (wanted.ids, one.resource["id"]),
        (wanted.eprs, one.subject.epr),
        (wanted.patients, one.subject.patient),
        (wanted.identities, one.identity),
        (wanted.statuses, one.resource.get("status", "")),
        (wanted.codes, action_of(one.resource)),
    )
    early = wanted.since is not None and one.updated < wanted.since
    late = wanted.until is not None and one.updated >= wanted.until
    return all(not values or value in values for values, value in asked) and not early and not late
