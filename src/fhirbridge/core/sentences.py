"""Conditions, deadlines and texts of a pack in English, made from the pack as it is written.

A condition becomes a `Phrase`: words, or several phrases joined by "and" or "or", which a page can set out as a list
and `said` turns into one sentence. Each kind of condition has its saying and the contrary of it (see `sayings`), so no
sentence begins with "it is not the case that".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from fhirbridge.core.authored_conditions import When
from fhirbridge.core.authoring import Act, PackFile, Pathway, Step
from fhirbridge.core.calendar import spoken
from fhirbridge.core.codes import in_words
from fhirbridge.core.sayings import saying
from fhirbridge.core.wording import listed, signals
from fhirbridge.errors import ConfigurationError

_LOGIC = frozenset({"all", "any", "not_"})
_LIST = re.compile(r", | or | and ")
_NUMBERS = {str(number): spoken(f"P{number}D").split()[0] for number in range(1, 11)}
_ANCHORS = {
    "discharge": "the episode is ended",
    "task": "a task of this policy is open",
    "stay": "the patient is in hospital",
    "stay-end": "a stay in hospital has ended",
}
_ABOUT_ANCHOR = frozenset({"disengaged", "discharged", "overdue"})
"""Conditions that tell themselves what the pathway is anchored on."""
_DUE_BY = {"first-appointment": "by the first appointment", "discharge-date": "before the discharge date"}
_PLACEHOLDERS = {
    "missed": "[day of the missed appointment]",
    "due": "[due date]",
    "since": "[day on which this came due]",
}


class Joined(Struct, frozen=True):
    """Several phrases, of which all hold ("and") or one does ("or")."""

    word: str
    parts: tuple[Phrase, ...]


Phrase = str | Joined


def said(phrase: Phrase) -> str:
    """The phrase as part of one sentence."""
    if isinstance(phrase, str):
        return phrase
    nested = any(isinstance(part, Joined) or _LIST.search(part) for part in phrase.parts)
    return listed(map(_inner, phrase.parts), phrase.word, "; " if nested else ", ")


def _inner(phrase: Phrase) -> str:
    return said(phrase) if isinstance(phrase, str) or phrase.word == "and" else f"either {said(phrase)}"


def atoms(when: When) -> Iterable[tuple[str, Any]]:
    """The conditions of an entry that are set, by field; without `all`, `any` and `not`."""
    for name in When.__struct_fields__:
        value = getattr(when, name)
        if name not in _LOGIC and value not in (None, ()):
            yield name, value


def children(when: When) -> tuple[When, ...]:
    """The conditions inside `all`, `any` and `not`."""
    return (*when.all, *when.any, *((when.not_,) if when.not_ is not None else ()))


class Sentences:
    """Says what the conditions, deadlines and texts of one pack mean, with its settings as they ship.

    `brief` leaves out the names of steps, for labels on lines that lead from them.
    """

    def __init__(self, pack: PackFile, *, brief: bool = False) -> None:
        self._settings = {name: setting.default for name, setting in pack.settings.items()}
        self._texts = pack.texts
        self._pathways = {pathway.id: pathway.title for pathway in pack.pathways}
        self._steps = {step.id: step.title for pathway in pack.pathways for step in pathway.steps}
        self.brief = brief

    def condition(self, when: When, *, holds: bool = True) -> Phrase:
        """The condition, or its contrary."""
        parts: list[Phrase] = []
        for name, value in atoms(when):
            positive, negative = saying(self, name, value)
            parts.append(positive if holds else negative)
        parts += [self.condition(part, holds=holds) for part in when.all]
        if when.any:
            parts.append(_joined("or" if holds else "and", [self.condition(part, holds=holds) for part in when.any]))
        if when.not_ is not None:
            parts.append(self.condition(when.not_, holds=not holds))
        return _joined("and" if holds else "or", parts)

    def start(self, pathway: Pathway) -> Phrase:
        """When the pathway starts, with what it is anchored on where that is no missed appointment."""
        starts = None if isinstance(pathway.starts, str) else pathway.starts
        told = starts is not None and any(name in _ABOUT_ANCHOR for name, _ in atoms(starts))
        anchor = "" if told else _ANCHORS.get(pathway.once_per, "")
        if pathway.signals:
            has_ended = pathway.once_per == "signal-end"
            named = signals(pathway.signals)
            anchor = f"{named} has ended" if has_ended else f"the record carries {named}"
        if pathway.outcomes:
            outcomes = listed((f"“{in_words(code)}”" for code in pathway.outcomes), "or")
            anchor = f"a task is answered with {outcomes}"
        parts = [*([anchor] if anchor else []), *([self.condition(starts)] if starts is not None else [])]
        return _joined("and", parts or ["an episode is open"])

    def period(self, written: str) -> str:
        """A period or `$setting` in words: "three weeks"."""
        value = str(self._value(written))
        try:
            return spoken(value)
        except ConfigurationError:
            return value

    def number(self, written: int | str) -> str:
        """A number or `$setting` in words."""
        value = str(self._value(written))
        return _NUMBERS.get(value, value)

    def deadline(self, act: Act) -> str:
        """By when: "within two working days"; "" for what has no deadline."""
        if act.due is None:
            return ""
        period = self.period(act.due)
        words = f"by {period}" if period.startswith("the ") else f"within {period}"
        if act.due_from == "start":
            words += " of the start of the pathway"
        return f"{_DUE_BY.get(act.due_by, in_words(act.due_by))}, else {words}" if act.due_by else words

    def recurrence(self, step: Step) -> str:
        """How often the step is asked for; "" where it is once."""
        words = []
        if step.every is not None:
            words.append(f"again every {self.period(step.every.period).removeprefix('one ')}")
            if step.every.first > 1:
                words.append(f"from time {step.every.first} on")
            if step.every.last is not None:
                words.append(f"up to {self.number(step.every.last)} times")
        if step.repeat is not None:
            words.append(f"up to {self.number(step.repeat.times)} times")
            if step.repeat.after != "PT0H":
                words.append(f"{self.period(step.repeat.after)} after the answer before")
            if step.repeat.after_outcome:
                words.append(
                    f"when the answer was {listed((f'“{in_words(code)}”' for code in step.repeat.after_outcome), 'or')}"
                )
        return ", ".join(words)

    def text(self, says: str) -> str:
        """A text with its placeholders filled: settings with their values, others with what will stand there."""
        settings = {name: self.period(str(value)) for name, value in self._settings.items()}
        filled = _PLACEHOLDERS | self._texts | settings
        return re.sub(r"\{([\w-]+)\}", lambda match: filled.get(match[1], f"[{in_words(match[1])}]"), says)

    def step(self, step: str) -> str:
        """The step by its title."""
        return f"“{self._steps.get(step, step)}”"

    def pathway(self, pathway: str) -> str:
        """The pathway by its title."""
        return f"“{self._pathways.get(pathway, pathway)}”"

    def _value(self, written: int | str) -> int | str:
        return self._settings.get(written[1:], written) if isinstance(written, str) and written[:1] == "$" else written


def _joined(word: str, parts: list[Phrase]) -> Phrase:
    flat: list[Phrase] = []
    for part in parts:
        flat += part.parts if isinstance(part, Joined) and part.word == word else (part,)
    return flat[0] if len(flat) == 1 else Joined(word, tuple(flat))
