"""Conditions of a pack in English, made from the conditions as they are written.

Each kind of condition knows how it is said, and how its contrary is said, so that no sentence begins with "it is not
the case that". A condition becomes a `Phrase`: words, or several phrases joined by "and" or "or", which a page can set
out as a list and `said` turns into one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from fhirbridge.core import authoring
from fhirbridge.core.authoring import Act, PackFile, When
from fhirbridge.core.calendar import spoken
from fhirbridge.core.codes import in_words
from fhirbridge.errors import ConfigurationError

_LOGIC = frozenset({"all", "any", "not_"})
_PLACEHOLDERS = {
    "missed": "the day of the missed appointment",
    "due": "the due date",
    "since": "the day on which this came due",
}


class Joined(Struct, frozen=True):
    """Several phrases, of which all hold ("and") or one does ("or")."""

    word: str
    parts: tuple[Phrase, ...]


Phrase = str | Joined
Both = tuple[str, str]
"""How a condition is said, and how its contrary is."""


def said(phrase: Phrase) -> str:
    """The phrase as part of one sentence."""
    if isinstance(phrase, str):
        return phrase
    nested = any(isinstance(part, Joined) for part in phrase.parts)
    return _listed(map(_inner, phrase.parts), phrase.word, "; " if nested else ", ")


def _inner(phrase: Phrase) -> str:
    return said(phrase) if isinstance(phrase, str) or phrase.word == "and" else f"either {said(phrase)}"


def _listed(parts: Iterable[str], word: str, comma: str = ", ") -> str:
    *most, last = parts
    before_last = f"{comma}{word} " if comma == "; " else f" {word} "
    return f"{comma.join(most)}{before_last}{last}" if most else last


def atoms(when: When) -> Iterable[tuple[str, Any]]:
    """The conditions of an entry that are set, by field; without `all`, `any` and `not`."""
    for each in fields(When):
        value = getattr(when, each.name)
        if each.name not in _LOGIC and value not in (None, ()):
            yield each.name, value


def children(when: When) -> tuple[When, ...]:
    """The conditions inside `all`, `any` and `not`."""
    return (*when.all, *when.any, *((when.not_,) if when.not_ is not None else ()))


class Sentences:
    """Says what the conditions, deadlines and texts of one pack mean, with its settings as they ship.

    `brief` leaves out the names of steps, for labels on lines that lead from them.
    """

    def __init__(self, pack: PackFile, *, brief: bool = False) -> None:
        self._settings = {name: setting.default for name, setting in pack.settings.items()}
        self._pathways = {pathway.id: pathway.title for pathway in pack.pathways}
        self._steps = {step.id: step.title for pathway in pack.pathways for step in pathway.steps}
        self._brief = brief

    def condition(self, when: When, *, holds: bool = True) -> Phrase:
        """The condition, or its contrary."""
        parts: list[Phrase] = []
        for name, value in atoms(when):
            positive, negative = self._atom(name, value)
            parts.append(positive if holds else negative)
        parts += [self.condition(part, holds=holds) for part in when.all]
        if when.any:
            parts.append(_joined("or" if holds else "and", [self.condition(part, holds=holds) for part in when.any]))
        if when.not_ is not None:
            parts.append(self.condition(when.not_, holds=not holds))
        return _joined("and" if holds else "or", parts)

    def start(self, pathway: authoring.Pathway) -> Phrase:
        """When the pathway starts; what it is anchored on, where that is no missed appointment."""
        condition = self.condition(pathway.starts)
        anchor = _ANCHORS.get(pathway.once_per, "")
        if pathway.signals:
            anchor = f"the record carries {_signals(pathway.signals)}"
        return _joined("and", [anchor, condition]) if anchor else condition

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
        spoken_due = self.period(act.due)
        words = f"by {spoken_due}" if spoken_due.startswith("the ") else f"within {spoken_due}"
        if act.due_from == "start":
            words += " of the missed appointment"
        return f"by the first appointment, else {words}" if act.by_first_appointment else words

    def text(self, says: str) -> str:
        """A text with its placeholders filled: settings with their values, dates with what they will be."""
        filled = {name: self.period(str(value)) for name, value in self._settings.items()} | _PLACEHOLDERS
        return re.sub(r"\{([\w-]+)\}", lambda match: filled.get(match[1], match[0]), says)

    def step(self, step: str) -> str:
        """The step by its title."""
        return f"“{self._steps.get(step, step)}”"

    def pathway(self, pathway: str) -> str:
        """The pathway by its title."""
        return f"“{self._pathways.get(pathway, pathway)}”"

    def _value(self, written: int | str) -> int | str:
        return self._settings.get(written[1:], written) if isinstance(written, str) and written[:1] == "$" else written

    def _atom(self, name: str, value: Any) -> Both:
        both = SAYINGS[name](self, value) if name in SAYINGS else _unnamed(name, value)
        return both if value is not False else (both[1], both[0])

    # --- conditions that name steps ------------------------------------------------------------------

    def outcome(self, value: authoring.OutcomeOf) -> Both:
        """What came of a step's tasks."""
        positive = _listed([_ENDS.get(word, f"came to “{in_words(word)}”") for word in several(value.is_)], "or")
        if self._brief:
            return positive, f"not: {positive}"
        of = self._steps_named(several(value.of))
        task = f"the task “{in_words(value.action)}” of {of}" if value.action else of
        return f"{task} {positive}", f"nothing on record says that {task} {positive}"

    def reached(self, value: tuple[str, ...] | str) -> Both:
        """A step came due."""
        of = "" if self._brief else f"{self._steps_named(several(value))} "
        return f"{of}came due", f"{of}has not come due"

    def sent(self, value: authoring.SentFor) -> Both:
        """A letter was sent."""
        of = "" if self._brief else f"{self.step(value.of)} "
        ago = "" if value.ago == "PT0H" else f" {self.period(value.ago)} ago, without contact since"
        return f"{of}was sent{ago}", f"{of}was not sent{ago}"

    def passed(self, value: authoring.Passed) -> Both:
        """Time has passed."""
        since = self.step(value.of) + " came due" if value.of else "the missed appointment"
        of = "" if self._brief else f" since {since}"
        time = self.period(value.time)
        return f"{time} have passed{of} without contact", f"less than {time} have passed{of}"

    def running(self, value: tuple[str, ...] | str) -> Both:
        """A pathway runs beside."""
        named = _listed(map(self.pathway, several(value)), "or")
        return f"the pathway {named} is running", f"the pathway {named} is not running"

    def disengaged(self, value: tuple[str, ...] | str) -> Both:
        """The case ended while a pathway ran."""
        named = _listed(map(self.pathway, several(value)), "or")
        ran = f"the patient had not come back from the pathway {named}"
        return f"the episode was ended while {ran}", f"the episode was not ended while {ran}"

    def missed(self, value: authoring.Missed) -> Both:
        """Appointments were missed."""
        number = self.number(value.consecutive)
        if number == "one":
            return "an appointment is missed", "no appointment is missed"
        row = f"{number} appointments in a row are missed"
        return row, f"fewer than {row}"

    def contact(self, value: authoring.Contact) -> Both:
        """The patient came back."""
        words = "the patient is back in contact" + (" or attends" if value.or_attended else "")
        if value.outcome:
            words += f" with the outcome “{in_words(value.outcome)}”"
        if value.without:
            words += f" other than with {_listed([f'“{in_words(w)}”' for w in value.without], 'or')}"
        return words, words.replace("is back in contact", "is not back in contact").replace(
            " or attends", " nor attends"
        )

    def _steps_named(self, steps: tuple[str, ...]) -> str:
        return _listed(map(self.step, steps), "or")


