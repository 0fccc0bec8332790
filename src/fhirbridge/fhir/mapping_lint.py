"""What is wrong with a mapping, with file, line and what would be right, before the first patient meets it.

Everything that loading refuses, all at once; what loads and yet cannot work: elements that R4 does not have, statuses
that it does not have, SNOMED CT identifiers with a slip in them, rules nobody can reach, concept maps nobody asks; and
what the mapping's own table of tests says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import Struct

from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir import canonical
from fhirbridge.fhir.codes import Codes
from fhirbridge.fhir.directory_file import FILE as DIRECTORY
from fhirbridge.fhir.directory_file import load_directory
from fhirbridge.fhir.fact_fields import FACTS, Kind, reader
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.mapping_elements import misnamed, standing_on
from fhirbridge.fhir.mapping_file import MappingFile, Origin, Rule, find, read
from fhirbridge.fhir.mapping_table import FILE as TABLE
from fhirbridge.fhir.mapping_table import Verdict, run_table
from fhirbridge.fhir.nearest import unknown
from fhirbridge.fhir.r4 import RESOURCE_TYPES, SHAPES


class Flaw(Struct, frozen=True, order=True):
    """One thing that is wrong: where (`file:line`), and what: found, allowed, and the nearest that would be known."""

    place: str
    what: str


class Checked(Struct, frozen=True, kw_only=True):
    """What came of a mapping: its flaws, and how many tests of its own table it was put to."""

    name: str
    flaws: tuple[Flaw, ...]
    tests: int


def lint(name: str, roots: Sequence[Path]) -> Checked:
    """Check a mapping, by the path of its folder or by its name in one of `roots`.

    Raises NotKnown when there is no such mapping.
    """
    folder = find(name, roots)
    try:
        file = read(name, roots)
    except ConfigurationError as error:
        return Checked(name=name, flaws=(_flaw(error),), tests=0)
    flaws = [*_in_rules(file), *_in_maps(file), *_in_directory(folder / DIRECTORY)]
    verdicts: list[Verdict] = []
    try:
        verdicts = _put_to_the_test(Mapping(file), folder / TABLE)
    except ConfigurationError as error:
        flaws.append(_flaw(error))
    else:
        flaws += _in_table(file, folder / TABLE, verdicts)
    return Checked(name=file.name, flaws=tuple(dict.fromkeys(flaws)), tests=len(verdicts))


def _flaw(error: ConfigurationError) -> Flaw:
    return Flaw(error.place, error.message)


def _put_to_the_test(mapping: Mapping, table: Path) -> list[Verdict]:
    return run_table(mapping, table) if table.is_file() else []


def _in_rules(file: MappingFile) -> Iterator[Flaw]:
    maps = {name: Codes(systems) for name, systems in file.maps.items()}
    closed: dict[str, Rule] = {}
    for rule in file.rules:
        if rule.resource in closed:
            before = closed[rule.resource]
            told = f"rule {rule.name!r} is never reached: {before.name!r} ({before.place}) takes every {rule.resource}"
            yield Flaw(rule.place, told)
        elif not rule.when:
            closed[rule.resource] = rule
        if rule.resource in RESOURCE_TYPES and rule.fact in {*FACTS, "none"}:
            yield from _in_paths(rule.when, rule.resource, rule.place)
            for field, origins in rule.fields.items():
                for origin in origins:
                    yield from _in_origin(file, rule, field, origin, maps)


def _in_origin(file: MappingFile, rule: Rule, field: str, origin: Origin, maps: dict[str, Codes]) -> Iterator[Flaw]:
    every = {"patient": Kind.REFERENCES, "erased": Kind.TRUTH}
    kind = (every | (FACTS[rule.fact][1] if rule.fact != "none" else {})).get(field)
    if kind is None:
        return  # compiling says which fields there are
    try:
        reader(field, kind, origin, maps, ZoneInfo("UTC"))
    except ConfigurationError as error:
        yield _flaw(error)
        return
    for path in (origin.path, origin.when):
        yield from _in_paths(path, rule.resource, origin.place)
    if origin.role and (below := standing_on(origin.path, rule.resource)):
        for path in (origin.role, origin.member):
            yield from _in_paths(path, below, origin.place)
    for name in origin.types:
        if name not in RESOURCE_TYPES:
            yield Flaw(origin.place, unknown(name, RESOURCE_TYPES, "resource type of FHIR R4"))
    if origin.map:
        yield from _beside_r4(file, rule.resource, origin)


def _in_paths(path: str, within: str, place: str) -> Iterator[Flaw]:
    try:
        strange = misnamed(path, within) if path else []
    except ConfigurationError:
        return  # compiling says what is no FHIRPath
    for one in strange:
        yield Flaw(place, unknown(one.name, one.known, f"element of {one.within} in FHIR R4"))


def _beside_r4(file: MappingFile, resource: str, origin: Origin) -> Iterator[Flaw]:
    """Codes of a map that R4's required binding of the element does not have."""
    bound = dict(SHAPES[resource].codes) if resource in SHAPES else {}
    if origin.path not in bound:
        return
    for system in file.maps[origin.map]:
        for code in (*sorted(system.same), *system.to):
            if system.system == "" and "*" not in code and code not in bound[origin.path]:
                what = f"code of {resource}.{origin.path} in FHIR R4"
                yield Flaw(system.places.get(code, system.place), unknown(code, bound[origin.path], what))


def _in_maps(file: MappingFile) -> Iterator[Flaw]:
    asked = {o.map for rule in file.rules for origins in rule.fields.values() for o in origins if o.map}
    for name, systems in file.maps.items():
        if name not in asked:
            yield Flaw(
                systems[0].place if systems else str(file.files[0]), unknown(name, asked, "map that a field asks")
            )
        for system in systems:
            if system.system == canonical.SNOMED:
                for code in (*sorted(system.same), *system.to):
                    if "*" not in code and not is_snomed(code):
                        told = f"{code!r} is no SNOMED CT identifier: the check digit at its end does not fit"
                        yield Flaw(system.places.get(code, system.place), told)


def _in_directory(file: Path) -> Iterator[Flaw]:
    if not file.is_file():
        return
    try:
        load_directory(file)
    except ConfigurationError as error:
        yield _flaw(error)


def _in_table(file: MappingFile, table: Path, verdicts: Iterable[Verdict]) -> Iterator[Flaw]:
    own = str(file.files[0])
    ran = set()
    for verdict in verdicts:
        ran.add(verdict.rule)
        for failed in verdict.failed:
            yield Flaw(verdict.place, f"{verdict.name}: {failed}")
    for rule in file.rules:
        if rule.name not in ran and rule.place.rpartition(":")[0] == own:
            yield Flaw(rule.place, f"rule {rule.name!r} has no test; add a resource that it is for to {table}")


_TIMES = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_TURN = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_SHORTEST, _LONGEST = 6, 18


def is_snomed(code: str) -> bool:
    """Whether the code is a SNOMED CT identifier: 6 to 18 digits that pass Verhoeff's check.

    Source: SNOMED CT Release File Specification, Component Identifiers; Verhoeff, Error Detecting Decimal Codes, 1969.
    """
    if not (code.isascii() and code.isdigit() and _SHORTEST <= len(code) <= _LONGEST):
        return False
    check = 0
    turned = list(range(10))
    for digit in reversed(code):
        check = _TIMES[check][turned[int(digit)]]
        turned = [_TURN[value] for value in turned]
    return check == 0
