"""The service as a process that can be killed between any two things it does to the world.

Everything it does to the world goes through its store and its EPR. A kill strikes before or after one of these calls:
what was in the call is done or not done, and whatever the process held in memory is gone. Its leases stay until they
run out, as those of a killed process do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any

from fhirbridge.ports import Store, Subject
from tests.faults.weather import Fault, Weather

CHANCE = 0.006


class Killed(BaseException):
    """The process is gone. No code of the service may catch it."""


class Process:
    """One life of the service."""

    def __init__(self, weather: Weather) -> None:
        self.dead = False
        self._weather = weather

    def strike(self, name: str, chance: float = CHANCE) -> None:
        """The process may die here, and does nothing more once it has.

        Raises:
            Killed: it is dead.
        """
        self.dead = self.dead or self._weather.strikes(Fault.CRASH, name, chance)
        if self.dead:
            raise Killed(name)


class _Mortal:
    """Something durable as one process uses it."""

    def __init__(self, durable: object, process: Process) -> None:
        self._durable = durable
        self._process = process

    def __getattr__(self, name: str) -> Any:
        """Every call, with a chance to die before and after it."""
        part: Any = getattr(self._durable, name)
        if not callable(part):
            return _Mortal(part, self._process)

        async def mortal(*given: Any, **named: Any) -> Any:
            self._process.strike(f"before {name}")
            answer = await part(*given, **named)
            self._process.strike(f"after {name}")
            return answer

        return mortal


class MortalStore(_Mortal):
    """A store as one process uses it (`ports.Store`)."""

    def __init__(self, store: Store, process: Process) -> None:
        super().__init__(store, process)
        self._store = store
        self.abandoned: list[AbstractAsyncContextManager[bool]] = []
        """Leases that the process held as it died; kept, for whatever is collected as garbage is given back."""

    @asynccontextmanager
    async def lease(self, subject: Subject, now: datetime) -> AsyncIterator[bool]:
        """Hold the subject, until the block ends or, if the process dies in it, until the lease runs out."""
        self._process.strike("before lease")
        lease = self._store.lease(subject, now)
        held = await lease.__aenter__()
        try:
            yield held
        finally:
            if self._process.dead:
                self.abandoned.append(lease)
            else:
                await lease.__aexit__(None, None, None)
