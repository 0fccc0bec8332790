"""`doctor`: what the service finds at its EPRs, and what it will do there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fhirbridge.cli.options import AsJson, SettingsFile
from fhirbridge.cli.output import FOUND, put_json, say
from fhirbridge.doctor import Examination, Finding, Level, examine
from fhirbridge.errors import ConfigurationError
from fhirbridge.settings import Settings, read_settings

_MARKS = {Level.FINE: ("ok", "green"), Level.ATTENTION: ("note", "yellow"), Level.LACKING: ("LACKING", "bold red")}


def doctor(
    config: SettingsFile = None,
    epr: Annotated[str | None, typer.Option(metavar="NAME", help="This EPR alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check each EPR: how feeds and writes are done there, and its open gaps. Writes nothing, reads no patient."""
    settings = read_settings(config)
    if not settings.eprs:
        raise ConfigurationError("no EPR is configured; write eprs: {NAME: {base_url: …}}", place="eprs")
    found = asyncio.run(_examined([epr] if epr is not None else sorted(settings.eprs), settings))
    if as_json:
        put_json([_described(one) for one in found])
    else:
        console = Console()
        for one in found:
            console.print(_table(one))
    for one in found:
        for line in _verdict(one):
            say(line)
    if not all(one.supported for one in found):
        raise typer.Exit(FOUND)


async def _examined(names: Sequence[str], settings: Settings) -> list[Examination]:
    return [await examine(name, settings) for name in names]


def _described(one: Examination) -> dict[str, object]:
    described: dict[str, object] = msgspec.to_builtins(one)
    return {**described, "supported": one.supported}


def _table(one: Examination) -> Table:
    software = f", {one.software}" if one.software else ""
    table = Table(title=Text(f"{one.epr}: {one.base_url}{software}"), title_justify="left")
    for heading in ("", "Checked", "Found", "Used"):
        table.add_column(heading, overflow="fold")
    area = ""
    for finding in one.findings:
        if finding.area != area:
            area = finding.area
            table.add_section()
            table.add_row("", Text(area, "bold"), "", "")
        mark, style = _MARKS[finding.level]
        table.add_row(Text(mark, style), Text(finding.checked), Text(finding.found), Text(_used(finding)))
    return table


def _used(finding: Finding) -> str:
    return "\n".join(filter(None, (finding.used, f"→ {finding.remedy}" if finding.remedy else "")))


def _verdict(one: Examination) -> list[str]:
    lacking = [finding for finding in one.findings if finding.level is Level.LACKING]
    notes = sum(finding.level is Level.ATTENTION for finding in one.findings)
    if not lacking:
        return [f"{one.epr}: the service can work there" + (f"; {notes} notes." if notes else ".")]
    told = [f"{one.epr}: {finding.checked}: {finding.found}; {finding.remedy}." for finding in lacking]
    return [f"{one.epr}: the service cannot work there: {len(lacking)} lacking.", *told]
