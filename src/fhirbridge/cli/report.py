"""`report`: the quarterly compliance report, from the service's own store or from files of records."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fhirbridge.adapters.store.everyone import everyone
from fhirbridge.cli.output import progress, say
from fhirbridge.cli.simulate import instant
from fhirbridge.core.policy import Pack
from fhirbridge.errors import SenderError
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.reporting import FORMATS, Duty, Period, duties, quarter
from fhirbridge.reporting import report as reported
from fhirbridge.settings import read_settings
from fhirbridge.shipped import folder
from fhirbridge.simulation import DryRun, Line, Patient, Yield, played, spread
from fhirbridge.wiring.policies import calendar_of, directory_of, pack_of


class Format(StrEnum):
    """What can be written."""

    HTML = "html"
    CSV = "csv"
    JSON = "json"


def report(  # noqa: PLR0913, PLR0917  # each is an option of the command
    pack: Annotated[str, typer.Option(metavar="NAME", help="The policy to report on.")] = "rdash-disengagement",
    in_quarter: Annotated[
        str | None, typer.Option("--quarter", metavar="QUARTER", help="e.g. 2026-Q1, January to March.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="Or the first day.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="And the last day.")] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", metavar="INPUT", help="Records to simulate instead of the service's store; repeat."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="As known when; if not given now, or at the last version.")
    ] = None,
    mapping: Annotated[str, typer.Option(metavar="NAME", help="How to read the records of --input.")] = "uk-core",
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings of the service (TOML or YAML).")] = None,
    written_as: Annotated[Format, typer.Option("--format", help="A page with charts, a table, or data.")] = Format.HTML,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there instead of standard output.")] = None,
) -> None:
    """Report what was due in a period, and what of it was done in time."""
    period = _period(in_quarter, first, last)
    settings = read_settings(config)
    calendar = calendar_of(settings.zone, settings.holidays)
    applied = pack_of(pack, settings, calendar)
    end = instant(until) if until else None
    if inputs:
        read_with = Mapping.load(mapping, [folder("mappings")])
        by = DryRun(packs=(applied,), calendar=calendar, directory=directory_of(read_with))
        with spread(inputs, read_with, end, partial(_simulated, by), watch=progress) as (counts, lines):
            found = [msgspec.msgpack.decode(line, type=Duty) for line in lines]
        end = counts.until
    else:
        end = end or datetime.now(UTC)
        found = asyncio.run(_stored(settings.database_url, applied, end))
    made = reported(
        found,
        (step.row for pathway in applied.pathways for step in pathway.steps),
        period,
        calendar,
        pack=applied.name,
        version=applied.version,
        title=applied.title,
        until=end,
    )
    _put(FORMATS[written_as](made, calendar), out)
    if not made.teams:
        say(f"Nothing that {applied.name} asks for was due from {period.first} to {period.last}.")


def _period(in_quarter: str | None, first: str | None, last: str | None) -> Period:
    if in_quarter and not (first or last):
        return quarter(in_quarter)
    if in_quarter or not (first and last):
        raise SenderError("give either a quarter, or both --from and --to", place="--quarter")
    begins, ends = _day(first, "--from"), _day(last, "--to")
    if begins > ends:
        raise SenderError(f"{ends} lies before {begins}", place="--to")
    return Period(begins, ends)


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SenderError(f"{text[:20]!r} is not a date; write e.g. 2026-01-31", place=option) from None


def _simulated(by: DryRun, patient: Patient, until: datetime) -> Yield:
    known = played(patient, by, until)
    found = (duty for pack in by.packs for duty in duties(pack, known.facts, known.effects, until))
    return Yield(
        [Line(until, patient.reference, order, msgspec.msgpack.encode(duty)) for order, duty in enumerate(found)]
    )


async def _stored(url: str, pack: Pack, until: datetime) -> list[Duty]:
    found: list[Duty] = []
    async for _, known in everyone(url):
        facts = tuple(fact for fact in known.facts if fact.known <= until)
        effects = tuple(effect for effect in known.effects if effect.at <= until)
        found += duties(pack, facts, effects, until)
    return found


def _put(data: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        out.write_bytes(data)
    except OSError as error:
        raise SenderError(f"cannot be written: {error.strerror}", place=str(out)) from None
