"""`ports.Gaps` in memory: it means what the durable one means; only a crash loses it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from msgspec.structs import replace

from fhirbridge.core.gaps import Cause, Gap
from fhirbridge.ports import Arrival, Hearing, Subject


class MemoryGaps:
    """The in-memory `ports.Gaps`. `waiting` is the inbox, `tell_news` makes subjects due."""

    def __init__(
        self, waiting: Callable[[], Iterable[Arrival]], tell_news: Callable[[Iterable[Subject], datetime], None]
    ) -> None:
        self._waiting = waiting
        self._tell_news = tell_news
        self._open: dict[tuple[str, str, Cause], Gap] = {}
        self._covered: dict[tuple[str, str, Cause], datetime] = {}
        self._held: set[Subject] = set()
        self._marks: dict[tuple[str, str], datetime] = {}
        self._hearings: dict[tuple[str, str], Hearing] = {}

    async def found(self, gap: Gap) -> bool:
        """Open it; one that is open already is widened instead. Whether it is new."""
        key = _key(gap)
        there = self._open.get(key)
        self._covered.pop(key, None)
        if there is not None:
            gap = replace(there, since=min(there.since, gap.since), until=max(there.until, gap.until))
        self._open[key] = gap
        return there is None

    async def open(self, epr: str | None = None) -> list[Gap]:
        """Those that are open, oldest first."""
        return self.open_at(epr)

    def open_at(self, epr: str | None) -> list[Gap]:
        """The same, at once."""
        found = [gap for gap in self._open.values() if epr is None or gap.epr == epr]
        return sorted(found, key=lambda gap: gap.since)

    async def covered(self, epr: str, resource_type: str, since: datetime, began: datetime, ended: datetime) -> None:
        """Note a reading on the gaps that it covers."""
        for key, gap in self._open.items():
            if (gap.epr, gap.type) == (epr, resource_type) and gap.since >= since and gap.until <= began:
                self._covered[key] = ended

    async def close(self, epr: str, now: datetime) -> list[Gap]:
        """Close what was covered and digested; with the last, those who were held back are due."""
        ready = [gap for key, gap in self._open.items() if gap.epr == epr and key in self._covered]
        closed = [gap for gap in ready if not self._undigested(gap, self._covered[_key(gap)])]
        for gap in closed:
            del self._open[_key(gap)], self._covered[_key(gap)]
        if closed and not self.open_at(epr):
            freed = {subject for subject in self._held if subject.epr == epr}
            self._tell_news(freed, now)
            self._held -= freed
        return closed

    async def hold(self, subject: Subject) -> bool:
        """Remember to look at the patient when the gaps of their EPR have closed."""
        if not self.open_at(subject.epr):
            return False
        self._held.add(subject)
        return True

    async def waiting(self, epr: str) -> list[Subject]:
        """The patients who will be looked at again when the gaps have closed."""
        return sorted((one for one in self._held if one.epr == epr), key=lambda one: one.patient)

    async def mark(self, epr: str, of: str, at: datetime) -> None:
        """Note how far something has come."""
        self._marks[epr, of] = at

    async def marked(self, epr: str, of: str) -> datetime | None:
        """The instant last noted."""
        return self._marks.get((epr, of))

    async def heard(self, hearing: Hearing) -> None:
        """Remember what was last heard of a feed."""
        self._hearings[hearing.epr, hearing.type] = hearing

    async def hearing(self, epr: str, resource_type: str) -> Hearing | None:
        """What was last heard."""
        return self._hearings.get((epr, resource_type))

    def _undigested(self, gap: Gap, covered_at: datetime) -> bool:
        return any(
            (one.epr, one.event.type) == (gap.epr, gap.type) and one.received <= covered_at for one in self._waiting()
        )


def _key(gap: Gap) -> tuple[str, str, Cause]:
    return gap.epr, gap.type, gap.cause
