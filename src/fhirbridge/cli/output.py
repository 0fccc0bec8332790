"""What the command line says and how it ends: data to standard output, words for people to standard error.

Exit status: 0 done; 1 a finding, or the service could not do its work; 2 wrong usage or bad input, with one line that
says what, where and what to do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer.core import TyperGroup

from fhirbridge.errors import ConfigurationError, FhirbridgeError, SenderError

FOUND = 1
WRONG = 2
INTERRUPTED = 130

_PATIENCE = 2.0
"""Seconds before a progress bar appears: who waits less needs none."""

_USAGE: type[Exception] = typer.BadParameter.__mro__[1]
"""What is raised for wrong usage. Typer gives no name to it: it comes from its own copy of Click, or from Click."""

Item = TypeVar("Item")


def say(text: str) -> None:
    """One line for a person, on standard error."""
    print(" ".join(text.split()), file=sys.stderr)


class Commands(TyperGroup):
    """The application's commands; turns every error that somebody can mend into one line and an exit status."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; with `standalone_mode` end the process with its exit status."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        try:
            status = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except _USAGE as error:
            status = _misused(error)
        except (typer.Abort, KeyboardInterrupt):
            status = INTERRUPTED
        except (SenderError, ConfigurationError) as error:
            status = _refused(str(error), WRONG)
        except FhirbridgeError as error:
            status = _refused(str(error), FOUND)
        sys.exit(status if isinstance(status, int) else 0)


def _misused(error: Any) -> int:
    message = error.format_message().rstrip(".")
    if not message:  # nothing was asked for, and the help has been printed
        return WRONG
    asked = error.ctx.command_path if error.ctx else "fhirbridge"
    return _refused(f"{message}; see `{asked} --help`", WRONG)


def _refused(message: str, status: int) -> int:
    say(f"fhirbridge: {message}")
    return status


def progress(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """The items, of which there are `total`.

    With a bar on standard error while somebody is watching and it takes longer than two seconds.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    row = bar.add_task(what, total=total)
    begun = time.monotonic()
    try:
        for item in items:
            if not bar.live.is_started and time.monotonic() - begun > _PATIENCE:
                bar.start()
            yield item
            bar.advance(row)
    finally:
        bar.stop()


@contextmanager
def opened(out: Path | None) -> Iterator[BinaryIO]:
    """Where data goes: the file, or standard output if there is none.

    Raises:
        SenderError: the file cannot be written.
    """
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with out.open("wb") as file:
            yield file
    except OSError as error:
        raise SenderError(f"cannot be written: {error.strerror}", place=str(out)) from None


def put(data: Iterable[bytes], out: Path | None = None) -> None:
    """Data into a file, or to standard output; errors as for `opened`."""
    with opened(out) as to:
        to.writelines(data)


def put_json(value: object) -> None:
    """A value as JSON that people can read too, to standard output."""
    put((msgspec.json.format(msgspec.json.encode(value)), b"\n"))


def lines(text: Iterable[str]) -> bytes:
    """Lines of text as bytes."""
    return "".join(f"{line}\n" for line in text).encode()
