"""Differentials written down shortly: one line for each element that a profile says something about.

Source: hl7.org/fhir/R4, pages elementdefinition and profiling. An element's id is its path with the names of the slices
that it lies in; a slice is told from its neighbours by the value of a child, or by a pattern.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from fhirbridge.fhir.r4 import Resource

_BASE = "http://hl7.org/fhir/StructureDefinition"


class Line(Struct, frozen=True, kw_only=True):
    """What a profile says of one element; `id` is its path below the type, slices as `identifier:obligation`.

    `fixed` and `pattern` are `(type, value)` as they end the names of these elements: `("Uri", "https://…")`. `bound`
    is a ValueSet that one coding has to be of. `slices` opens a slicing, by the way and the path that tell its slices
    apart. `targets` are the types that a Reference may name; `types` those that a choice may have.
    """

    id: str
    short: str = ""
    min: int | None = None
    max: str = ""
    fixed: tuple[str, Any] | None = None
    pattern: tuple[str, Any] | None = None
    bound: str = ""
    slices: tuple[str, str] | None = None
    targets: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    rules: tuple[tuple[str, str, str], ...] = ()
    """What should hold: key, what it says to people, FHIRPath. A warning, for staff may not keep to it."""


def elements(kind: str, lines: Iterable[Line]) -> list[Resource]:
    """The `differential.element` of a profile of this type, its root first."""
    return [_element(kind, line) for line in lines]


def coded(id_: str, system: str, value_set: str, *, short: str, max_: str = "1") -> tuple[Line, ...]:
    """A CodeableConcept that has a coding of one of the service's own systems, and may have others beside it."""
    slice_ = f"{id_}.coding:{value_set.rpartition('/')[2]}"
    return (
        Line(id=id_, short=short, min=1, max=max_, bound=value_set),
        Line(id=f"{id_}.coding", slices=("value", "system")),
        Line(id=slice_, min=1, max="1"),
        Line(id=f"{slice_}.system", min=1, fixed=("Uri", system)),
        Line(id=f"{slice_}.code", min=1, bound=value_set),
        Line(id=f"{slice_}.display", min=1),
    )


def _element(kind: str, line: Line) -> Resource:
    id_ = f"{kind}.{line.id}" if line.id else kind
    path = ".".join(part.partition(":")[0] for part in id_.split("."))
    element: Resource = {"id": id_, "path": path}
    last = id_.rpartition(".")[2]
    if ":" in last:
        element["sliceName"] = last.partition(":")[2]
    if line.slices is not None:
        how, where = line.slices
        element["slicing"] = {"discriminator": [{"type": how, "path": where}], "rules": "open"}
    if line.short:
        element["short"] = line.short
    if line.min is not None:
        element["min"] = line.min
    if line.max:
        element["max"] = line.max
    if types := _types(line):
        element["type"] = types
    for name, value in (("fixed", line.fixed), ("pattern", line.pattern)):
        if value is not None:
            element[f"{name}{value[0]}"] = value[1]
    if line.rules:
        element["constraint"] = [
            {"key": key, "severity": "warning", "human": human, "expression": expression}
            for key, human, expression in line.rules
        ]
    if line.bound:
        element["binding"] = {"strength": "required", "valueSet": line.bound}
    return element


def _types(line: Line) -> list[Resource]:
    if line.targets:
        return [{"code": "Reference", "targetProfile": [f"{_BASE}/{target}" for target in line.targets]}]
    return [{"code": code} for code in line.types]
