"""Packs and cases → the pages of docs/pathways: one a pack, each step with its condition, writes and cases.

A condition is shown as the pack writes it; a case is shown as its file writes it. Nothing on a page is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from fhirbridge.casebook.case import Case, Entry, Wanted
from fhirbridge.casebook.times import shown
from fhirbridge.core.authoring import Act, PackFile, Pathway, Setting, Step, When
from fhirbridge.core.calendar import Calendar
from fhirbridge.packs.loading import pack_path, read_pack, shipped_packs

_LINES = ("missed", "attended", "arrived", "booked", "cancelled")


def made(cases: Iterable[Case], calendar: Calendar) -> dict[str, str]:
    """The pages by file name: one for each pack that ships, and an index."""
    by_pack: dict[str, list[Case]] = {name: [] for name in shipped_packs()}
    for case in cases:
        by_pack.setdefault(case.pack, []).append(case)
    pages = {
        f"{name}.md": "\n".join(_page(read_pack(pack_path(name)), mine, calendar)) + "\n"
        for name, mine in by_pack.items()
    }
    return {"README.md": "\n".join(_index(by_pack)) + "\n"} | pages


def write(pages: dict[str, str], folder: Path) -> None:
    """Write the pages, and take away those that nothing makes any more."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.md")) - {folder / name for name in pages}:
        stale.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def drifted(pages: dict[str, str], folder: Path) -> list[str]:
    """Pages that differ from what packs and cases make of them, with the first line that does."""
    found = []
    there = {file.name for file in folder.glob("*.md")}
    for name in sorted(pages.keys() | there):
        file = folder / name
        if name not in pages:
            found.append(f"{file}: nothing makes this page any more; run python -m fhirbridge.casebook --write")
            continue
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        wanted = pages[name].splitlines()
        if lines != wanted:
            pairs = enumerate(zip([*lines, ""], [*wanted, ""], strict=False), start=1)
            line = next((number for number, (is_, should) in pairs if is_ != should), 1)
            found.append(f"{file}:{line}: has drifted; run python -m fhirbridge.casebook --write")
    return found


def _index(by_pack: dict[str, list[Case]]) -> Iterator[str]:
    yield "# Pathways"
    yield ""
    yield "What each policy pack asks for, step by step, with the cases that show it happening. These pages are made"
    yield "from the packs and from `fixtures/cases` by `python -m fhirbridge.casebook --write`."
    yield ""
    yield "| pack | version | title | cases |"
    yield "| --- | --- | --- | --- |"
    for name, cases in by_pack.items():
        pack = read_pack(pack_path(name))
        yield f"| [{name}]({name}.md) | {pack.version} | {pack.title} | {len(cases)} |"


def _page(pack: PackFile, cases: list[Case], calendar: Calendar) -> Iterator[str]:
    yield f"# {pack.title}"
    yield ""
    yield f"Pack `{pack.pack}` {pack.version}. Source: {pack.source.title}."
    yield ""
    if pack.settings:
        yield from _settings(pack.settings)
    for pathway in pack.pathways:
        yield from _pathway(pathway, cases)
    yield "## Cases"
    yield ""
    for case in cases:
        yield from _case(case, calendar)
    yield "Times are local. What a case does not list is not written."


def _settings(settings: dict[str, Setting]) -> Iterator[str]:
    yield "| setting | what it is | unless changed | from | to |"
    yield "| --- | --- | --- | --- | --- |"
    for name, setting in settings.items():
        yield f"| `{name}` | {setting.title} | {setting.default} | {setting.min} | {setting.max} |"
    yield ""


def _pathway(pathway: Pathway, cases: list[Case]) -> Iterator[str]:
    clause = f" ({pathway.clause})" if pathway.clause else ""
    yield f"## {pathway.title}{clause}"
    yield ""
    yield f"Starts when {condition(pathway.starts)}."
    yield ""
    yield "| row | step | when | what is written |"
    yield "| --- | --- | --- | --- |"
    for step in pathway.steps:
        yield f"| `{step.row or step.id}` | {step.title} | {_when(step)} | {'; '.join(_act(act) for act in step.do)} |"
    yield ""
    rows = {step.row or step.id for step in pathway.steps}
    for case in cases:
        if rows & set(case.rows):
            yield f"- [{case.title}](#{_anchor(case)})"
    yield ""


