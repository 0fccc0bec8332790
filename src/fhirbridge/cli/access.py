"""`access`: hashes for the settings of who may look, and the record of who did."""

from __future__ import annotations

import asyncio
import getpass
import secrets
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, BinaryIO

import orjson
import typer

from fhirbridge.access import hashed, token_hash
from fhirbridge.adapters.store import open_store
from fhirbridge.cli.options import Out, SettingsFile, day
from fhirbridge.cli.output import opened, say
from fhirbridge.errors import SenderError
from fhirbridge.settings import Settings, read_settings
from fhirbridge.wiring.policies import calendar_of

access = typer.Typer(
    name="access",
    no_args_is_help=True,
    add_completion=False,
    help="Who may look at what the service holds, and who did.",
)

_SHORTEST = 12
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@access.command()
def password() -> None:
    """Ask for a password of the console, and print its hash, for access.people.NAME.password in the settings."""
    chosen = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if len(chosen) < _SHORTEST:
        raise SenderError(f"has fewer than {_SHORTEST} characters; take a few words", place="password")
    print(hashed(chosen, secrets.token_bytes(16)))


@access.command()
def token() -> None:
    """Make a token of the FHIR view; print it, and its hash for access.systems.NAME.token_sha256 in the settings."""
    made = secrets.token_urlsafe(32)
    print(f"token: {made}")
    print(f"token_sha256: {token_hash(made)}")


@access.command()
def audit(
    first: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="The first day; else the earliest.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="The last day; else today.")] = None,
    config: SettingsFile = None,
    out: Out = None,
) -> None:
    """Write who looked at what as AuditEvents, one a line, in the order in which they were recorded."""
    settings = read_settings(config)
    since, until = _days(first, last, settings)
    with opened(out) as to:
        written = asyncio.run(_write(settings, since, until, to))
    say(f"{written} AuditEvents.")


def _days(first: str | None, last: str | None, settings: Settings) -> tuple[datetime, datetime]:
    """From the beginning of the first day to the end of the last, on the local clock."""
    calendar = calendar_of(settings.zone, settings.holidays)
    since = calendar.start_of_day(day(first, "--from")) if first else _BEGINNING
    until = day(last, "--to") if last else calendar.local(datetime.now(UTC)).date()
    return since, calendar.start_of_day(until + timedelta(days=1))


async def _write(settings: Settings, since: datetime, until: datetime, to: BinaryIO) -> int:
    store = await open_store(settings.database_url)
    try:
        written = 0
        async for event in store.audit.recorded(since, until):
            to.write(orjson.dumps(event) + b"\n")
            written += 1
        return written
    finally:
        await store.close()
