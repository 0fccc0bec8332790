"""`policy migrate`: running pathways to the edition of their pack now in force; shown first, done only with --yes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated

import typer

from fhirbridge.adapters.store.everyone import everyone
from fhirbridge.cli.options import SettingsFile
from fhirbridge.cli.output import FOUND, say
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.own import Thing
from fhirbridge.errors import ConfigurationError, Overtaken, SenderError
from fhirbridge.fhir.nearest import unknown
from fhirbridge.fhir.wording import display
from fhirbridge.ports import Subject
from fhirbridge.service.merging import as_one
from fhirbridge.service.migrating import Migration, Which, migration
from fhirbridge.service.migrating import migrate as moved
from fhirbridge.settings import Settings, read_settings
from fhirbridge.wiring.service import Runtime, built


def migrate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The pack whose running pathways are to move.")],
    config: SettingsFile = None,
    version: Annotated[
        str | None, typer.Option("--from", metavar="VERSION", help="Only those that run on this version.")
    ] = None,
    epr: Annotated[str | None, typer.Option(metavar="NAME", help="Only patients of this EPR.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this, it is only shown.")] = False,
) -> None:
    """Move running pathways to the edition of their pack now in force. Without --yes, shows what that would change."""
    settings = read_settings(config)
    if epr is not None and epr not in settings.eprs:
        raise SenderError(unknown(epr, settings.eprs, "EPR of the settings"), place="--epr")
    if left := asyncio.run(_migrate(settings, Which(name, version), epr, yes)):
        say(f"{left} patients were left as they are; see above.")
        raise typer.Exit(FOUND)


async def _migrate(settings: Settings, which: Which, epr: str | None, yes: bool) -> int:
    """How many patients could not be moved."""
    patients = runs = left = 0
    async with built(settings) as runtime:
        _check(runtime, which)
        chosen = [subject async for subject, _ in everyone(settings.database_url)]
        for subject in chosen:
            if subject.epr not in runtime.service.sites or epr not in (None, subject.epr):
                continue
            try:
                found = await _one(runtime, subject, which, yes)
            except (ConfigurationError, Overtaken) as error:
                print(f"{subject.epr} {subject.patient}\n  left as it is: {error}")
                left += 1
                continue
            if found is not None:
                patients, runs = patients + 1, runs + len(found.moved)
                for line in _account(subject, found, runtime.service.sites[subject.epr].calendar):
                    print(line)
    done = "were moved" if yes else "would be moved; --yes does it"
    say(f"{runs} running pathways of {patients} patients {done}.")
    return left


async def _one(runtime: Runtime, subject: Subject, which: Which, yes: bool) -> Migration | None:
    site = runtime.service.sites[subject.epr]
    if yes:
        return await moved(runtime.store, site, subject, which, runtime.clock)
    now = runtime.clock.now()
    known = await as_one(runtime.store, subject, await runtime.store.load(subject), now)
    return migration(site, known, which, now)


def _check(runtime: Runtime, which: Which) -> None:
    sites = runtime.service.sites.values()
    packs = [*(p for site in sites for p in site.packs), *(p for s in sites for a in s.assignments for p in a.packs)]
    names = {pack.name for pack in packs}
    if which.pack not in names:
        raise SenderError(unknown(which.pack, names, "pack of the settings"), place="NAME")


def _account(subject: Subject, found: Migration, calendar: Calendar) -> Iterator[str]:
    yield f"{subject.epr} {subject.patient}: {len(found.moved)} running pathways"
    for heading, things in (("created", found.created), ("changed", found.changed)):
        yield from (f"  {heading}: {_said(thing, calendar)}" for thing in things)
    yield from (f"  withdrawn as {thing.reason}: {_said(thing, calendar)}" for thing in found.withdrawn)
    if not found.after.outgoing:
        yield "  nothing is written"


def _said(thing: Thing, calendar: Calendar) -> str:
    whom = f" for {display(thing.key.role).lower()}" if thing.key.role else ""
    due = f", due {calendar.at_time(thing.due)}" if thing.due else ""
    return f"{thing.key.kind} {display(thing.key.action).lower()}{whom}{due} ({', '.join(thing.steps)})"
