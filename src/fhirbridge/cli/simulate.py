"""`simulate`: what would have been written by an instant, from files of records; nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from fhirbridge.cli.options import Out, SettingsFile, instant, of_settings
from fhirbridge.cli.output import lines, progress, put, say
from fhirbridge.core.accounts import CaseAccount
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.explain import explain as explained
from fhirbridge.core.merging import doubts
from fhirbridge.core.own import Own, fold
from fhirbridge.core.timeline import Record
from fhirbridge.fhir.directory import Directory
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.service.assigning import Part, parts, uncovered
from fhirbridge.settings import Settings, read_settings
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
    played,
    spread,
    standing,
)
from fhirbridge.wiring.policies import assignments_of, calendar_of, directory_of, pack_of


def simulate(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="NDJSON, Bundles, or folders of them.")],
    pack: Annotated[str, typer.Option(metavar="NAME", help="The policy to apply; see `policy list`.")],
    until: Annotated[str, typer.Option(metavar="INSTANT", help="Up to when, e.g. 2026-03-02T17:00:00Z.")],
    mapping: Annotated[str, typer.Option(metavar="NAME", help="How to read the records.")] = "uk-core",
    config: SettingsFile = None,
    out: Out = None,
    explain: Annotated[bool, typer.Option("--explain", help="A readable account instead of NDJSON.")] = False,
) -> None:
    """Show what would have been written by an instant, had these records come in as they were stored. Sends nothing."""
    end = instant(until)
    settings = read_settings(config)
    calendar = calendar_of(settings.zone, settings.holidays)
    read_with = Mapping.load(mapping, [folder("mappings")])
    with of_settings(config):
        by = _dry_run(pack, settings, calendar, directory_of(read_with))
    work = partial(_accounted if explain else _written, by)
    with spread(inputs, read_with, end, work, watch=progress) as (counts, found):
        first = next(found, b"Nothing would have been written.\n" if explain else b"")
        put(chain((first,), found), out)
    say(_summary(counts))


def _dry_run(pack: str, settings: Settings, calendar: Calendar, directory: Directory) -> DryRun:
    """The pack for the cases that it is assigned to; for every case where the settings assign it to no service."""
    assignments = assignments_of(settings, calendar, only=pack)
    if any(assignment.packs for assignment in assignments):
        return DryRun(packs=(), calendar=calendar, directory=directory, assignments=assignments)
    if assignments:
        say(f"{pack} is assigned to no service; it is applied to every case.")
    return DryRun(packs=(pack_of(pack, settings, calendar),), calendar=calendar, directory=directory)


def _written(by: DryRun, patient: Patient, until: datetime) -> Yield:
    """Every resource as it was written last, one line of NDJSON each."""
    known = played(patient, by, until)
    left = uncovered(by, Record.of(known.facts)) if by.assignments else ()
    return Yield(final_lines(known.written), _counts(known.written) | {"uncovered": len(left)})


def _accounted(by: DryRun, patient: Patient, until: datetime) -> Yield:
    """One paragraph: what was written and why, and how it stands in the end; one for each record of several."""
    known = played(patient, by, until)
    uncovered_cases = 0
    ends: dict[str, Iterable[str]] = {}
    for one in (known, *known.apart):
        record, own = Record.of(one.facts), fold(one.effects)
        left = uncovered(by, record)
        uncovered_cases += len(left)
        accounts = [each for part in parts(by, record, own) for each in _of(part, record, own, until)]
        stands = [] if left and not accounts else list(standing(accounts, until, by.calendar, doubts(record)))
        ends[one.patient] = [*stands, *(f"No pack is for {case}." for case in left)]
    text = lines(account(known.written, by.calendar, ends))
    return Yield([Line(until, patient.reference, 0, text)], _counts(known.written) | {"uncovered": uncovered_cases})


def _of(part: Part, record: Record, own: Own, until: datetime) -> Iterable[CaseAccount]:
    """Why and why not, in the cases that the pack is for."""
    told = explained(part.pack, record, part.under(own, record), until)
    return (each for each in told if part.cases is None or each.case in part.cases)


def _counts(written: list[Written]) -> dict[str, int]:
    resources = {(write.resource["resourceType"], write.resource["id"]) for write in written}
    return {"writes": len(written), "resources": len(resources)}


def _summary(counts: Counts) -> str:
    said = [f"Read {counts.versions} versions about {counts.patients} patients"]
    if counts.later:
        said.append(f"{counts.later} became known later and were ignored")
    if counts.without_use:
        kinds = ", ".join(f"{kind} {count}" for kind, count in counts.without_use.items())
        said.append(f"{sum(counts.without_use.values())} are of no use here ({kinds})")
    if first := counts.first_unmapped:
        said.append(f"{counts.unmapped} could not be mapped ({first.source.reference}: {first.reason})")
    writes, resources = (counts.of_work.get(name, 0) for name in ("writes", "resources"))
    left = counts.of_work.get("uncovered", 0)
    nobody = f" No pack is for {left} cases; --explain names them." if left else ""
    return f"{'; '.join(said)}. {writes} writes to {resources} resources.{nobody}"
