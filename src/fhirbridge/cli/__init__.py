"""The command line: one module for each group of commands, each imported when it is called."""

from typing import Annotated

import typer

from fhirbridge import __version__
from fhirbridge.cli.deferred import AllCommands

app = typer.Typer(name="fhirbridge", cls=AllCommands, no_args_is_help=True, add_completion=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Watch an EPR for missed appointments and ending care, and see that the service's own policy is followed."""


def main() -> None:
    """Run the command line; the console script ``fhirbridge`` enters here."""
    app()
