"""`mapping`: how the records of an EPR are read, for the engineer who brings a new one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from fhirbridge.cli.deferred import MappingCommands
from fhirbridge.cli.mapping_starter import starter
from fhirbridge.cli.mapping_told import near, said
from fhirbridge.cli.options import AsJson
from fhirbridge.cli.output import FOUND, put_json, say
from fhirbridge.errors import SenderError
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.mapping_file import FILE, find
from fhirbridge.fhir.mapping_lint import lint
from fhirbridge.fhir.mapping_table import as_shown
from fhirbridge.fhir.mapping_tally import Tally
from fhirbridge.shipped import folder
from fhirbridge.simulation.reading import Deleted, read

mapping = typer.Typer(
    name="mapping",
    cls=MappingCommands,
    no_args_is_help=True,
    add_completion=False,
    help="How the records of an EPR are read.",
)


@mapping.callback()
def _group() -> None:
    """How the records of an EPR are read."""


@mapping.command("list")
def list_mappings(as_json: AsJson = False) -> None:
    """List the mappings that ship."""
    shipped = [Mapping.load(name, _roots()) for name in _shipped()]
    if as_json:
        put_json([_described(one) for one in shipped])
        return
    for one in shipped:
        extends = f", extends {one.parent}" if one.parent else ""
        print(f"{one.name} {one.version}: {one.title}{extends}")
        print(f"  {near(one.files[0].parent)}")


@mapping.command("check")
def check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME|FOLDER...]", help="Mappings; all that ship if none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find what is wrong with mappings and run their tables of tests; exit status 1 where something is."""
    checked = [lint(name, _roots()) for name in names or _shipped()]
    if as_json:
        put_json([{"mapping": c.name, "tests": c.tests, "findings": [_fields(f) for f in c.flaws]} for c in checked])
    else:
        for one in checked:
            for flaw in one.flaws:
                print(f"{near(flaw.place)}: {flaw.what}")
            say(f"{one.name}: {one.tests} tests, {len(one.flaws) or 'no'} findings.")
    if any(one.flaws for one in checked):
        raise typer.Exit(FOUND)


@mapping.command("try")
def try_out(
    inputs: Annotated[list[Path], typer.Argument(metavar="FILE...", help="A resource, NDJSON, a Bundle, or folders.")],
    name: Annotated[str, typer.Option("--mapping", metavar="NAME", help="The mapping, or its folder.")] = "uk-core",
    as_json: AsJson = False,
) -> None:
    """Show the facts that resources give, and which line of the mapping gave each field; what it does not know."""
    tried = Mapping.load(name, _roots())
    tally = Tally()
    for resource in read(inputs):
        if isinstance(resource, Deleted):
            continue
        trace = tried.trace(resource)
        tally.add(resource["resourceType"], trace)
        if as_json:
            _put_line({"resource": f"{resource['resourceType']}/{resource['id']}", **_traced(trace)})
        else:
            print("\n".join(said(resource, trace)))
    for line in tally.lines():
        print(line, file=sys.stderr if as_json else sys.stdout)


@mapping.command("init")
def init(
    where: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write it; its name becomes the mapping's.")],
    extends: Annotated[str, typer.Option(metavar="NAME", help="The mapping to start from.")] = "uk-core",
) -> None:
    """Write the beginnings of a mapping of one's own, with comments and a first test."""
    if (where / FILE).exists():
        raise SenderError("is there already; nothing was written", place=str(where / FILE))
    parent = Mapping.load(extends, _roots())
    try:
        for file, text in starter(where.resolve().name, extends, parent).items():
            (where / file).parent.mkdir(parents=True, exist_ok=True)
            (where / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SenderError(f"cannot be written: {error.strerror}", place=str(where)) from None
    say(f"Wrote the mapping into {where}. Change it, and see with `fhirbridge mapping check {where}`.")


def _roots() -> list[Path]:
    return [folder("mappings")]


def _shipped() -> list[str]:
    return sorted(file.parent.name for root in _roots() for file in root.glob(f"*/{FILE}"))


def _described(one: Mapping) -> dict[str, Any]:
    return {
        "mapping": one.name,
        "version": one.version,
        "title": one.title,
        "extends": one.parent or None,
        "folder": str(find(one.name, _roots())),
        "resources": sorted(one.resource_types),
    }


def _traced(trace: Any) -> dict[str, Any]:
    return {
        "rule": trace.rule or None,
        "fact": None if trace.fact is None else as_shown(trace.fact),
        "found": [_fields(found) for found in trace.found],
        "unknownCodes": [_fields(strange) for strange in trace.strange],
    }


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def _put_line(data: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE))
