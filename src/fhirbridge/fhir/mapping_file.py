"""A mapping as written: YAML files to frozen values, each remembering its file and line.

A mapping lies in a folder of its own as `mapping.yaml`, with its concept maps under `codes` there, or each as a file
`codes/NAME.yaml` beside it. With `extends` it takes over another mapping and states what differs: a rule of the same
name is overlaid field by field, systems of a concept map are asked before the parent's. Whatever is wrong is a
ConfigurationError that names file and line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.errors import ConfigurationError, NotKnown
from fhirbridge.fhir.located_yaml import Spot, load
from fhirbridge.fhir.nearest import nearest

FILE = "mapping.yaml"
CODES = "codes"
"""The folder of concept maps, and the key for those that are written into the mapping itself."""


class Origin(Struct, frozen=True, kw_only=True):
    """One way to find the value of a field, tried in order.

    `path` is a FHIRPath, or `value` a constant; either only `when` that FHIRPath is true. `map` names the concept map
    for codes, `types` the resource types that references may have, `without` systems whose codings are left out.
    `take` is which of several codes counts, `first` or `last`. `role` and `member` are paths below `path` for holders.
    """

    place: str
    path: str = ""
    value: str = ""
    when: str = ""
    map: str = ""
    types: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    take: str = "first"
    role: str = ""
    member: str = ""


class Rule(Struct, frozen=True, kw_only=True):
    """How a resource of type `resource` becomes a fact, `when` that FHIRPath is true of it.

    `fact` is a name of `fact_fields.FACTS`, or `none` for resources of which the service has no use.
    """

    name: str
    resource: str
    fact: str
    place: str
    when: str = ""
    fields: dict[str, tuple[Origin, ...]]


class CodeSystem(Struct, frozen=True, kw_only=True):
    """Part of a concept map: the codes of one system.

    In systems and codes `*` stands for anything, and in a system with `*` also `[Aa]` for either letter.
    `same`: these codes are ours already (all of the system when `all_same`). `to`: this code means these of ours.
    `places` says for each of their codes where it stands.
    """

    system: str
    place: str
    same: frozenset[str] = frozenset()
    all_same: bool = False
    to: dict[str, tuple[str, ...]]
    places: dict[str, str] = {}


class MappingFile(Struct, frozen=True, kw_only=True):
    """A mapping with everything that it extends.

    `files` are the `mapping.yaml` read, the mapping's own first; `parent` is the name of what it extends.
    """

    name: str
    version: str
    title: str
    zone: str
    rules: tuple[Rule, ...]
    maps: dict[str, tuple[CodeSystem, ...]]
    files: tuple[Path, ...]
    parent: str = ""


def find(name: str, roots: Sequence[Path]) -> Path:
    """The folder of a mapping: `name` as a path to it, or below one of `roots`.

    Raises NotKnown with the names that there are.
    """
    for folder in (Path(name), *(root / name for root in roots)):
        if (folder / FILE).is_file():
            return folder
    there = sorted({file.parent.name for root in roots for file in root.glob(f"*/{FILE}")})
    told = f"there is no mapping {name!r}{nearest(name, there)}; choose one of: {', '.join(there) or 'none found'}"
    raise NotKnown(f"{told}; or give the folder that holds a {FILE}")


def read(name: str, roots: Sequence[Path]) -> MappingFile:
    """Read a mapping by folder or name, with what it extends.

    Raises ConfigurationError with `file:line`, NotKnown when there is no such mapping.
    """
    return _read(find(name, roots), roots, ())


def _read(folder: Path, roots: Sequence[Path], below: tuple[Path, ...]) -> MappingFile:
    file = folder / FILE
    top = load(file)
    items = top.items({"mapping", "version", "title", "time-zone", "extends", "codes", "rules"})
    if "extends" not in items:
        if "time-zone" not in items:
            top.fail("time-zone is missing; dates without a time need one, e.g. Europe/London")
        parent = None
    else:
        if file in below:
            items["extends"].fail("the mappings extend one another in a circle")
        parent = _read(find(items["extends"].text(), roots), roots, (*below, file))
    for needed in ("mapping", "version"):
        if needed not in items:
            top.fail(f"{needed} is missing")
    maps = _code_maps(folder, items.get(CODES))
    rules = [_rule(name, spot) for name, spot in items["rules"].items().items()] if "rules" in items else []
    return MappingFile(
        name=items["mapping"].text(),
        version=items["version"].text(),
        title=items["title"].text() if "title" in items else parent.title if parent else "",
        zone=items["time-zone"].text() if "time-zone" in items else parent.zone if parent else "",
        rules=_overlaid(rules, parent.rules if parent else ()),
        maps=_joined(maps, parent.maps if parent else {}),
        files=(file, *(parent.files if parent else ())),
        parent=parent.name if parent else "",
    )


def _code_maps(folder: Path, written: Spot | None) -> dict[str, tuple[CodeSystem, ...]]:
    spots = written.items() if written is not None else {}
    for file in sorted((folder / CODES).glob("*.yaml")):
        if file.stem in spots:
            spots[file.stem].fail(f"the concept map {file.stem!r} is in {CODES}/{file.name} too; keep one of them")
        spots[file.stem] = load(file)
    return {name: _code_map(spot) for name, spot in spots.items()}


def _overlaid(rules: Iterable[Rule], parents: Sequence[Rule]) -> tuple[Rule, ...]:
    own = {rule.name: rule for rule in rules}
    laid = [
        replace(
            mine,
            resource=mine.resource or theirs.resource,
            fact=mine.fact or theirs.fact,
            when=mine.when or theirs.when,
            fields={**theirs.fields, **mine.fields},
        )
        if (mine := own.pop(theirs.name, None))
        else theirs
        for theirs in parents
    ]
    for rule in own.values():
        if not rule.resource or not rule.fact:
            raise ConfigurationError(f"rule {rule.name!r} needs resource and fact", place=rule.place)
    return (*own.values(), *laid)


def _joined(
    maps: dict[str, tuple[CodeSystem, ...]], parents: dict[str, tuple[CodeSystem, ...]]
) -> dict[str, tuple[CodeSystem, ...]]:
    return {name: (*maps.get(name, ()), *parents.get(name, ())) for name in (*maps, *parents)}


def _code_map(spot: Spot) -> tuple[CodeSystem, ...]:
    return tuple(_code_system(system) for system in spot.sequence())


def _code_system(spot: Spot) -> CodeSystem:
    items = spot.items({"system", "same", "to"})
    if "system" not in items:
        spot.fail("system is missing; write '' for codes without a system")
    same = items.get("same")
    all_same = same is not None and same.is_text() and same.text() == "all"
    kept = same.sequence() if same is not None and same.is_sequence() else []
    to = items["to"].items() if "to" in items else {}
    return CodeSystem(
        system=items["system"].text(),
        place=spot.place,
        same=frozenset(same.texts()) if same is not None and not all_same else frozenset(),
        all_same=all_same,
        to={code: tuple(ours.texts()) for code, ours in to.items()},
        places={one.text(): one.place for one in kept} | {code: ours.place for code, ours in to.items()},
    )


def _rule(name: str, spot: Spot) -> Rule:
    items = spot.items({"resource", "fact", "when", "fields"})
    fields = items["fields"].items() if "fields" in items else {}
    return Rule(
        name=name,
        resource=items["resource"].text() if "resource" in items else "",
        fact=items["fact"].text() if "fact" in items else "",
        when=items["when"].text() if "when" in items else "",
        place=spot.place,
        fields={field: tuple(_origins(origins)) for field, origins in fields.items()},
    )


def _origins(spot: Spot) -> Iterable[Origin]:
    for origin in spot.sequence() if spot.is_sequence() else [spot]:
        if origin.is_text():
            yield Origin(place=origin.place, path=origin.text())
            continue
        items = origin.items({"path", "value", "when", "map", "types", "without", "take", "role", "member"})
        if ("path" in items) == ("value" in items):
            origin.fail("give either path or value")
        if "take" in items and items["take"].text() not in {"first", "last"}:
            items["take"].fail("take is first or last")
        told = {key: spot.text() for key, spot in items.items() if key not in {"types", "without"}}
        yield Origin(
            place=origin.place,
            path=told.get("path", ""),
            value=told.get("value", ""),
            when=told.get("when", ""),
            map=told.get("map", ""),
            types=tuple(items["types"].texts()) if "types" in items else (),
            without=tuple(items["without"].texts()) if "without" in items else (),
            take=told.get("take", "first"),
            role=told.get("role", ""),
            member=told.get("member", ""),
        )