def several(given: tuple[str, ...] | str) -> tuple[str, ...]:
    """One or several codes as a tuple."""
    return ((given,) if given else ()) if isinstance(given, str) else given


def _joined(word: str, parts: list[Phrase]) -> Phrase:
    flat: list[Phrase] = []
    for part in parts:
        flat += part.parts if isinstance(part, Joined) and part.word == word else (part,)
    return flat[0] if len(flat) == 1 else Joined(word, tuple(flat))


def _unnamed(name: str, value: Any) -> Both:
    """A condition that has no saying of its own: its name, with what it is set to."""
    words = name.strip("_").replace("_", " ")
    if isinstance(value, bool):
        return words, f"not {words}"
    if isinstance(value, Struct):
        set_ = ((f.name, getattr(value, f.name)) for f in fields(value))
        told = ", ".join(
            f"{part.strip('_').replace('_', ' ')} {_shown(one)}" for part, one in set_ if one not in (None, ())
        )
    else:
        told = _shown(value)
    return f"{words}: {told}", f"not {words}: {told}"


def _shown(value: Any) -> str:
    return _listed(map(str, value), "or") if isinstance(value, tuple) else str(value)


def _signals(codes: tuple[str, ...] | str) -> str:
    return "the signal " + _listed([f"“{in_words(code)}”" for code in several(codes)], "or")


