"""A pack's page on a terminal: the same words as in HTML, without the diagrams."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from fhirbridge.core.sentences import Phrase
from fhirbridge.packs.page import PackPage, PathwayPage, SettingPage, StepPage, Thing, capital

_KINDS = {"Task": "blue", "Communication": "green", "Flag": "yellow", "CarePlan": "magenta"}


def told(page: PackPage) -> Group:
    """The whole page."""
    return Group(*_page(page))


def _page(page: PackPage) -> Iterator[RenderableType]:
    yield Text(page.title, "bold")
    reviewed = f", reviewed {page.reviewed}" if page.reviewed else ""
    yield Text(f"Pack {page.name}, version {page.version}. Implements: {page.source}{reviewed}.", "dim")
    for pathway in page.pathways:
        yield from _pathway(pathway)
    if page.settings:
        yield Text()
        yield Rule(Text("What a trust may change", "bold"), align="left")
        yield _settings(page.settings)
    for name, text in page.texts:
        yield Text.assemble("\n", ("Wording ", "bold"), (name, "cyan"))
        yield Padding(Text(text), (0, 0, 0, 2))


def _pathway(pathway: PathwayPage) -> Iterator[RenderableType]:
    yield Text()
    yield Rule(Text(pathway.title, "bold"), align="left")
    if pathway.clause:
        yield Text(f"Clause {pathway.clause}", "dim")
    yield from _condition("Starts when", pathway.starts, 0)
    if pathway.ends:
        yield Text(f"Ends when {pathway.ends}.")
    for step in pathway.steps:
        yield from _step(step)


def _step(step: StepPage) -> Iterator[RenderableType]:
    yield Text.assemble("\n  ", (step.title, "bold"), (f"  clause {step.clause} · {step.row}", "dim"))
    if step.when is None:
        yield Text("  Asked for at once.")
    else:
        yield from _condition("Asked for when", step.when, 2)
    if step.recurrence:
        yield Padding(Text(f"{capital(step.recurrence)}."), (0, 0, 0, 2))
    if step.until:
        yield Padding(Text(f"It is over as well when {step.until}."), (0, 0, 0, 2))
    if step.stands:
        yield Text("  It stands even when the patient comes back.")
    for thing in step.things:
        yield Padding(_thing(thing), (0, 0, 0, 4))


def _condition(before: str, phrase: Phrase, indent: int) -> Iterator[RenderableType]:
    if isinstance(phrase, str):
        yield Padding(Text(f"{before} {phrase}."), (0, 0, 0, indent))
        return
    which = "all of these hold" if phrase.word == "and" else "one of these holds"
    yield Padding(Text(f"{before} {which}:".lstrip()), (0, 0, 0, indent))
    for part in phrase.parts:
        if isinstance(part, str):
            yield Padding(Text(f"• {part}"), (0, 0, 0, indent + 2))
        else:
            yield from _condition("•", part, indent + 2)


def _thing(thing: Thing) -> RenderableType:
    head = Text.assemble((thing.name, f"bold {_KINDS.get(thing.kind, '')}"), (f" ({thing.kind})", "dim"))
    head.append(f" → {thing.to}" if thing.to else "")
    head.append(f", {thing.by}" if thing.by else "")
    head.append(f" {thing.priority}" if thing.priority else "", "bold red")
    head.append(f"; {'; '.join(thing.notes)}" if thing.notes else "")
    return Group(head, Padding(Text(thing.text, "dim"), (0, 0, 0, 2))) if thing.text else head


def _settings(settings: tuple[SettingPage, ...]) -> Table:
    table = Table()
    for heading in ("Setting", "What it is", "Unless changed", "From", "To"):
        table.add_column(heading, overflow="fold")
    for each in settings:
        table.add_row(*map(Text, (each.name, each.title, each.default, each.low, each.high)))
    return table
