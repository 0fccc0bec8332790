"""`simulate`: what would have been written by an instant, from files of records; nothing is sent."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from fhirbridge.cli.output import lines, progress, say
from fhirbridge.core.effects import fold
from fhirbridge.core.explain import explain as explained
from fhirbridge.core.timeline import Record
from fhirbridge.errors import SenderError
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.settings import read_settings
from fhirbridge.shipped import folder
from fhirbridge.simulation import (
    Counts,
    DryRun,
    Line,
    Patient,
    Written,
    Yield,
    account,
    final_lines,
    play,
    played,
    spread,
    standing,
)
from fhirbridge.wiring.policies import calendar_of, directory_of, pack_of


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
    end = instant(until)
    settings = read_settings(config)
    calendar = calendar_of(settings.zone, settings.holidays)
    read_with = Mapping.load(mapping, [folder("mappings")])
    by = DryRun(packs=(pack_of(pack, settings, calendar),), calendar=calendar, directory=directory_of(read_with))
    work = partial(_accounted if explain else _written, by)
    with spread(inputs, read_with, end, work, watch=progress) as (counts, found):
        first = next(found, b"Nothing would have been written.\n" if explain else b"")
        _put(chain((first,), found), out)
    say(_summary(counts))


def _written(by: DryRun, patient: Patient, until: datetime) -> Yield:
    """Every resource as it was written last, one line of NDJSON each."""
    written = play(patient, by, until)
    return Yield(final_lines(written), _counts(written))


def _accounted(by: DryRun, patient: Patient, until: datetime) -> Yield:
    """One paragraph: what was written and why, and how it stands in the end."""
    known = played(patient, by, until)
    record, own = Record.of(known.facts), fold(known.effects)
    ends = (line for pack in by.packs for line in standing(explained(pack, record, own, until), until, by.calendar))
    text = lines(account(known.written, by.calendar, {patient.reference: ends}))
    return Yield([Line(until, patient.reference, 0, text)], _counts(known.written))


def _counts(written: list[Written]) -> dict[str, int]:
    resources = {(write.resource["resourceType"], write.resource["id"]) for write in written}
    return {"writes": len(written), "resources": len(resources)}


def instant(text: str) -> datetime:
    """The instant that was given as `--until`."""
    try:
        given = datetime.fromisoformat(text)
        if given.tzinfo is not None:
            return given.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise SenderError(
        f"{text[:60]!r} is not an instant; write date, time and offset, e.g. 2026-03-02T17:00:00Z", place="--until"
    )


def _put(data: Iterable[bytes], out: Path | None) -> None:
    if out is None:
        sys.stdout.buffer.writelines(data)
        sys.stdout.buffer.flush()
        return
    try:
        with out.open("wb") as file:
            file.writelines(data)
    except OSError as error:
        raise SenderError(f"cannot be written: {error.strerror}", place=str(out)) from None


def _summary(counts: Counts) -> str:
    parts = [f"Read {counts.versions} versions about {counts.patients} patients"]
    if counts.later:
        parts.append(f"{counts.later} became known later and were ignored")
    if counts.without_use:
        kinds = ", ".join(f"{kind} {count}" for kind, count in counts.without_use.items())
        parts.append(f"{sum(counts.without_use.values())} are of no use here ({kinds})")
    if first := counts.first_unmapped:
        parts.append(f"{counts.unmapped} could not be mapped ({first.source.reference}: {first.reason})")
    writes, resources = (counts.of_work.get(name, 0) for name in ("writes", "resources"))
    return f"{'; '.join(parts)}. {writes} writes to {resources} resources."
