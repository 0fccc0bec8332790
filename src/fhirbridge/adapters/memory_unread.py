"""`ports.Unread` in memory: what a `MemoryStore` could not read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from fhirbridge.adapters.store.unread import Noted, judged
from fhirbridge.core.facts import AnyFact
from fhirbridge.ports import Subject, Unreadable, Version


class MemoryUnread:
    """The in-memory `ports.Unread`; `last` gives the fact of the version of a resource that became known last."""

    def __init__(self, last: Callable[[str, str], AnyFact | None]) -> None:
        self._last = last
        self._noted: dict[tuple[str, str], Noted] = {}

    def note(self, epr: str, references: Iterable[str], unfit: Sequence[Version]) -> None:
        """Judge these resources anew, after what arrived of them was kept."""
        for reference in {*references, *(one.fact.source.reference for one in unfit)}:
            mine = [one for one in unfit if one.fact.source.reference == reference]
            before = self._noted.pop((epr, reference), None)
            if now := judged(epr, self._last(epr, reference), mine, before):
                self._noted[epr, reference] = now

    async def search(
        self, *, eprs: Collection[str] = (), subjects: Collection[Subject] = (), limit: int = 100
    ) -> list[Unreadable]:
        """The oldest of them first, then by reference."""
        found = [
            one.told
            for one in self._noted.values()
            if (not eprs or one.told.epr in eprs)
            and (not subjects or Subject(one.told.epr, one.told.patient) in subjects)
        ]
        return sorted(found, key=lambda one: (one.since, one.reference.split("/"), one.epr))[:limit]

    async def count(self) -> dict[str, int]:
        """How many there are, by EPR."""
        return dict(Counter(epr for epr, _ in self._noted))
