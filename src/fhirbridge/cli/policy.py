"""`policy`: the policies that ship, or files of one's own, as machines and people read them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fhirbridge.cli.deferred import PolicyCommands
from fhirbridge.cli.options import AsJson
from fhirbridge.cli.output import put, put_json, say
from fhirbridge.cli.policy_page import told
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.policy import Pack, Step
from fhirbridge.errors import SenderError
from fhirbridge.generate import as_bytes, place, resources
from fhirbridge.packs.loading import load_pack, pack_path, read_pack, shipped_packs
from fhirbridge.packs.page import describe, html

policy = typer.Typer(
    name="policy", cls=PolicyCommands, no_args_is_help=True, add_completion=False, help="The policy packs."
)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Packs or files; all that ship if none.")]


@policy.callback()
def _group() -> None:
    """The policy packs."""


@policy.command("list")
def list_packs(as_json: AsJson = False) -> None:
    """List the packs that ship, with their pathways and steps."""
    packs = [load_pack(name, calendar=Calendar()) for name in shipped_packs()]
    if as_json:
        put_json([_described(pack) for pack in packs])
        return
    console = Console()
    for pack in packs:
        console.print(_table(pack))


@policy.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A pack, or the path of a file.")],
    as_html: Annotated[bool, typer.Option("--html/--text", help="As one HTML page with diagrams.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there; implies --html.")] = None,
) -> None:
    """Show a pack as a page to read aloud: who has to do what by when, and what has to hold for it."""
    page = describe(read_pack(pack_path(name)))
    if out is not None:
        _put(out, html(page).encode())
    elif as_html:
        put((html(page).encode(),))
    else:
        Console().print(told(page))


@policy.command("export")
def export(
    names: Names = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write them into.")] = Path("profiles"),
) -> None:
    """Write packs as FHIR R4: PlanDefinition, ActivityDefinitions, and the code systems and value sets they use."""
    made = list(resources(read_pack(pack_path(name)) for name in names or shipped_packs()))
    for resource in made:
        _put(out / place(resource), as_bytes(resource))
    say(f"Wrote {len(made)} resources into {out}.")


def _put(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as error:
        raise SenderError(f"cannot be written: {error.strerror}", place=str(file)) from None


def _described(pack: Pack) -> dict[str, Any]:
    return {
        "pack": pack.name,
        "version": pack.version,
        "title": pack.title,
        "source": {name: value for name, value in _fields(pack.source).items() if value},
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


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


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
