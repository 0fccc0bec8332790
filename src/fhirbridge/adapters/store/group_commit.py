"""Many callers, one transaction.

A durable commit costs a wait for the disk, however few rows it carries. So what is handed in during one tick of the
event loop, and all that comes in while the disk is busy with the transaction before, goes into the next one together.
Each caller returns only when its own rows are committed, or gets the error that kept them from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class GroupCommit(Generic[Item]):
    """Hands what callers `add` to `write`, in order, one call at a time. Belongs to one event loop."""

    def __init__(self, write: Callable[[Sequence[Item]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[tuple[Sequence[Item], asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None

    async def add(self, items: Sequence[Item]) -> None:
        """Write these items; returns when they are durable, raises what `write` raised.

        A caller that is cancelled does not take its items back: they may already be on their way.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, done))
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="group-commit")
        await done

    async def close(self) -> None:
        """Wait until all that was added is written."""
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._settle(batch)
        finally:
            self._running = None
            for _, done in self._waiting:  # only when this task was cancelled
                done.cancel()

    async def _settle(self, batch: list[tuple[Sequence[Item], asyncio.Future[None]]]) -> None:
        error: BaseException | None = None
        try:
            await self._write([item for items, _ in batch for item in items])
        except BaseException as caught:  # whatever it is, the callers have to learn of it
            error = caught
        for _, done in batch:
            if done.done():
                continue
            if error is None:
                done.set_result(None)
            elif isinstance(error, asyncio.CancelledError):
                done.cancel()
            else:
                done.set_exception(error)
        if error is not None and not isinstance(error, Exception):
            raise error
