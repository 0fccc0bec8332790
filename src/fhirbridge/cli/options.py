"""Options that several commands have, and what is read from the text that they are given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from fhirbridge.errors import ConfigurationError, SenderError

AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for machines.")]
SettingsFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings of the service (TOML or YAML).")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Write there instead of standard output.")]


@contextmanager
def of_settings(config: Path | None) -> Iterator[None]:
    """Name the file of settings in what is refused because of what it gives to a pack or a service."""
    try:
        yield
    except ConfigurationError as error:
        if config is None or not error.place.startswith(("overrides.", "services.")):
            raise
        raise ConfigurationError(error.message, place=f"{config}: {error.place}") from error


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