def _codes(before: str, not_before: str, after: str = "") -> Callable[[Sentences, Any], Both]:
    def say(_: Sentences, value: tuple[str, ...] | str) -> Both:
        words = _listed(map(in_words, several(value)), "or")
        return f"{before} {words}{after}", f"{not_before} {words}{after}"

    return say


def _fixed(positive: str, negative: str) -> Callable[[Sentences, Any], Both]:
    return lambda _, __: (positive, negative)


def _by_value(words: dict[str, Both]) -> Callable[[Sentences, Any], Both]:
    return lambda _, value: words.get(value, (str(value), f"not {value}"))


_NUMBERS = dict(zip(map(str, range(1, 11)), ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], strict=True))
_ENDS = {
    "failed": "was answered in vain, or not in time",
    "failed-on-record": "was answered in vain",
    "finished": "was answered",
    "done": "was done",
}
_ANCHORS = {
    "discharge": "the episode is ended",
    "task": "a task of this policy is open",
}
SAYINGS: dict[str, Callable[[Sentences, Any], Both]] = {
    "missed": Sentences.missed,
    "in_receipt": _fixed(
        "the patient has been seen in this episode", "the patient has not been seen in this episode yet"
    ),
    "referral": _codes("the referral's priority is", "the referral's priority is not"),
    "risk": _codes("the risk on record is", "the risk on record is not"),
    "risk_when_missed": _codes("the risk, when the appointment was missed, was", "the risk at that time was not"),
    "signal": lambda _, value: (
        f"the record carries {_signals(value)}",
        f"the record does not carry {_signals(value)}",
    ),
    "child": _fixed("a child is in the patient's care or in contact with them", "no child is on record"),
    "on_record": _by_value(
        {
            "family": ("somebody of the family who can be reached is on record", "nobody of the family can be reached"),
            "crisis-plan": ("a crisis contingency plan is on record", "no crisis contingency plan is on record"),
        }
    ),
    "may_share_with": _by_value(
        {
            "family": ("sharing with the family is not refused", "sharing with the family is refused"),
            "agency": ("sharing with other agencies is not refused", "sharing with other agencies is refused"),
        }
    ),
    "setting": _codes("the episode's setting is", "the episode's setting is not"),
    "outcome": Sentences.outcome,
    "reached": Sentences.reached,
    "sent": Sentences.sent,
    "passed": Sentences.passed,
    "contact": Sentences.contact,
    "booked": _fixed("a new appointment is booked", "no new appointment is booked"),
    "first_booked": _fixed("the first appointment is booked", "the first appointment is not booked"),
    "running": Sentences.running,
    "disengaged": Sentences.disengaged,
    "ran_before": _fixed("a pathway ran in an earlier episode", "no pathway ran in an earlier episode"),
    "episode": _codes("the episode is", "the episode is not"),
    "overdue": _fixed("a task has passed its due date undone", "no task is overdue"),
}
"""How each kind of condition is said, by the field of `When`."""
