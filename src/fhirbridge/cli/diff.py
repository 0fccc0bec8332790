"""`policy diff`: who would get what instead under another pack, over real records; nothing is written anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fhirbridge.cli.options import AsJson, SettingsFile, instant, of_settings
from fhirbridge.cli.output import lines, progress, put, put_json, say
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.policy import Pack
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.wording import display
from fhirbridge.settings import read_settings
from fhirbridge.shipped import folder
from fhirbridge.simulation import DryRun, Line, Patient, Yield, spread
from fhirbridge.simulation.differing import Asked, Changed, Difference, difference
from fhirbridge.wiring.policies import calendar_of, directory_of, pack_of

_ONLY_OLD, _ONLY_NEW, _CHANGED = "only_old", "only_new", "changed"


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The pack that is in force, by name or path.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The pack that would take its place.")],
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="NDJSON, Bundles, or folders of them.")],
    until: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Up to when; if not given, up to the last version.")
    ] = None,
    mapping: Annotated[str, typer.Option(metavar="NAME", help="How to read the records.")] = "uk-core",
    config: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Show who would get what instead under another pack. Writes nothing."""
    settings = read_settings(config)
    calendar = calendar_of(settings.zone, settings.holidays)
    read_with = Mapping.load(mapping, [folder("mappings")])
    directory = directory_of(read_with)
    with of_settings(config):
        packs = [pack_of(name, settings, calendar) for name in (old, new)]
    before, after = (DryRun(packs=(pack,), calendar=calendar, directory=directory) for pack in packs)
    end = instant(until) if until else None
    with spread(inputs, read_with, end, partial(_compared, before, after), watch=progress) as (counts, found):
        differences = map(msgspec.msgpack.Decoder(Difference).decode, found)
        if as_json:
            put_json(_data(packs, counts.until, counts.of_work, differences))
        else:
            put((lines(_account(packs, counts.of_work, differences, calendar)),))
    differ = counts.of_work.get("differ", 0)
    say(f"Read {counts.versions} versions about {counts.patients} patients; for {differ} of them something changes.")


def _compared(old: DryRun, new: DryRun, patient: Patient, until: datetime) -> Yield:
    found = difference(patient, old, new, until)
    if not found:
        return Yield([])
    counts = Counter({"differ": 1})
    for name, asked in ((_ONLY_OLD, found.only_old), (_ONLY_NEW, found.only_new)):
        counts.update(f"{name} {step}" for one in asked for step in one.steps)
    counts.update(f"{_CHANGED} {step}" for one in found.changed for step in one.new.steps)
    return Yield([Line(until, patient.reference, 0, msgspec.msgpack.encode(found))], counts)


def _by_step(packs: Iterable[Pack], of_work: dict[str, int]) -> dict[str, dict[str, int]]:
    """How often each step that differs does so, in the order of the packs."""
    steps = dict.fromkeys(step.id for pack in packs for pathway in pack.pathways for step in pathway.steps)
    rows = {
        step: {name: of_work.get(f"{name} {step}", 0) for name in (_ONLY_OLD, _ONLY_NEW, _CHANGED)} for step in steps
    }
    return {step: row for step, row in rows.items() if any(row.values())}


# --- for machines --------------------------------------------------------------------------------


def _data(
    packs: list[Pack], until: datetime, of_work: dict[str, int], differences: Iterable[Difference]
) -> dict[str, object]:
    old, new = ({"pack": pack.name, "version": pack.version} for pack in packs)
    return {
        "old": old,
        "new": new,
        "until": until,
        "patients": list(differences),
        "steps": _by_step(packs, of_work),
    }


# --- for people ----------------------------------------------------------------------------------


def _account(
    packs: list[Pack], of_work: dict[str, int], differences: Iterable[Difference], calendar: Calendar
) -> Iterator[str]:
    old, new = (f"{pack.name} {pack.version}" for pack in packs)
    if old == new:
        old, new = f"{old} (OLD)", f"{new} (NEW)"
    for each in differences:
        yield each.patient
        for heading, several in ((f"Only under {old}", each.only_old), (f"Only under {new}", each.only_new)):
            if several:
                yield f"  {heading}"
                yield from (f"    {_said(one, calendar)}" for one in several)
        if each.changed:
            yield "  Changed"
            for changed in each.changed:
                yield f"    {_said(changed.old, calendar)}"
                yield from (f"      {line}" for line in _fields(changed, calendar))
        yield ""
    rows = _by_step(packs, of_work)
    if not rows:
        yield "Nothing changes for anybody in these records."
        return
    width = max(len(step) for step in rows)
    yield f"{'Step':{width}}  {'only old':>8}  {'only new':>8}  {'changed':>8}"
    for step, row in rows.items():
        yield f"{step:{width}}  " + "  ".join(f"{count:8}" for count in row.values())


def _said(one: Asked, calendar: Calendar) -> str:
    whom = f"{display(one.role)}: " if one.role else ""
    due = f", due {calendar.at_time(one.due)}" if one.due else ""
    return (
        f"{whom}{one.type} {display(one.action).lower()}, {calendar.at_time(one.since)}{due} ({', '.join(one.steps)})"
    )


def _fields(changed: Changed, calendar: Calendar) -> Iterator[str]:
    for field in changed.fields:
        if field == "text":
            yield f"text: {changed.new.text}"
            continue
        old, new = (_value(getattr(one, field), calendar) for one in (changed.old, changed.new))
        yield f"{field}: {old} → {new}"


def _value(value: object, calendar: Calendar) -> str:
    if isinstance(value, datetime):
        return calendar.at_time(value)
    return str(value) if value else "none"
