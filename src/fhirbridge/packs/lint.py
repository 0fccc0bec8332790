"""`policy lint`: what is wrong with a pack, with file, line and remedy, before the first patient meets it.

Everything that compiling refuses, and what compiles but is surely not meant: codes that nobody knows, steps that can
never be asked for or never end, numbers and wording that a trust could not change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from fhirbridge.core.authoring import PackFile, Pathway, Setting, Step
from fhirbridge.core.calendar import Calendar, span
from fhirbridge.core.codes import ACTIONS, ROLES
from fhirbridge.core.compiling import compile_pack
from fhirbridge.core.vocabulary import OUTCOMES
from fhirbridge.errors import ConfigurationError
from fhirbridge.packs.leaves import Leaf, leaves_of
from fhirbridge.packs.loading import line_of, place_of_step, read_pack, tree_of
from fhirbridge.packs.reachability import Reachability


class Flaw(Struct, frozen=True):
    """One thing that is wrong: where (`file:line`), in which step or pathway, what, and what to do about it."""

    place: str
    step: str
    what: str
    remedy: str


class _Found(Struct, frozen=True):
    """A flaw before its line is known."""

    path: str
    what: str
    remedy: str
    step: str = ""


_PRIORITIES = frozenset({"routine", "urgent", "asap", "stat"})
_KNOWN: dict[str, tuple[Iterable[str], str]] = {
    **dict.fromkeys(
        ("task", "communication", "flag", "care_plan", "action", "done", "missed_after"), (ACTIONS, "action")
    ),
    **dict.fromkeys(("to", "out_of_hours"), (ROLES, "role")),
    **dict.fromkeys(("without", "after_outcome"), (OUTCOMES, "outcome")),
    "referral": (_PRIORITIES, "priority"),
}
"""Fields whose codes compiling takes as they are."""
_PROSE = frozenset({"id", "row", "title", "clause", "says", "group"})
_COUNTING = frozenset({"again", "first"})
"""Numbers that say which time something is, no quantity that a trust would change."""
_QUANTITY = re.compile(
    r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|twelve)\s+(?:working\s+|consecutive\s+)?"
    r"(?:minute|hour|day|week|month|year|appointment)s?\b",
    re.IGNORECASE,
)
_OWNER = re.compile(r"\.pathways\[(\d+)\](?:\.steps\[(\d+)\])?")
_PLACEHOLDER = re.compile(r"\{([\w-]+)\}")
_HOURS = frozenset({"opens", "closes"})
"""Settings that are used where a step has a role for out of hours."""
_AFTER_THE_END = frozenset({"discharge", "stay-end", "signal-end"})
_CALENDAR = Calendar()
_EPOCH = datetime(2024, 1, 1, 9, tzinfo=UTC)


def lint(path: Path) -> list[Flaw]:
    """Everything that is wrong with the pack in this file, by line."""
    try:
        written = read_pack(path)
    except ConfigurationError as error:
        return [
            Flaw(error.place or str(path), "", error.message, "Write it as the message says; see docs/policies.md.")
        ]
    tree = tree_of(path.read_text(encoding="utf-8"))
    flaws = [*_refused(path, written), *_written_twice(path, tree)]
    for found in _found(written):
        step = found.step or _owner(written, found.path)
        flaws.append(Flaw(f"{path}:{line_of(tree, found.path)}", step, found.what, found.remedy))
    return sorted(flaws, key=lambda flaw: int(flaw.place.rpartition(":")[2] or 0))


def _owner(pack: PackFile, path: str) -> str:
    """The step, else the pathway, that a path lies in."""
    match = _OWNER.match(path)
    if match is None:
        return ""
    pathway = pack.pathways[int(match[1])]
    return pathway.steps[int(match[2])].id if match[2] else pathway.id


def _refused(path: Path, written: PackFile) -> Iterator[Flaw]:
    try:
        compile_pack(written, calendar=_CALENDAR)
    except ConfigurationError as error:
        step = error.place.rpartition(" · ")[2] if " · " in error.place else ""
        place = place_of_step(path, str(error))
        yield Flaw(place if ":" in place else f"{path}:1", step, error.message, "The pack cannot be loaded until then.")


def _written_twice(path: Path, node: yaml.Node | None) -> Iterator[Flaw]:
    """Keys that stand twice in one place; YAML keeps the last and says nothing."""
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                place = f"{path}:{key.start_mark.line + 1}"
                yield Flaw(place, "", f"{key.value!r} stands here twice; only the last counts", "Take one away.")
            seen.add(key.value)
            children.append(value)
    for child in children:
        yield from _written_twice(path, child)


def _found(pack: PackFile) -> Iterator[_Found]:
    leaves = list(leaves_of(pack))
    for leaf in leaves:
        yield from _unknown_code(leaf)
        yield from _fixed_number(leaf)
        yield from _number_in_text(leaf)
    yield from _settings(pack, leaves)
    for number, pathway in enumerate(pack.pathways):
        for place, step in enumerate(pathway.steps):
            path = f".pathways[{number}].steps[{place}]"
            yield from _without_clause(path, pathway, step)
            yield from _endless(path, pathway, step)
    yield from _never(pack)


# --- single values -----------------------------------------------------------------------------------


def _unknown_code(leaf: Leaf) -> Iterator[_Found]:
    if leaf.field not in _KNOWN:
        return
    known, what = _KNOWN[leaf.field]
    if leaf.value not in known:
        near = _near(str(leaf.value), known)
        yield _Found(leaf.path, f"{leaf.value!r} is no {what} that anybody knows", f"Use a code of the contract{near}.")


def _near(code: str, known: Iterable[str]) -> str:
    words = set(code.split("-"))
    close = sorted((one for one in known if words & set(one.split("-"))), key=lambda one: (-_shared(one, words), one))
    return f", such as {', '.join(close[:3])}" if close else ""


def _shared(code: str, words: set[str]) -> int:
    return len(words & set(code.split("-")))


def _fixed_number(leaf: Leaf) -> Iterator[_Found]:
    if not leaf.path.startswith(".pathways") or leaf.field in _PROSE | _COUNTING:
        return
    if _is_quantity(leaf.value):
        what = f"{leaf.path.rpartition('.')[2]} is {leaf.value}, which no trust can change"
        yield _Found(leaf.path, what, "Give it a name and bounds under 'settings', and write $name here.")


def _is_quantity(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return False
    if isinstance(value, int):
        return value != 1  # "each", no quantity
    try:
        return value != "same day" and span(value) is not None
    except ConfigurationError:
        return False


def _number_in_text(leaf: Leaf) -> Iterator[_Found]:
    if leaf.field == "says" and (match := _QUANTITY.search(leaf.value)):
        what = f"the text says {' '.join(match[0].split())!r}, which would stay when a setting is changed"
        yield _Found(leaf.path, what, "Name the setting in the text: {name}.")


# --- settings ----------------------------------------------------------------------------------------


def _settings(pack: PackFile, leaves: list[Leaf]) -> Iterator[_Found]:
    used = _used(leaves)
    titles: dict[str, str] = {}
    for name, setting in pack.settings.items():
        path = f".settings.{name}"
        if name not in used:
            yield _Found(path, f"no condition, deadline or text uses the setting {name!r}", "Use it, or take it away.")
        if setting.title in titles:
            same = f"{name!r} and {titles[setting.title]!r} have the same title"
            yield _Found(path, same, "Make one of them of both, or say what differs.")
        titles.setdefault(setting.title, name)
        if wrong := _bounds(setting):
            yield _Found(path, f"{name}: {wrong}", "Write bounds with min ≤ default ≤ max, all of one kind.")
    for name in pack.texts.keys() - used:
        yield _Found(
            f".texts.{name}", f"no text uses the wording {name!r}", "Use it as {" + name + "}, or take it away."
        )


def _used(leaves: list[Leaf]) -> set[str]:
    used: set[str] = set()
    for leaf in leaves:
        if leaf.field == "out_of_hours":
            used |= _HOURS
        if isinstance(leaf.value, str):
            used |= {leaf.value[1:]} if leaf.value.startswith("$") else set(_PLACEHOLDER.findall(leaf.value))
    return used


def _bounds(setting: Setting) -> str:
    values = (setting.min, setting.default, setting.max)
    if len({isinstance(value, int) for value in values}) > 1:
        return "a number and a period are compared"
    try:
        low, default, high = map(_size, values)
    except ConfigurationError as error:
        return str(error)
    if low > high:
        return f"its lower bound {setting.min} lies above its upper bound {setting.max}"
    if not low <= default <= high:
        return f"its default {setting.default} lies outside {setting.min} to {setting.max}"
    return "its bounds leave nothing to change" if low == high else ""


def _size(value: str | int) -> float:
    return float(value) if isinstance(value, int) else (_CALENDAR.after(_EPOCH, span(value)) - _EPOCH).total_seconds()


# --- steps -------------------------------------------------------------------------------------------


def _without_clause(path: str, pathway: Pathway, step: Step) -> Iterator[_Found]:
    if not (step.clause or pathway.clause):
        remedy = "Say which clause of the policy it implements: 'clause' of the step or of its pathway."
        yield _Found(path, "the step cites no clause", remedy, step.id)


def _endless(path: str, pathway: Pathway, step: Step) -> Iterator[_Found]:
    if step.until is not None or pathway.ends is not None:
        return
    after_the_end = pathway.once_per in _AFTER_THE_END
    for number, act in enumerate(step.do):
        if act.care_plan and after_the_end and not step.stands:
            what = f"nothing ends the care plan {act.care_plan!r}: what its pathway is about is over already"
            yield _Found(
                f"{path}.do[{number}]", what, "Say with 'until' what ends it, or 'stands: true' if nothing.", step.id
            )
    if step.every is not None and step.every.last is None and (after_the_end or step.stands):
        what = "nothing ends the recurrence: it outlives what it is anchored on"
        yield _Found(f"{path}.every", what, "Say with 'last' or 'until' when it ends.", step.id)


def _never(pack: PackFile) -> Iterator[_Found]:
    for never in Reachability(pack).findings():
        pathway = pack.pathways[never.pathway]
        path = f".pathways[{never.pathway}]"
        if never.step is None:
            what = f"the pathway never starts: {never.why}"
            yield _Found(f"{path}.starts", what, "Change 'starts', or take the pathway away.", pathway.id)
            continue
        step = pathway.steps[never.step]
        told = "the step is never asked for" if never.part == "when" else "what ends the step never comes"
        remedy = f"Change '{never.part}', or take it away."
        yield _Found(f"{path}.steps[{never.step}].{never.part}", f"{told}: {never.why}", remedy, step.id)
