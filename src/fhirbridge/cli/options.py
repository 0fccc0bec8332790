"""Options that several commands have, and what is read from the text that they are given."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from fhirbridge.errors import SenderError

AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for machines.")]
SettingsFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings of the service (TOML or YAML).")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Write there instead of standard output.")]


def instant(text: str) -> datetime:
    """The instant that was given as `--until`, in UTC.

    Raises:
        SenderError: it is none, or has no offset.
    """
    try:
        given = datetime.fromisoformat(text)
        if given.tzinfo is not None:
            return given.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise SenderError(
        f"{text[:60]!r} is not an instant; write date, time and offset, e.g. 2026-03-02T17:00:00Z", place="--until"
    )


def day(text: str, option: str) -> date:
    """The day that an option was given.

    Raises:
        SenderError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SenderError(f"{text[:40]!r} is not a date; write e.g. 2026-01-31", place=option) from None
