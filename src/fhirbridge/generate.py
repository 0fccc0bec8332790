"""`python -m fhirbridge.generate --check | --write`: everything in the project that is made from something else.

The FHIR definitions in `profiles/` are made from the packs and the code tables, their examples from cases, the page
about them from both, and the packs' JSON Schema from the models that read them. They are kept in the project, so that
whoever needs them finds them without running anything; `--check` says which of them no longer are what they are made
from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from fhirbridge import __version__
from fhirbridge.casebook.__main__ import CASES, CHECKOUT, setting
from fhirbridge.casebook.examples import EXAMPLES, examples
from fhirbridge.core.authoring import PackFile
from fhirbridge.fhir.plandefinition import definitions
from fhirbridge.fhir.profiles import requirements_of_an_epr, structure_definitions, view
from fhirbridge.fhir.profiles.page import page
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.terminology import terminology
from fhirbridge.fhir.topics import topics
from fhirbridge.packs.loading import pack_path, read_pack, shipped_packs
from fhirbridge.packs.schema import schema
from fhirbridge.shipped import folder

KINDS = (
    "PlanDefinition",
    "ActivityDefinition",
    "CodeSystem",
    "ValueSet",
    "StructureDefinition",
    "CapabilityStatement",
    "SubscriptionTopic",
    "Basic",
    "examples",
)
"""Folders of `profiles/` in which every file is made here."""
PAGE = CHECKOUT / "docs" / "profiles.md"


def shipped() -> tuple[PackFile, ...]:
    """The packs that ship, as written."""
    return tuple(read_pack(pack_path(name)) for name in shipped_packs())


def resources(packs: Iterable[PackFile]) -> Iterator[Resource]:
    """Every FHIR resource that is made of these packs."""
    packs = tuple(packs)
    for pack in packs:
        yield from definitions(pack)
    yield from terminology(packs, __version__)
    yield from structure_definitions(__version__)
    yield from (view(__version__), requirements_of_an_epr(__version__))


def files() -> dict[Path, bytes]:
    """Everything that is made, by where it is kept."""
    profiles = folder("profiles")
    definitions_ = tuple(resources(shipped()))
    shown = examples(CASES, setting())
    return {
        **{profiles / place(resource): as_bytes(resource) for resource in definitions_},
        **{profiles / place(resource): as_bytes(resource) for resource in topics(__version__)},
        **{profiles / "examples" / f"{name}.json": as_bytes(resource) for name, resource in shown.items()},
        PAGE: _page(definitions_, shown).encode(),
        folder("packs") / "pack.schema.json": as_bytes(schema()),
    }


def _page(definitions_: Iterable[Resource], shown: dict[str, Resource]) -> str:
    of: dict[str, list[Resource]] = {}
    for resource in definitions_:
        of.setdefault(resource["resourceType"], []).append(resource)
    told = {example.name: (example.says, str(shown[example.name]["resourceType"])) for example in EXAMPLES}
    return page(of["StructureDefinition"], of["CodeSystem"], of["CapabilityStatement"], told)


def place(resource: Resource) -> Path:
    """`PlanDefinition/rdash-disengagement.json`, below a folder of definitions."""
    return Path(resource["resourceType"], f"{resource['id']}.json")


def as_bytes(value: object) -> bytes:
    """JSON for people to read, ending with a line end."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def stale(made: dict[Path, bytes]) -> list[str]:
    """What differs from what is made now, a line for each file."""
    told = []
    for file in sorted(made.keys() | _there()):
        if file not in made:
            told.append(f"{file}: nothing makes this file any more")
        elif not file.is_file() or file.read_bytes() != made[file]:
            told.append(f"{file}: is not what it is made from")
    return told


def write(made: dict[Path, bytes]) -> None:
    """Write everything, and take away what nothing makes any more."""
    for file in _there() - made.keys():
        file.unlink()
    for file, content in made.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _there() -> set[Path]:
    return {file for kind in KINDS for file in (folder("profiles") / kind).glob("*.json")}


def main(arguments: list[str] | None = None) -> int:
    """0 when everything is current or written, 1 when something is stale."""
    parser = argparse.ArgumentParser(prog="python -m fhirbridge.generate", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="say what is stale")
    what.add_argument("--write", action="store_true", help="write it")
    asked = parser.parse_args(arguments)
    made = files()
    if asked.write:
        write(made)
        return 0
    told = stale(made)
    for line in told:
        print(f"{line}; run python -m fhirbridge.generate --write", file=sys.stderr)
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