def _when(step: Step) -> str:
    when = "at once" if isinstance(step.when, str) else condition(step.when)
    until = f"; until {condition(step.until)}" if step.until else ""
    return when + until


def condition(when: When) -> str:
    """A condition as one phrase, in the words of the pack."""
    return _phrase(msgspec.to_builtins(when)).replace("|", "\\|")


def _phrase(value: object) -> str:
    if isinstance(value, dict):
        parts = [_part(str(name).replace("-", " "), inner) for name, inner in value.items()]
        return " and ".join(parts)
    if isinstance(value, list | tuple):
        return ", ".join(_phrase(one) for one in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else f"`{value}`"


def _part(name: str, inner: object) -> str:
    if name in {"all", "any"} and isinstance(inner, list | tuple):
        joined = (" and " if name == "all" else " or ").join(_phrase(one) for one in inner)
        return f"({joined})"
    if name == "not":
        return f"not ({_phrase(inner)})"
    if isinstance(inner, dict):
        return f"{name} ({_phrase(inner)})" if inner else name
    return f"{name} {_phrase(inner)}"


def _act(act: Act) -> str:
    kind, action = next(
        (kind, code)
        for kind, code in (
            ("Task", act.task),
            ("Communication", act.communication),
            ("Flag", act.flag),
            ("CarePlan", act.care_plan),
        )
        if code
    )
    to = ", ".join([act.to] if isinstance(act.to, str) else act.to)
    words = [f"{kind} `{action}`", f"to {to}" if to else "", f"due `{act.due}`" if act.due else ""]
    words.append(act.priority if act.priority != "routine" else "")
    return ", ".join(word for word in words if word)


def _anchor(case: Case) -> str:
    kept = "".join(letter for letter in case.title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _case(case: Case, calendar: Calendar) -> Iterator[str]:
    yield f"### {case.title}"
    yield ""
    yield case.why
    yield ""
    yield f"Shows {', '.join(f'`{row}`' for row in case.rows)}. Played until {shown(case.until, calendar)}."
    yield ""
    yield "| when | what is recorded |"
    yield "| --- | --- |"
    for entry in case.record:
        yield f"| {shown(entry.on, calendar)} | {_entry(entry, calendar)} |"
    yield ""
    if not case.writes:
        yield "Nothing is written."
        yield ""
        return
    yield "| when | what is written | due | row | what became of it |"
    yield "| --- | --- | --- | --- | --- |"
    for wanted in case.writes:
        due = shown(wanted.due, calendar) if wanted.due else ""
        cells = (shown(wanted.on, calendar), _wanted(wanted), due, ", ".join(sorted(wanted.clauses)))
        yield f"| {' | '.join(cells)} | {_then(wanted, calendar)} |"
    yield ""


def _entry(entry: Entry, calendar: Calendar) -> str:
    name = entry.name.text() if entry.name.is_text() else _resource(entry)
    details = [f"{key} {', '.join(spot.texts())}" for key, spot in entry.details.items()]
    if entry.known != entry.on:
        details.append(f"known {shown(entry.known, calendar)}")
    words = f"appointment {name} {entry.verb}" if entry.verb in _LINES else f"{entry.verb} {name}"
    return f"{words} ({'; '.join(details)})" if details else words


def _resource(entry: Entry) -> str:
    resource = entry.name.items()
    return f"{resource['resourceType'].text()}/{resource['id'].text()}"


def _wanted(wanted: Wanted) -> str:
    to = f" to {wanted.role}" if wanted.role else ""
    priority = f", {wanted.priority}" if wanted.priority != "routine" else ""
    return f"{wanted.kind} `{wanted.action}`{to}{priority}"


def _then(wanted: Wanted, calendar: Calendar) -> str:
    return f"{wanted.then} on {shown(wanted.then_on, calendar)}" if wanted.then else ""
