"""One seed, played twice: without faults and with them; what does not hold is said with how to see it again."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from msgspec import Struct

from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.adapters.store import open_store
from tests.faults.audit import Outcome, audited, differences
from tests.faults.playing import Run
from tests.faults.scenario import Scenario, scenario
from tests.faults.weather import Fault, Weather

IN_SQLITE = 25
"""One seed in so many keeps what it knows in SQLite; the others in memory, which is the same and faster."""


class Played(Struct, frozen=True):
    """What a seed came to: its findings, which faults struck how often, and how often the service was started."""

    seed: int
    findings: tuple[str, ...]
    struck: dict[Fault, int]
    lives: int
    feed: str = ""

    def __str__(self) -> str:
        """The findings, and how to play this seed alone."""
        told = "\n  ".join(self.findings)
        faults = ", ".join(f"{kind} ({count})" for kind, count in self.struck.items() if count)
        return (
            f"seed {self.seed}, of which the service was started {self.lives} times:\n  {told}\n"
            f"  {self.feed}; with {faults}\n"
            f"  again: python -m bench faults --seed {self.seed}"
        )


def play(seed: int) -> Played:
    """Play a seed, with everything that its scenario and its faults come to."""
    return asyncio.run(_play(scenario(seed)))


async def _play(history: Scenario) -> Played:
    seed = history.seed
    _, clean = await _run(history, Weather.fair(seed), durable=False)
    run, faulted = await _run(history, Weather.of_seed(seed), durable=seed % IN_SQLITE == 0)
    findings = [*(f"without faults: {found}" for found in clean.findings), *faulted.findings]
    # Where the service had to decide before it could know what staff had done, it may have asked for more.
    findings += [] if history.mixed else differences(faulted, clean)
    return Played(seed, tuple(findings), run.weather.struck, run.lives, run.feed)


async def _run(history: Scenario, weather: Weather, *, durable: bool) -> tuple[Run, Outcome]:
    if not durable:
        run = Run(history, weather, MemoryStore())
        return run, await audited(run)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        store = await open_store(f"sqlite:///{Path(folder)}/fhirbridge.db")
        try:
            run = Run(history, weather, store)
            return run, await audited(run)
        finally:
            await store.close()
