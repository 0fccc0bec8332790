"""Elements of R4 that a path names and that do not exist.

FHIRPath finds nothing at an element that is misspelt, and says nothing about it. The model that comes with fhirpathpy
lists every element of R4 with its type, so a path can be walked without any data.
"""

from __future__ import annotations

from functools import cache

from fhirpathpy.models import models
from msgspec import Struct

from fhirbridge.fhir.path_syntax import Call, Item, Literal, Name, Node, Operation, Sign, Variable, parse
from fhirbridge.fhir.r4 import RESOURCE_TYPES

_R4 = models["r4"]
_TYPES: dict[str, str] = _R4["path2Type"]
_ELSEWHERE: dict[str, str] = _R4["pathsDefinedElsewhere"]
_PARENTS: dict[str, str] = _R4["type2Parent"]
_CHOICES: dict[str, list[str]] = _R4["choiceTypePaths"]

_SAME = frozenset({"where", "first", "last", "tail", "single", "skip", "take", "distinct"})
_WITHIN = frozenset({"where", "exists", "all", "select", "iif"})

Where = frozenset[str]
"""What a path stands on: types (`Coding`) or elements of their own (`Appointment.participant`); empty when unknown."""
_UNKNOWN: Where = frozenset()


class Misnamed(Struct, frozen=True):
    """An element `name` that does not exist in `within`, where the elements `known` do."""

    name: str
    within: str
    known: tuple[str, ...]


def misnamed(expression: str, within: str) -> list[Misnamed]:
    """The elements that do not exist, of an expression applied to a resource or type named `within`."""
    found: list[Misnamed] = []
    _walk(parse(expression), frozenset({within}), found)
    return found


def standing_on(expression: str, within: str) -> str:
    """What the expression leads to, for `misnamed` of a path below it; "" when that is not one known thing."""
    where = _walk(parse(expression), frozenset({within}), [])
    return next(iter(where)) if len(where) == 1 else ""


def _walk(node: Node, this: Where, found: list[Misnamed]) -> Where:
    match node:
        case Name():
            return _name(node, this, found)
        case Variable(name="$this"):
            return this
        case Item(of=of):
            return _walk(of, this, found)
        case Call():
            return _call(node, this, found)
        case Operation(operator=operator, left=left, right=right):
            one = _walk(left, this, found)
            if operator in {"as", "is"}:
                return _type(right)
            other = _walk(right, this, found)
            return one | other if operator == "|" and one and other else _UNKNOWN
        case Sign(of=of):
            _walk(of, this, found)
            return _UNKNOWN
        case _:
            return _UNKNOWN


def _name(node: Name, this: Where, found: list[Misnamed]) -> Where:
    if node.of is not None:
        return _member(node.name, _walk(node.of, this, found), found)
    return frozenset({node.name}) if node.name in RESOURCE_TYPES & this else _member(node.name, this, found)


def _call(call: Call, this: Where, found: list[Misnamed]) -> Where:
    on = this if call.of is None else _walk(call.of, this, found)
    if call.name in {"ofType", "as"}:
        return _type(call.arguments[0]) if call.arguments else _UNKNOWN
    if call.name == "extension":
        return frozenset({"Extension"})
    for argument in call.arguments:
        if not isinstance(argument, Literal):
            _walk(argument, on if call.name in _WITHIN else this, found)
    return on if call.name in _SAME else _UNKNOWN


def _type(node: Node) -> Where:
    match node:
        case Name(name=name):
            return frozenset({name}) if name in RESOURCE_TYPES or name in _PARENTS else _UNKNOWN
        case _:
            return _UNKNOWN


def _member(name: str, on: Where, found: list[Misnamed]) -> Where:
    leads: set[str] = set()
    for one in sorted(on):
        known = _elements(one)
        if not known:
            return _UNKNOWN
        if name in known:
            leads |= known[name]
        elif len(on) == 1:
            found.append(Misnamed(name, one, tuple(sorted(known))))
    return frozenset(leads)


@cache
def _elements(within: str) -> dict[str, Where]:
    """The elements directly below a type or element, and what each leads to."""
    known: dict[str, Where] = {}
    inside = f"{within}."
    for path in (*_TYPES, *_ELSEWHERE, *_CHOICES):
        if path.startswith(inside):
            name = path[len(inside) :].partition(".")[0]
            known[name] = _leads_to(inside + name)
    if known or within in _PARENTS:
        for name in ("id", "extension"):
            known.setdefault(name, _leads_to(f"Element.{name}"))
    if "." in within:
        known.setdefault("modifierExtension", frozenset({"Extension"}))
    return _elements(parent) | known if (parent := _PARENTS.get(within)) else known


def _leads_to(path: str) -> Where:
    if path in _ELSEWHERE:
        return frozenset({_ELSEWHERE[path]})
    if path in _CHOICES:
        return _UNKNOWN
    kind = _TYPES.get(path)
    if kind is None or kind in {"BackboneElement", "Element"}:
        return frozenset({path})
    return frozenset({kind}) if kind in _PARENTS or kind in RESOURCE_TYPES else _UNKNOWN
