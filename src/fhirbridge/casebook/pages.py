"""Packs and cases → the pages of docs/pathways: one a pack, each step with its condition, writes and cases.

A condition is a sentence made from the pack, a case is shown as its file writes it. Nothing here is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from fhirbridge.casebook.case import Case, Entry, Wanted
from fhirbridge.casebook.times import shown
from fhirbridge.core.authoring import Act, PackFile, Pathway, Setting, Step
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.codes import in_words
from fhirbridge.core.sentences import Sentences, said
from fhirbridge.packs.loading import pack_path, read_pack, shipped_packs

_LINES = ("missed", "attended", "arrived", "booked", "cancelled")


def made(cases: Iterable[Case], calendar: Calendar) -> dict[str, str]:
    """The pages by file name: one for each pack that ships, and an index."""
    by_pack: dict[str, list[Case]] = {name: [] for name in shipped_packs()}
    for case in cases:
        by_pack.setdefault(case.pack, []).append(case)
    pages = {
        f"{name}.md": "\n".join(_page(read_pack(pack_path(name)), mine, calendar)).rstrip() + "\n"
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
    yield "| pack | version | title | rows | shown | cases |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, cases in by_pack.items():
        pack = read_pack(pack_path(name))
        rows = _rows(pack)
        shown_rows = sum(1 for row in rows if any(row in case.rows for case in cases))
        yield f"| [{name}]({name}.md) | {pack.version} | {pack.title} | {len(rows)} | {shown_rows} | {len(cases)} |"


def _page(pack: PackFile, cases: list[Case], calendar: Calendar) -> Iterator[str]:
    yield f"# {pack.title}"
    yield ""
    yield f"Pack `{pack.pack}` {pack.version}. Source: {pack.source.title}."
    yield ""
    if pack.settings:
        yield from _settings(pack.settings)
    voice = Sentences(pack)
    for pathway in pack.pathways:
        yield from _pathway(pathway, voice, cases)
    yield "## Cases"
    yield ""
    yield "Times are local. What a case does not list is not written."
    if unshown := [f"`{row}`" for row in _rows(pack) if not any(row in case.rows for case in cases)]:
        yield ""
        yield f"No case shows yet: {', '.join(unshown)}."
    yield ""
    for case in cases:
        yield from _case(case, calendar)


def _rows(pack: PackFile) -> list[str]:
    return list(dict.fromkeys(step.row or step.id for pathway in pack.pathways for step in pathway.steps))


def _settings(settings: dict[str, Setting]) -> Iterator[str]:
    yield "| setting | what it is | unless changed | from | to |"
    yield "| --- | --- | --- | --- | --- |"
    for name, setting in settings.items():
        yield f"| `{name}` | {setting.title} | {setting.default} | {setting.min} | {setting.max} |"
    yield ""


def _pathway(pathway: Pathway, voice: Sentences, cases: list[Case]) -> Iterator[str]:
    clause = f" ({pathway.clause})" if pathway.clause else ""
    yield f"## {pathway.title}{clause}"
    yield ""
    yield f"Starts when {said(voice.start(pathway))}."
    yield ""
    yield "| row | step | when | what is written |"
    yield "| --- | --- | --- | --- |"
    for step in pathway.steps:
        cells = (f"`{step.row or step.id}`", step.title, _when(step, voice), "; ".join(_act(a, voice) for a in step.do))
        yield f"| {' | '.join(cells)} |"
    yield ""
    rows = {step.row or step.id for step in pathway.steps}
    shows = [case for case in cases if rows & set(case.rows)]
    yield from (f"- [{case.title}](#{_anchor(case)})" for case in shows)
    if shows:
        yield ""


def _when(step: Step, voice: Sentences) -> str:
    words = "at once" if isinstance(step.when, str) else said(voice.condition(step.when))
    until = f"until {said(voice.condition(step.until))}" if step.until else ""
    waits = "not while events of the EPR may be missing" if step.towards else ""
    return "; ".join(part for part in (words, voice.recurrence(step), until, waits) if part)


def _act(act: Act, voice: Sentences) -> str:
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
    to = ", ".join(in_words(role) for role in ([act.to] if isinstance(act.to, str) else act.to))
    words = [f"{kind} `{action}`", f"to {to}" if to else "", voice.deadline(act)]
    words.append(act.priority if act.priority != "routine" else "")
    return ", ".join(word for word in words if word)


def _heading(case: Case) -> str:
    return f"{case.file.stem}: {case.title}"


def _anchor(case: Case) -> str:
    kept = "".join(letter for letter in _heading(case).lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _case(case: Case, calendar: Calendar) -> Iterator[str]:
    yield f"### {_heading(case)}"
    yield ""
    yield case.why
    yield ""
    only = f" Only what cites {', '.join(sorted(case.only))} is compared." if case.only else ""
    yield f"Shows {', '.join(f'`{row}`' for row in case.rows)}. Played until {shown(case.until, calendar)}.{only}"
    yield ""
    yield "| when | what is recorded |"
    yield "| --- | --- |"
    for _, line in sorted(_lines(case, calendar), key=lambda one: one[0]):
        yield line
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


def _lines(case: Case, calendar: Calendar) -> Iterator[tuple[datetime, str]]:
    """The lines of the record, as they became known, and between them the gaps."""
    for gap in case.outages:
        types = ", ".join(gap.types)
        until = shown(gap.until, calendar)
        told = f"**gap**: what is recorded of {types} before {until} becomes known then"
        yield gap.since, f"| {shown(gap.since, calendar)} | {told} |"
    for entry in case.record:
        yield entry.known, f"| {shown(entry.on, calendar)} | {_entry(entry, calendar)} |"


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
