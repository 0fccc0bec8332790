"""The time of the machine (`ports.Clock`)."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """Tells the time of the machine, in UTC."""

    def now(self) -> datetime:
        """The present instant."""
        return datetime.now(UTC)
