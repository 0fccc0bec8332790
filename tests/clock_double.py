"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import datetime


class ClockDouble:
    """Tells `time`."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time
