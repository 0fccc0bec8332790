"""A pack as a page that a clinician can read aloud: what starts each pathway, what each step asks of whom and by when.

`describe` puts everything into words once; a terminal and the HTML page show the same words. The page is one file: its
style and its diagrams are inside, and nothing is fetched.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct

from fhirbridge.core.authoring import Act, PackFile, Pathway, Setting, Step
from fhirbridge.core.codes import display, in_words
from fhirbridge.core.sentences import Joined, Phrase, Sentences, said
from fhirbridge.core.wording import listed, several
from fhirbridge.packs.diagram import draw

_ENDS = {
    "spell": "the patient is back in contact or attends, or the episode ends",
    "signal-in-spell": "the patient is back in contact or attends, or the episode ends",
    "signal": "what is recorded no longer stands, or the episode ends",
    "episode": "the episode ends",
    "stay": "the stay in hospital ends",
    "task": "the task is done",
}


class Thing(Struct, frozen=True):
    """One thing that a step writes, in words."""

    kind: str
    code: str
    name: str
    to: str
    by: str
    priority: str
    text: str
    notes: tuple[str, ...]


class StepPage(Struct, frozen=True):
    """One step in words; `when` is None where it is asked for as soon as the pathway starts."""

    id: str
    row: str
    clause: str
    title: str
    when: Phrase | None
    until: str
    recurrence: str
    stands: bool
    waits: bool
    """It leads towards a discharge, and waits while events of the EPR may be missing."""
    things: tuple[Thing, ...]


class PathwayPage(Struct, frozen=True):
    """One pathway in words, with its diagram (SVG)."""

    id: str
    title: str
    clause: str
    starts: Phrase
    ends: str
    steps: tuple[StepPage, ...]
    diagram: str


class SettingPage(Struct, frozen=True):
    """One number that a trust may change, in words."""

    name: str
    title: str
    default: str
    low: str
    high: str


class PackPage(Struct, frozen=True):
    """A whole pack in words."""

    name: str
    version: str
    title: str
    source: str
    reviewed: str
    pathways: tuple[PathwayPage, ...]
    settings: tuple[SettingPage, ...]
    texts: tuple[tuple[str, str], ...]


def describe(pack: PackFile) -> PackPage:
    """The pack in words, with its settings as they ship."""
    voice = Sentences(pack)
    source = pack.source
    return PackPage(
        name=pack.pack,
        version=pack.version,
        title=pack.title,
        source=f"{source.title} ({source.reference})" if source.reference else source.title,
        reviewed=source.reviewed.isoformat() if source.reviewed else "",
        pathways=tuple(_pathway(pathway, pack, voice) for pathway in pack.pathways),
        settings=tuple(_setting(name, setting, voice) for name, setting in pack.settings.items()),
        texts=tuple(pack.texts.items()),
    )


def html(page: PackPage, *, back: str = "") -> str:
    """The page as one self-contained HTML file; `back`, if given, is where it leads back to."""
    return _environment().get_template("page.html.jinja").render(page=page, back=back)


@cache
def _environment() -> Environment:
    here = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=here, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["capital"] = capital
    environment.tests["joined"] = _is_joined
    environment.globals["drawing"] = _drawing
    return environment


def capital(text: str) -> str:
    """The text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def _is_joined(phrase: Any) -> bool:
    return isinstance(phrase, Joined)


def _drawing(pathway: PathwayPage) -> Markup:
    return Markup(pathway.diagram)  # noqa: S704  # made by `draw`, which escapes every text


def _pathway(pathway: Pathway, pack: PackFile, voice: Sentences) -> PathwayPage:
    ends = _ENDS.get(pathway.once_per, "")
    if pathway.ends is not None:
        own = said(voice.condition(pathway.ends))
        ends = f"{own}; or {ends}" if ends else own
    return PathwayPage(
        id=pathway.id,
        title=pathway.title,
        clause=pathway.clause or "",
        starts=voice.start(pathway),
        ends=ends,
        steps=tuple(_step(step, pathway, voice) for step in pathway.steps),
        diagram=draw(pathway, pack, ends),
    )


def _step(step: Step, pathway: Pathway, voice: Sentences) -> StepPage:
    return StepPage(
        id=step.id,
        row=step.row or step.id,
        clause=step.clause or pathway.clause or "",
        title=step.title,
        when=None if isinstance(step.when, str) else voice.condition(step.when),
        until=said(voice.condition(step.until)) if step.until else "",
        recurrence=voice.recurrence(step),
        stands=bool(step.stands),
        waits=step.towards is not None,
        things=tuple(_thing(act, voice) for act in step.do),
    )


def _thing(act: Act, voice: Sentences) -> Thing:
    kind, code = written_by(act)
    notes = []
    if act.out_of_hours:
        notes.append(f"out of hours to the {in_words(act.out_of_hours)}")
    if act.medium:
        notes.append(f"by {act.medium}")
    if act.reply_within:
        notes.append(f"asks for an answer within {voice.period(act.reply_within)}")
    if act.answered_by:
        notes.append(f"a {act.answered_by} to the patient answers it as well")
    if act.points:
        notes.append(f"its points: {', '.join(act.points.values())}")
    if act.ends:
        notes.append("ends here")
    return Thing(
        kind=kind,
        code=code,
        name=display(code),
        to=listed(map(in_words, several(act.to)), "and") if act.to else "",
        by=voice.deadline(act),
        priority="" if act.priority == "routine" else act.priority,
        text=voice.text(act.says),
        notes=tuple(notes),
    )


def written_by(act: Act) -> tuple[str, str]:
    """The resource type that an act writes, and its action code."""
    named = (
        ("Task", act.task),
        ("Communication", act.communication),
        ("Flag", act.flag),
        ("CarePlan", act.care_plan),
    )
    return next(((kind, code) for kind, code in named if code), ("", ""))


def _setting(name: str, setting: Setting, voice: Sentences) -> SettingPage:
    default, low, high = (voice.period(str(value)) for value in (setting.default, setting.min, setting.max))
    return SettingPage(name=name, title=setting.title, default=default, low=low, high=high)
