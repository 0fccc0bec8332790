"""Whatever goes wrong between the service and an EPR: nothing is lost, nothing is done twice, and it comes to the same.

Each seed is a history and a weather; `docs/guarantees.md` says what is held to. A seed that fails says how to play it
alone.
"""

from __future__ import annotations

import pytest

from tests.faults.replaying import play
from tests.faults.weather import Fault, Weather

SEEDS = range(500)


@pytest.mark.parametrize("seed", SEEDS)
def test_seed(seed: int) -> None:
    played = play(seed)
    assert not played.findings, str(played)


def test_every_kind_of_fault_is_met_alone_and_with_every_other() -> None:
    kinds = [Weather.of_seed(seed).kinds for seed in SEEDS]
    together = {frozenset({one, other}) for each in kinds for one in each for other in each}
    apart = {(one, other) for each in kinds for one in each for other in set(Fault) - each}
    assert together == {frozenset({one, other}) for one in Fault for other in Fault}
    assert apart == {(one, other) for one in Fault for other in Fault if one is not other}
