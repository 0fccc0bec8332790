"""`backfill`: the initial load of an EPR's record, by searching it or from files that it has exported."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import orjson
import typer

from fhirbridge.cli.log import configure_log
from fhirbridge.cli.options import SettingsFile
from fhirbridge.cli.output import progress, put_json, say
from fhirbridge.errors import SenderError
from fhirbridge.fhir.instants import to_instant
from fhirbridge.fhir.nearest import unknown
from fhirbridge.fhir.r4 import Resource
from fhirbridge.service.loading import Load
from fhirbridge.settings import Settings, read_settings
from fhirbridge.simulation.reading import Deleted, Piece, pieces, read_piece
from fhirbridge.wiring.loading import Backfill, Stretch
from fhirbridge.wiring.service import Runtime, built

_YEAR = timedelta(days=365)
_MOST_REASONS = 10
_DAY = ["%Y-%m-%d"]


def backfill(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="NDJSON, a Bundle, or a folder of them. None: search.")
    ] = None,
    epr: Annotated[
        str | None, typer.Option(metavar="NAME", help="The EPR, as the settings call it; needless for the only one.")
    ] = None,
    config: SettingsFile = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=_DAY, help="Search for patients from this day on; a year ago if not said."),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=_DAY, help="Up to and including this day; in a year if not said."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what is found as NDJSON, for `simulate`; load nothing.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What it came to as JSON, for machines.")] = False,
) -> None:
    """Load the record that was there before the service.

    From searches, or from files. Safe to stop, and to repeat: what is known already stays as it is.
    """
    settings = read_settings(config)
    name = _epr(settings, epr)
    if files and (first or last or out):
        raise typer.BadParameter("--from, --to and --out are for searching; leave them out, or FILE")
    if settings.follow_from is None and out is None:
        say(
            "follow_from is not set: all that is loaded counts, however long ago it was. Set it to when the service "
            "takes over, to leave alone what was over by then."
        )
    configure_log("error")
    asyncio.run(_backfill(settings, name, files or [], _stretch(settings, first, last), out, as_json))


def _epr(settings: Settings, named: str | None) -> str:
    if named is None and len(settings.eprs) == 1:
        return next(iter(settings.eprs))
    if named is None:
        known = ", ".join(sorted(settings.eprs)) or "none is configured"
        raise SenderError(f"is needed to say which EPR: {known}", place="--epr")
    if named not in settings.eprs:
        raise SenderError(unknown(named, settings.eprs, "EPR of the settings"), place="--epr")
    return named


def _stretch(settings: Settings, first: datetime | None, last: datetime | None) -> tuple[date, date]:
    today = datetime.now(ZoneInfo(settings.zone)).date()
    begin, end = first.date() if first else today - _YEAR, last.date() if last else today + _YEAR
    if begin > end:
        raise typer.BadParameter("--from is after --to; exchange them")
    return begin, end


async def _backfill(
    settings: Settings, epr: str, files: list[Path], stretch: tuple[date, date], out: Path | None, as_json: bool
) -> None:
    async with built(settings) as runtime:
        load = Load(runtime.store, runtime.service.sites[epr], runtime.clock)
        if files:
            await _from_files(load, files)
        else:
            at_once = settings.eprs[epr].polling.slice
            searched = _search(runtime, settings, epr, Stretch(stretch[0], stretch[1], at_once))
            await (_to_file(searched, out) if out else _from_search(searched, load))
            if out:
                return
    if as_json:
        put_json(_figures(load))
    _tell(load)


async def _from_files(load: Load, files: list[Path]) -> None:
    deletions: list[Deleted] = []
    found = pieces(files)
    for piece in progress(found, "Loading", len(found)):
        await load.take(_resources(piece, deletions))
    # Of what they delete, every version has to be there first.
    for deletion in deletions:
        await load.take_deletion(deletion.reference, to_instant(deletion.at, UTC))


def _resources(piece: Piece, deletions: list[Deleted]) -> Iterable[Resource]:
    for each in read_piece(piece):
        if isinstance(each, Deleted):
            deletions.append(each)
        else:
            yield each


def _search(runtime: Runtime, settings: Settings, epr: str, stretch: Stretch) -> Backfill:
    demands = settings.eprs[epr].polling.demands
    return Backfill(runtime.service.sites[epr], runtime.store, runtime.clock, demands, stretch)


async def _from_search(searched: Backfill, load: Load) -> None:
    spans = await searched.remaining()
    for span in progress(spans, "Loading", len(spans)):
        async for record in searched.records(span):
            await load.take_versions(record)
        await searched.mark(span)


async def _to_file(searched: Backfill, out: Path) -> None:
    spans = searched.spans()
    try:
        with os.fdopen(os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as lines:
            for span in progress(spans, "Reading", len(spans)):
                async for record in searched.records(span):
                    lines.writelines(orjson.dumps(version.resource) + b"\n" for version in record)
    except OSError as error:
        raise SenderError(f"cannot be written: {error.strerror}; name another file", place=str(out)) from None
    say(f"Wrote {out}. It holds patients' data: delete it when you have looked at what would follow.")


def _figures(load: Load) -> dict[str, object]:
    unmapped = [{"type": kind, "reason": why, "count": n} for (kind, why), n in load.unmapped.most_common()]
    return {
        "read": load.read,
        "new": load.new,
        "known": load.known,
        "patients": len(load.patients),
        "without_use": dict(sorted(load.without_use.items())),
        "unmapped": unmapped,
    }


def _tell(load: Load) -> None:
    say(
        f"Read {load.read} versions: {load.new} new, {load.known} known, "
        f"{sum(load.unmapped.values())} could not be mapped, {sum(load.without_use.values())} without use."
    )
    for (kind, why), count in load.unmapped.most_common(_MOST_REASONS):
        say(f"  not mapped, {count} of {kind}: {why}")
    if load.patients:
        say(f"There is news of {len(load.patients)} patients; the service decides on them when it runs.")
