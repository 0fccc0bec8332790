"""A pack taken apart into its single values, each with the place where it is written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields


class Leaf(Struct, frozen=True):
    """A single value in a pack, with its path (`.pathways[0].title`) and the name of the field that holds it."""

    path: str
    field: str
    value: Any


def leaves_of(value: Any, path: str = "", field: str = "") -> Iterator[Leaf]:
    """Every single value of a pack that is written in it, not left to its default."""
    if isinstance(value, Struct):
        for each in _fields(type(value)):
            inner = getattr(value, each.name)
            if inner != _default(each):
                yield from leaves_of(inner, f"{path}.{each.encode_name}", each.name)
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from leaves_of(inner, f"{path}[{index}]", field)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves_of(inner, f"{path}.{name}", field)
    else:
        yield Leaf(path, field, value)


@cache
def _fields(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    return fields(kind)


def _default(field: FieldInfo) -> Any:
    return field.default_factory() if field.default_factory is not NODEFAULT else field.default
