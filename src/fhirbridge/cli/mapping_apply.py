"""`mapping apply`: read again what is kept, after the mapping of an EPR has changed. The EPR is not asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer

from fhirbridge.cli.options import SettingsFile
from fhirbridge.cli.output import say
from fhirbridge.core.facts import AnyFact
from fhirbridge.errors import SenderError
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.mapping_tally import Tally
from fhirbridge.fhir.nearest import unknown
from fhirbridge.fhir.r4 import Resource
from fhirbridge.ports import Remapped
from fhirbridge.settings import Settings, read_settings
from fhirbridge.wiring.service import built


def apply(
    epr: Annotated[str, typer.Option(metavar="NAME", help="The EPR, as the settings call it.")],
    config: SettingsFile = None,
) -> None:
    """Read again what is kept, with a changed mapping. The EPR is not asked; who reads differently is decided anew."""
    settings = read_settings(config)
    if epr not in settings.eprs:
        raise SenderError(unknown(epr, settings.eprs, "EPR of the settings"), place="--epr")
    tally = Tally()
    done = asyncio.run(_read_again(settings, epr, tally))
    for line in tally.lines():
        print(line)
    say(f"Read {done.versions} versions again: {done.changed} say something else, about {done.subjects} patients.")


async def _read_again(settings: Settings, epr: str, tally: Tally) -> Remapped:
    async with built(settings) as runtime:
        reading = _counting(runtime.service.sites[epr].mapping, tally)
        return await runtime.store.remap(epr, reading, runtime.clock.now())


def _counting(mapping: Mapping, tally: Tally) -> Callable[[Resource], AnyFact | None]:
    def reading(resource: Resource) -> AnyFact | None:
        trace = mapping.trace(resource)
        tally.add(resource["resourceType"], trace)
        return trace.fact

    return reading
