"""`python -m fhirbridge.casebook`: play cases, print them as FHIR, write the pages made of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from fhirbridge.casebook import pages
from fhirbridge.casebook.comparing import as_line, differences, rows_of, told
from fhirbridge.casebook.playing import Setting, pack_of, play
from fhirbridge.casebook.reading import case_files, read_case
from fhirbridge.errors import FhirbridgeError
from fhirbridge.fhir.directory_file import load_directory
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.shipped import folder
from fhirbridge.wiring.policies import calendar_of

CHECKOUT = Path(__file__).parents[3]
CASES = CHECKOUT / "fixtures" / "cases"
PAGES = CHECKOUT / "docs" / "pathways"


def setting() -> Setting:
    """What every case is played with: the default mapping and directory, England's bank holidays."""
    mappings = folder("mappings")
    return Setting(
        mapping=Mapping.load("uk-core", [mappings]),
        directory=load_directory(mappings / "uk-core" / "directory.yaml"),
        calendar=calendar_of("Europe/London", "ENG"),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; 0 done, 1 a finding, 2 wrong usage or a wrong case file."""
    parser = argparse.ArgumentParser(prog="python -m fhirbridge.casebook", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="play every case, and say which pages have drifted")
    what.add_argument("--write", action="store_true", help="write docs/pathways anew")
    what.add_argument("--fhir", type=Path, metavar="CASE", help="print the record of a case as NDJSON of FHIR R4")
    what.add_argument("--show", type=Path, metavar="CASE", help="print what a case writes, as lines of a case file")
    given = parser.parse_args(arguments)
    try:
        if given.fhir or given.show:
            return _print(given.fhir or given.show, fhir=bool(given.fhir))
        return _check(write=given.write)
    except FhirbridgeError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _print(file: Path, *, fhir: bool) -> int:
    with_all = setting()
    case = read_case(file, with_all.calendar)
    pack = pack_of(case, with_all)
    story = play(case, with_all, pack)
    if fhir:
        lines = [orjson.dumps(resource).decode() for resource in story.received]
    else:
        written = told(story, rows_of(pack), with_all.calendar)
        lines = [f"  - {as_line(one, with_all.calendar)}" for one in written]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _check(*, write: bool) -> int:
    with_all = setting()
    played = []
    found = []
    for file in case_files(CASES):
        case = read_case(file, with_all.calendar)
        pack = pack_of(case, with_all)
        story = play(case, with_all, pack)
        found += differences(case, story, rows_of(pack), with_all.calendar)
        played.append(case)
    made = pages.made(played, with_all.calendar)
    if write:
        pages.write(made, PAGES)
    found += pages.drifted(made, PAGES)
    sys.stderr.write("".join(f"{one}\n" for one in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
