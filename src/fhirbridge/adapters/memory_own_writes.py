"""`ports.OwnWrites` in memory: looks into the effects of a `MemoryStore`, and is told of its receipts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

from fhirbridge.core.effects import AnyEffect, Held
from fhirbridge.ports import Receipt, Subject, There


class MemoryOwnWrites:
    """The in-memory `ports.OwnWrites`; `effects` gives what was done for each subject."""

    def __init__(self, effects: Callable[[], Iterable[tuple[Subject, Sequence[AnyEffect]]]]) -> None:
        self._effects = effects
        self._there: dict[tuple[str, str], There] = {}

    def delivered(self, epr: str, identity: str, receipt: Receipt) -> None:
        """Note where something was written."""
        for there in (There(identity, receipt.reference, receipt.version), *receipt.also):
            self._there[epr, there.reference] = there

    async def at(self, epr: str, references: Collection[str]) -> dict[str, There]:
        """Which of these resources the service wrote, by reference."""
        return {one: self._there[epr, one] for one in references if (epr, one) in self._there}

    async def held(self, since: datetime) -> list[tuple[Subject, Held]]:
        """What was held back from that instant on, oldest first."""
        found = [
            (subject, effect)
            for subject, effects in self._effects()
            for effect in effects
            if isinstance(effect, Held) and effect.at >= since
        ]
        return sorted(found, key=lambda one: (one[1].at, one[1].identity))
