"""`replay`: what EPRs refused, and trying it again once what it was refused for is mended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from fhirbridge.cli.log import configure_log
from fhirbridge.cli.options import SettingsFile
from fhirbridge.cli.output import FOUND, put_json, say
from fhirbridge.errors import SenderError
from fhirbridge.fhir.nearest import unknown
from fhirbridge.ports import DeadLetter
from fhirbridge.service.replaying import Replayed
from fhirbridge.service.replaying import dead_letters as found
from fhirbridge.service.replaying import replay as try_again
from fhirbridge.settings import Settings, read_settings
from fhirbridge.wiring.service import built


def replay(
    config: SettingsFile = None,
    epr: Annotated[list[str] | None, typer.Option(metavar="NAME", help="What this EPR refused; repeatable.")] = None,
    row: Annotated[list[int] | None, typer.Option(metavar="ROW", help="This row; repeatable.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Whatever any EPR refused.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="Only show what was refused, and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for machines: with resource and outcome.")] = False,
) -> None:
    """Try again what EPRs refused, or show it. What is created is rendered anew. Exit 1 when one fails again."""
    settings = read_settings(config)
    configure_log("error")
    if stray := next((name for name in epr or [] if name not in settings.eprs), None):
        raise SenderError(unknown(stray, settings.eprs, "EPR of the settings"), place="--epr")
    if not (epr or row or everything or listing):
        raise SenderError("say what to try again: --epr NAME, --row ROW or --all; --list shows it", place="replay")
    if listing:
        _show(asyncio.run(_listed(settings, epr or (), row or ())), as_json)
        return
    became = asyncio.run(_replayed(settings, epr or (), row or ()))
    _tell(became, as_json)
    if any(one.became != "delivered" for one in became):
        raise typer.Exit(FOUND)


async def _listed(settings: Settings, eprs: Sequence[str], rows: Sequence[int]) -> list[DeadLetter]:
    async with built(settings) as runtime:
        return await found(runtime.store, eprs=eprs, rows=rows)


async def _replayed(settings: Settings, eprs: Sequence[str], rows: Sequence[int]) -> list[Replayed]:
    async with built(settings) as runtime:
        letters = await found(runtime.store, eprs=eprs, rows=rows)
        return await try_again(runtime.store, runtime.service.sites, letters, runtime.clock)


def _show(letters: Sequence[DeadLetter], as_json: bool) -> None:
    if as_json:
        put_json([_described(letter) for letter in letters])
        return
    for letter in letters:
        outgoing = letter.outgoing
        print(
            f"{letter.row}\t{letter.subject.epr}\t{letter.subject.patient}\t{outgoing.verb} {outgoing.type}\t"
            f"{letter.refused_at:%Y-%m-%dT%H:%M:%SZ}\t{' '.join(letter.reason.split())}"
        )
    say(f"{len(letters)} refused." if letters else "Nothing was refused.")


def _described(letter: DeadLetter) -> dict[str, Any]:
    outgoing = letter.outgoing
    return {
        "row": letter.row,
        "epr": letter.subject.epr,
        "patient": letter.subject.patient,
        "type": outgoing.type,
        "verb": outgoing.verb,
        "identity": outgoing.identity,
        "decided": letter.decided_at,
        "refused": letter.refused_at,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "outcome": letter.outcome,
        "resource": outgoing.resource,
        "provenance": outgoing.provenance,
    }


def _tell(became: Sequence[Replayed], as_json: bool) -> None:
    if as_json:
        put_json(became)
    else:
        for one in became:
            print(f"{one.row}\t{one.epr}\t{one.type}\t{one.became}\t{' '.join(one.reason.split())}".rstrip())
    counted = {what: sum(one.became == what for one in became) for what in ("delivered", "refused", "waiting")}
    say(
        ", ".join(f"{number} {what}" for what, number in counted.items() if number) + "."
        if became
        else "Nothing to do."
    )
