"""Two clocks, and how to go from one to the other: the machine's, by which the EPR stamps, and the story's.

The story's clock stands still until it is moved, and by then everything that belongs to the moment before has been
done. So the machine's time of each move is enough to tell at which moment of the story the EPR stored a version.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from fhirbridge.ports import Delivery, Epr, Event, Receipt, Resource

_MILLISECOND = 1000


class StoryClock:
    """The story's time (`ports.Clock`); `machine` says the machine's."""

    def __init__(self, begins: datetime, machine: Callable[[], datetime]) -> None:
        self._machine = machine
        self._moved: list[datetime] = [_stamp(machine())]
        self._to: list[datetime] = [begins]

    def now(self) -> datetime:
        """The present moment of the story, UTC."""
        return self._to[-1]

    def move(self, to: datetime) -> None:
        """Go on to a later moment. The EPR's stamps have milliseconds: whatever it stores next has a later one."""
        moved = _stamp(self._machine())
        while moved <= self._moved[-1]:
            moved = _stamp(self._machine())
        self._moved.append(moved)
        self._to.append(to)

    def in_story(self, stamped: datetime) -> datetime:
        """The moment of the story at which the machine's time was `stamped`."""
        return self._to[max(bisect_right(self._moved, stamped) - 1, 0)]

    def on_machine(self, moment: datetime) -> datetime:
        """The machine's time from which on the story was at that moment or later."""
        return self._moved[min(bisect_left(self._to, moment), len(self._moved) - 1)]


class StoryEpr:
    """An EPR whose versions were stored in the story's time (`ports.Epr`); all else is the EPR's own."""

    def __init__(self, epr: Epr, clock: StoryClock) -> None:
        self.name = epr.name
        self._epr = epr
        self._clock = clock

    async def capability(self) -> Resource:
        """As the EPR has it."""
        return await self._epr.capability()

    async def read(self, reference: str) -> Resource | None:
        """The current version."""
        found = await self._epr.read(reference)
        return self._retold(found) if found else None

    async def history(self, reference: str) -> list[Resource]:
        """Every version."""
        return [self._retold(version) for version in await self._epr.history(reference)]

    async def invoke(self, path: str) -> Resource:
        """At the EPR."""
        return await self._epr.invoke(path)

    async def search(
        self, resource_type: str, parameters: Mapping[str, str | Sequence[str]]
    ) -> AsyncIterator[Resource]:
        """All matches; `_lastUpdated` is asked for in the machine's time."""
        if told := parameters.get("_lastUpdated"):
            bounds = [told] if isinstance(told, str) else told
            parameters = {**parameters, "_lastUpdated": [self._on_machine(bound) for bound in bounds]}
        async for match in self._epr.search(resource_type, parameters):
            yield self._retold(match)

    async def changes(self, resource_type: str, since: datetime) -> AsyncIterator[Event]:
        """Every version since that moment of the story."""
        async for event in self._epr.changes(resource_type, self._clock.on_machine(since)):
            yield replace(event, resource=self._retold(event.resource)) if event.resource else event

    async def deliver(self, deliveries: Sequence[Delivery], references: dict[str, str]) -> list[Receipt]:
        """To the EPR."""
        return await self._epr.deliver(deliveries, references)

    async def create(self, resource: Resource) -> Resource:
        """At the EPR."""
        return await self._epr.create(resource)

    async def update(self, resource: Resource) -> Resource:
        """At the EPR."""
        return await self._epr.update(resource)

    def _on_machine(self, bound: str) -> str:
        """A bound of `_lastUpdated` in whole seconds of the machine's time, rather too wide than too narrow."""
        prefix, moment = bound[:2], self._clock.on_machine(datetime.fromisoformat(bound[2:]))
        if prefix in ("lt", "le"):
            moment += timedelta(seconds=1)
        return f"{prefix}{moment:%Y-%m-%dT%H:%M:%SZ}"

    def _retold(self, resource: Resource) -> Resource:
        stored: dict[str, Any] = resource.get("meta", {})
        if "lastUpdated" not in stored:
            return resource
        moment = self._clock.in_story(datetime.fromisoformat(stored["lastUpdated"]))
        return {**resource, "meta": {**stored, "lastUpdated": moment.isoformat().replace("+00:00", "Z")}}


def _stamp(instant: datetime) -> datetime:
    """The instant as the EPR would stamp it: UTC, whole milliseconds."""
    return instant.astimezone(UTC).replace(microsecond=instant.microsecond // _MILLISECOND * _MILLISECOND)
