"""`ports.Merges` in memory: it means what the durable one means; only a crash loses it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from fhirbridge.core.merging import Link
from fhirbridge.ports import Subject


class MemoryMerges:
    """The in-memory `ports.Merges`; `tell_news` makes subjects due."""

    def __init__(self, tell_news: Callable[[Iterable[Subject], datetime], None]) -> None:
        self._tell_news = tell_news
        self._said: dict[Subject, frozenset[Link]] = {}

    async def claim(self, subject: Subject, links: Collection[Link], now: datetime) -> None:
        """What the patient's record says now, in place of what it said before."""
        before = self._said.get(subject, frozenset())
        self._said[subject] = frozenset(links)
        named = {name for link in before ^ frozenset(links) for name in (link.replaced, link.survivor)}
        self._tell_news([Subject(subject.epr, name) for name in sorted(named - {subject.patient})], now)

    async def linked(self, subject: Subject) -> frozenset[Link]:
        """Everything said about the records linked to this one, at one remove or more."""
        found: frozenset[Link] = frozenset()
        names = {subject.patient}
        while (more := self._naming(subject.epr, names)) != found:
            found = more
            names = {name for link in found for name in (link.replaced, link.survivor)}
        return found

    def naming(self, subject: Subject) -> frozenset[Link]:
        """What is said about this very record, and by it."""
        return self._naming(subject.epr, {subject.patient})

    async def wake(self, subject: Subject, now: datetime) -> None:
        """Make the patient due now."""
        self._tell_news([subject], now)

    def _naming(self, epr: str, names: Collection[str]) -> frozenset[Link]:
        mine = (links for subject, links in self._said.items() if subject.epr == epr)
        return frozenset(
            link
            for links in mine
            for link in links
            if not {link.said_by, link.replaced, link.survivor}.isdisjoint(names)
        )
