"""FHIRPath's operators and functions on collections, as far as `paths` compiles them.

A collection is a list of JSON values, empty where nothing is known; so the logic has three values, as FHIRPath asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Step = Callable[[list[Any], Any], list[Any]]
"""A compiled node: the collection it is applied to and `$this` in, the items found out."""


def _union(left: list[Any], right: list[Any]) -> list[Any]:
    united: list[Any] = []
    for item in (*left, *right):
        if not any(_same_value(item, seen) for seen in united):
            united.append(item)
    return united


def _same_value(one: Any, other: Any) -> bool:
    """Equality of JSON values, with Python's True == 1 taken apart."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _equal(left: list[Any], right: list[Any]) -> list[Any]:
    if not left or not right:
        return []
    return [len(left) == len(right) and all(map(_same_value, left, right))]


def _different(left: list[Any], right: list[Any]) -> list[Any]:
    return [not same for same in _equal(left, right)]


def _truth(items: list[Any]) -> bool | None:
    """A collection as a condition: one item that is no truth value counts as true (FHIRPath, singleton evaluation)."""
    if len(items) != 1:
        return None
    return items[0] is not False


def _and(left: list[Any], right: list[Any]) -> list[Any]:
    one, other = _truth(left), _truth(right)
    if one is False or other is False:
        return [False]
    return [True] if one and other else []


def _or(left: list[Any], right: list[Any]) -> list[Any]:
    one, other = _truth(left), _truth(right)
    if one or other:
        return [True]
    return [False] if one is False and other is False else []


OPERATORS: dict[str, Callable[[list[Any], list[Any]], list[Any]]] = {
    "|": _union,
    "=": _equal,
    "!=": _different,
    "and": _and,
    "or": _or,
}


def text_test(holds: Callable[[str, str], bool], part: str) -> Step:
    """A function that asks one text about `part`; nothing where there is not exactly one text."""

    def test(items: list[Any], this: Any) -> list[Any]:
        return [holds(items[0], part)] if len(items) == 1 and isinstance(items[0], str) else []

    return test


TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}

PLAIN: dict[str, Step] = {
    "exists": lambda items, this: [bool(items)],
    "empty": lambda items, this: [not items],
    "first": lambda items, this: items[:1],
    "last": lambda items, this: items[-1:],
    "not": lambda items, this: [not holds] if (holds := _truth(items)) is not None else [],
}
