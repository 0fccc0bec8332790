"""`policy lint`: what is wrong with packs, and with their assignment to services."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from fhirbridge.cli.options import AsJson
from fhirbridge.cli.output import FOUND, put_json, say
from fhirbridge.errors import ConfigurationError
from fhirbridge.packs.lint import Flaw
from fhirbridge.packs.lint import lint as lint_file
from fhirbridge.packs.loading import pack_path, shipped_packs
from fhirbridge.settings import read_settings
from fhirbridge.wiring.assignment_lint import lint_assignments


def lint(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Packs or files; all that ship if none.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Look at how these settings assign packs too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find what is wrong with packs before a patient meets it; exit status 1 where something is."""
    files = names or ([] if config else shipped_packs())
    flaws = [flaw for name in files for flaw in lint_file(pack_path(name))]
    if config:
        flaws += _assigned(config)
    if as_json:
        put_json(flaws)
    else:
        for flaw in flaws:
            print(_line(flaw))
        say(f"{len(flaws)} findings." if flaws else "Nothing found.")
    if flaws:
        raise typer.Exit(FOUND)


def _assigned(config: Path) -> list[Flaw]:
    try:
        found = lint_assignments(read_settings(config))
    except ConfigurationError as error:
        named = error.place.startswith(str(config))
        return [
            Flaw(
                error.place if named else f"{config}: {error.place}",
                "",
                f"this is refused: {error.message}",
                "Nothing can be decided until it is put right.",
            )
        ]
    return [replace(flaw, place=f"{config}: {flaw.place}") for flaw in found]


def _line(flaw: Flaw) -> str:
    step = f" {flaw.step}:" if flaw.step else ""
    what = flaw.what if flaw.what.endswith((".", "!", "?")) else f"{flaw.what}."
    return f"{flaw.place}:{step} {what[:1].upper() + what[1:]} {flaw.remedy}"
