"""How fast one EPR is asked: so many requests a second, so many at a time. Whoever comes too soon waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

RATE = 100.0
AT_ONCE = 10


class Throttle:
    """Lets `rate` requests a second begin, evenly spaced, and `at_once` be under way. Of one event loop."""

    def __init__(self, rate: float = RATE, at_once: int = AT_ONCE) -> None:
        self._apart = 1.0 / rate
        self._few = asyncio.Semaphore(at_once)
        self._next = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One request."""
        async with self._few:
            now = asyncio.get_running_loop().time()
            begins = max(self._next, now)
            self._next = begins + self._apart
            if begins > now:
                await asyncio.sleep(begins - now)
            yield
