"""What an EPR may hold twice, in memory (`ports.Doubles`), and rows to let go of (`ports.Retention`)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from fhirbridge.ports import Double, Subject, There


class MemoryDoubles:
    """What was delivered and not looked for again, and what was found twice."""

    def __init__(self) -> None:
        self._unaudited: dict[tuple[str, str], tuple[datetime, Subject, There]] = {}
        self._known: set[tuple[str, str]] = set()
        self._found: dict[tuple[str, str], Double] = {}

    def delivered(self, subject: Subject, there: There, now: datetime) -> None:
        """Note what was delivered, the first time."""
        key = (subject.epr, there.identity)
        if key not in self._known:
            self._known.add(key)
            self._unaudited[key] = (now, subject, there)

    async def unaudited(self, epr: str, before: datetime, limit: int) -> list[tuple[Subject, There]]:
        """What was delivered up to then and not looked for again, the oldest first."""
        waiting = [
            (at, there.identity, subject, there)
            for (of, _), (at, subject, there) in self._unaudited.items()
            if of == epr and at <= before
        ]
        return [(subject, there) for _, _, subject, there in sorted(waiting, key=lambda one: one[:2])[:limit]]

    async def audited(self, epr: str, identities: Collection[str]) -> None:
        """These have been looked for."""
        for identity in identities:
            self._unaudited.pop((epr, identity), None)

    async def note(self, double: Double) -> bool:
        """Remember one; whether it is new."""
        key = (double.subject.epr, double.double)
        return self._found.setdefault(key, double) is double

    async def of(self, subject: Subject) -> list[Double]:
        """Those found of a patient, oldest first."""
        return [double for double in self._found.values() if double.subject == subject]


class MemoryRetention:
    """Keeps nothing that is settled in the first place."""

    async def purge(self, before: datetime, limit: int) -> int:
        """How many rows went: none."""
        return 0
