"""The command line: one module for each group of commands, gathered here into one application."""

from typing import Annotated

import typer

from fhirbridge import __version__
from fhirbridge.cli.demo import demo
from fhirbridge.cli.output import Commands
from fhirbridge.cli.policy import policy
from fhirbridge.cli.serve import serve, worker
from fhirbridge.cli.simulate import simulate

app = typer.Typer(name="fhirbridge", cls=Commands, no_args_is_help=True, add_completion=False)


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


app.command()(serve)
app.command()(worker)
app.command()(demo)
app.command()(simulate)
app.add_typer(policy)


def main() -> None:
    """Run the command line; the console script ``fhirbridge`` enters here."""
    app()
