"""Chance that can be played again: what a throw comes to depends on the seed and on what is thrown for alone.

A shared stream of random numbers would shift for everybody when one caller throws once more, and two tasks that run at
once would take turns differently from run to run. Here each name has a stream of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

Item = TypeVar("Item")


class Dice:
    """Throws by name: the nth throw for a name is always the same under one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._thrown: Counter[str] = Counter()

    def share(self, name: str) -> float:
        """A number from 0 up to, but not including, 1."""
        self._thrown[name] += 1
        thrown = f"{self.seed}|{name}|{self._thrown[name]}".encode()
        return int.from_bytes(blake2b(thrown, digest_size=8).digest()) / 2**64

    def falls(self, name: str, chance: float) -> bool:
        """Whether something with this chance happens."""
        return chance > 0 and self.share(name) < chance

    def whole(self, name: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.share(name) * (high - low + 1))

    def one_of(self, name: str, items: Sequence[Item]) -> Item:
        """One of the items, each as likely as it is often named."""
        return items[int(self.share(name) * len(items))]

    def shuffled(self, name: str, items: Sequence[Item]) -> list[Item]:
        """The items in another order."""
        thrown = [(self.share(name), place) for place in range(len(items))]
        return [items[place] for _, place in sorted(thrown)]
