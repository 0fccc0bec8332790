"""`policy`: the policies that ship, as machines and people read them."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fhirbridge.core.policy import Pack, Step
from fhirbridge.packs.loading import shipped_packs
from fhirbridge.settings import read_settings
from fhirbridge.wiring import calendar_of, pack_of

policy = typer.Typer(name="policy", no_args_is_help=True, help="The policy packs.")


@policy.callback()
def _group() -> None:
    """The policy packs."""


@policy.command("list")
def list_packs(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for machines.")] = False,
) -> None:
    """List the packs that ship, with their pathways and steps."""
    settings = read_settings()
    calendar = calendar_of(settings.zone, settings.holidays)
    packs = [pack_of(name, settings, calendar) for name in shipped_packs()]
    if as_json:
        data = [_described(pack) for pack in packs]
        sys.stdout.buffer.write(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        return
    console = Console()
    for pack in packs:
        console.print(_table(pack))


def _described(pack: Pack) -> dict[str, Any]:
    return {
        "pack": pack.name,
        "version": pack.version,
        "title": pack.title,
        "source": {name: value for name, value in _fields(pack).items() if value},
        "pathways": [
            {
                "id": pathway.id,
                "title": pathway.title,
                "steps": [
                    {"id": step.id, "clause": step.clause, "title": step.title, "actions": _actions(step)}
                    for step in pathway.steps
                ],
            }
            for pathway in pack.pathways
        ],
    }


def _fields(pack: Pack) -> dict[str, Any]:
    return {name: getattr(pack.source, name) for name in pack.source.__struct_fields__}


def _actions(step: Step) -> list[dict[str, str]]:
    acts = dict.fromkeys((act.kind.value, act.action, act.role) for act in step.acts)
    return [{"type": kind, "code": code, "to": to} for kind, code, to in acts]


def _table(pack: Pack) -> Table:
    table = Table(title=f"{pack.name} {pack.version}: {pack.title}", title_justify="left")
    for heading in ("Clause", "Step", "What is asked for, and of whom"):
        table.add_column(heading, overflow="fold")
    for pathway in pack.pathways:
        table.add_section()
        table.add_row("", Text(pathway.id, "bold"), Text(pathway.title, "bold"))
        for step in pathway.steps:
            table.add_row(Text(step.clause), Text(step.id), Text("\n".join((step.title, *_asked(step)))))
    return table


def _asked(step: Step) -> list[str]:
    roles: dict[tuple[str, str], list[str]] = {}
    for one in _actions(step):
        roles.setdefault((one["type"], one["code"]), []).append(one["to"])
    return [
        f"  {kind} {code}" + (f" → {', '.join(filter(None, to))}" if any(to) else "")
        for (kind, code), to in roles.items()
    ]
