"""`loops`: where another system seems to answer each write of the service, and letting it go on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from fhirbridge.cli.options import AsJson, SettingsFile
from fhirbridge.cli.output import put_json, say
from fhirbridge.service.releasing import Holding, holdings
from fhirbridge.service.releasing import release as let_go
from fhirbridge.settings import Settings, read_settings
from fhirbridge.wiring.service import built


def loops(
    config: SettingsFile = None,
    release: Annotated[
        list[str] | None, typer.Option(metavar="OBLIGATION", help="Write again about this one; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is held back because another system answers each write, or let it go on."""
    settings = read_settings(config)
    if release:
        for one in asyncio.run(_released(settings, release)):
            say(f"{one.type} {one.action} of {one.subject.patient} at {one.subject.epr} goes on.")
        return
    found = asyncio.run(_held(settings))
    if as_json:
        put_json(found)
        return
    for one in found:
        print(
            f"{one.identity}\t{one.subject.epr}\t{one.subject.patient}\t{one.type} {one.action}\t"
            f"until {one.until:%Y-%m-%dT%H:%M:%SZ}\t{one.why}"
        )
    say(f"{len(found)} held back." if found else "Nothing is held back.")


async def _held(settings: Settings) -> list[Holding]:
    async with built(settings) as runtime:
        return await holdings(runtime.store, runtime.clock.now())


async def _released(settings: Settings, identities: Sequence[str]) -> list[Holding]:
    async with built(settings) as runtime:
        return [await let_go(runtime.store, identity, runtime.clock) for identity in identities]
