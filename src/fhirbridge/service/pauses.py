"""Who is left alone for now: an EPR that does not answer, a subject whose decision failed.

For EPRs this is a circuit breaker: after some failures in a row it opens, for ever longer; when its time is over, one
call is let through, and only when that succeeds all others are.

Held in memory, because it may be forgotten: after a restart the worst is one call too many. What must not be
forgotten, the outbox rows themselves, are postponed in the store.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta

FIRST = 1.0
LONGEST = 300.0


def wait(failures: int, retry_after: float | None = None) -> timedelta:
    """How long to wait after so many failures in a row: 1 s, 2 s, 4 s … 5 minutes, and no less than was asked for."""
    doubled = FIRST * 2.0 ** min(max(failures - 1, 0), 16)
    return timedelta(seconds=max(min(doubled, LONGEST), retry_after or 0.0))


class Pauses:
    """Failures in a row, and until when to wait, by whatever names the one who failed.

    The first failures, one less than `opens_after`, are forgiven: they lead to no pause unless one was asked for.
    """

    def __init__(self, *, opens_after: int = 1) -> None:
        self._opens_after = opens_after
        self._kept: dict[Hashable, tuple[int, datetime]] = {}

    def failed(self, who: Hashable, now: datetime, retry_after: float | None = None) -> datetime:
        """Count one more failure; the instant before which not to try again what failed.

        Calls that were under way together count as one failure: the pause of the first still runs.
        """
        failures, until = self._kept.get(who, (0, now))
        if now >= until:
            failures += 1
            until = now
        again = max(until, now + wait(failures - self._opens_after + 1, retry_after))
        forgiven = failures < self._opens_after and not retry_after
        self._kept[who] = (failures, now if forgiven else again)
        return again

    def probing(self, who: Hashable, now: datetime) -> bool:
        """Whether there was a pause that is over now, and nothing has succeeded since: one try is enough."""
        failures, until = self._kept.get(who, (0, now))
        return failures >= self._opens_after and until <= now

    def succeeded(self, who: Hashable) -> None:
        """Forget the failures."""
        self._kept.pop(who, None)

    def until(self, who: Hashable, now: datetime) -> datetime | None:
        """When the pause ends; None when there is none."""
        _, until = self._kept.get(who, (0, now))
        return until if until > now else None
