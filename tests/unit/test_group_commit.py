import asyncio
from collections.abc import Sequence

import pytest

from fhirbridge.adapters.store.group_commit import GroupCommit


class Disk:
    """Takes batches; each is done when the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go_on = asyncio.Semaphore(0)
        self.fails: Exception | None = None

    async def write(self, items: Sequence[int]) -> None:
        self.batches.append(list(items))
        await self.go_on.acquire()
        if self.fails is not None:
            raise self.fails


async def one_tick() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_comes_in_one_tick_and_what_comes_while_busy_is_one_batch_each() -> None:
    disk = Disk()
    group = GroupCommit(disk.write)
    first = [asyncio.create_task(group.add([number])) for number in range(3)]
    await one_tick()
    second = [asyncio.create_task(group.add([number, number])) for number in (3, 4)]
    await one_tick()
    assert disk.batches == [[0, 1, 2]]
    assert not any(task.done() for task in first + second)

    disk.go_on.release()
    await asyncio.gather(*first)
    await one_tick()
    assert disk.batches == [[0, 1, 2], [3, 3, 4, 4]]
    assert not any(task.done() for task in second)

    disk.go_on.release()
    await asyncio.gather(*second)
    await group.close()


async def test_an_error_reaches_every_caller_of_its_batch_and_no_other() -> None:
    disk = Disk()
    group = GroupCommit(disk.write)
    disk.fails = OSError("disk full")
    failing = [asyncio.create_task(group.add([number])) for number in range(2)]
    await one_tick()
    later = asyncio.create_task(group.add([2]))
    disk.go_on.release()
    outcomes = await asyncio.gather(*failing, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["disk full", "disk full"]

    disk.fails = None
    disk.go_on.release()
    await later
    assert disk.batches == [[0, 1], [2]]


async def test_a_caller_that_goes_away_takes_nothing_from_its_neighbours() -> None:
    disk = Disk()
    group = GroupCommit(disk.write)
    gone, stays = asyncio.create_task(group.add([1])), asyncio.create_task(group.add([2]))
    await one_tick()
    gone.cancel()
    await one_tick()
    disk.go_on.release()
    await stays
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert disk.batches == [[1, 2]]


async def test_close_waits_for_what_was_added() -> None:
    disk = Disk()
    group = GroupCommit(disk.write)
    caller = asyncio.create_task(group.add([1]))
    await one_tick()
    closing = asyncio.create_task(group.close())
    await one_tick()
    assert not closing.done()
    disk.go_on.release()
    await closing
    await caller
    await group.close()
