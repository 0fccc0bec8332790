"""What the processes of the service need: the time, and a way to wake each other.

All instants are UTC. References are `Type/id`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from fhirbridge.ports.record import Subject


class Clock(Protocol):
    """Where the edges get the time from; the core is given it."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        ...


class Queue(Protocol):
    """Wakes workers. Messages may be lost, doubled or late at no cost: the rows are the truth."""

    async def wake(self, subjects: Sequence[Subject]) -> None:
        """Suggest that these subjects be advanced now."""
        ...
