"""`simulate`: what would have been written by an instant, from files of records; nothing is sent."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from fhirbridge.cli.output import lines, progress, say
from fhirbridge.core.calendar import Calendar
from fhirbridge.errors import SenderError
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.settings import read_settings
from fhirbridge.shipped import folder
from fhirbridge.simulation import Collected, DryRun, Written, account, collect, final, play, read
from fhirbridge.wiring import calendar_of, directory_of, pack_of


def simulate(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="NDJSON, Bundles, or folders of them.")],
    pack: Annotated[str, typer.Option(metavar="NAME", help="The policy to apply; see `policy list`.")],
    until: Annotated[str, typer.Option(metavar="INSTANT", help="Up to when, e.g. 2026-03-02T17:00:00Z.")],
    mapping: Annotated[str, typer.Option(metavar="NAME", help="How to read the records.")] = "uk-core",
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings of the service (TOML or YAML).")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there instead of standard output.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="A readable account instead of NDJSON.")] = False,
) -> None:
    """Show what would have been written by an instant, had these records come in as they were stored. Sends nothing."""
    end = _instant(until)
    settings = read_settings(config)
    calendar = calendar_of(settings.zone, settings.holidays)
    read_with = Mapping.load(mapping, [folder("mappings")])
    by = DryRun(packs=(pack_of(pack, settings, calendar),), calendar=calendar, directory=directory_of(read_with))
    collected = collect(read(inputs), read_with, end)
    written = [write for patient in progress(collected.patients, "Patients") for write in play(patient, by, end)]
    _put(_account(written, calendar) if explain else _ndjson(written), out)
    say(_summary(collected, written))


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise SenderError(
        f"{text[:60]!r} is not an instant; write date, time and offset, e.g. 2026-03-02T17:00:00Z", place="--until"
    )


def _ndjson(written: list[Written]) -> bytes:
    return b"".join(orjson.dumps(resource, option=orjson.OPT_APPEND_NEWLINE) for resource in final(written))


def _account(written: list[Written], calendar: Calendar) -> bytes:
    return lines(account(written, calendar)) or b"Nothing would have been written.\n"


def _put(data: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        out.write_bytes(data)
    except OSError as error:
        raise SenderError(f"cannot be written: {error.strerror}", place=str(out)) from None


def _summary(collected: Collected, written: list[Written]) -> str:
    parts = [f"Read {collected.versions} versions about {len(collected.patients)} patients"]
    if collected.later:
        parts.append(f"{collected.later} became known later and were ignored")
    if collected.without_use:
        kinds = ", ".join(f"{kind} {count}" for kind, count in collected.without_use.items())
        parts.append(f"{sum(collected.without_use.values())} are of no use here ({kinds})")
    if collected.unmapped:
        first = collected.unmapped[0]
        parts.append(f"{len(collected.unmapped)} could not be mapped ({first.source.reference}: {first.reason})")
    resources = {(write.resource["resourceType"], write.resource["id"]) for write in written}
    return f"{'; '.join(parts)}. {len(written)} writes to {len(resources)} resources."
