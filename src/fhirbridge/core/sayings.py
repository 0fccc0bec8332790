"""How each kind of condition is said in English, and how its contrary is said.

One entry of `SAYINGS` for each field of `authoring.When`; a condition that has none is told by its name and what it is
set to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import fields

from fhirbridge.core import authoring
from fhirbridge.core.codes import in_words

Both = tuple[str, str]
"""How a condition is said, and how its contrary is."""


class Voice(Protocol):
    """What a saying asks of the pack that it speaks for. `brief`: the steps it is about need no naming."""

    brief: bool

    def period(self, written: str) -> str:
        """A period or `$setting` in words."""
        ...

    def number(self, written: int | str) -> str:
        """A number or `$setting` in words."""
        ...

    def step(self, step: str) -> str:
        """A step by its title."""
        ...

    def pathway(self, pathway: str) -> str:
        """A pathway by its title."""
        ...


def saying(voice: Voice, name: str, value: Any) -> Both:
    """The condition of this field, set to this value; of a field set to `false`, the contrary first."""
    both = SAYINGS[name](voice, value) if name in SAYINGS else _unnamed(name, value)
    return both if value is not False else (both[1], both[0])


def listed(parts: Iterable[str], word: str, comma: str = ", ") -> str:
    """The parts as a list in a sentence: "a, b or c"; none twice."""
    *most, last = dict.fromkeys(parts)
    before_last = f"{comma}{word} " if comma == "; " else f" {word} "
    return f"{comma.join(most)}{before_last}{last}" if most else last


def several(given: tuple[str, ...] | str) -> tuple[str, ...]:
    """One or several codes as a tuple."""
    return ((given,) if given else ()) if isinstance(given, str) else given


def signals(codes: tuple[str, ...] | str) -> str:
    """Signals by name: "the signal “immediate risk”"."""
    return "the signal " + listed(map(_quoted, several(codes)), "or")


def _quoted(code: str) -> str:
    return f"“{in_words(code)}”"


# --- conditions that are said in their own way -------------------------------------------------------


def _missed(voice: Voice, value: authoring.Missed) -> Both:
    number = voice.number(value.consecutive)
    if number == "one":
        return "an appointment is missed", "no appointment is missed"
    row = f"{number} appointments in a row are missed"
    return row, f"fewer than {row}"


def _outcome(voice: Voice, value: authoring.OutcomeOf) -> Both:
    ends = [_ENDS[word] for word in several(value.is_) if word in _ENDS]
    came_to = [_quoted(word) for word in several(value.is_) if word not in _ENDS]
    positive = listed([*ends, *([f"came to {listed(came_to, 'or')}"] if came_to else [])], "or")
    if voice.brief:
        return positive, f"not: {positive}"
    of = listed(map(voice.step, several(value.of)), "or")
    task = f"the task {_quoted(value.action)} of {of}" if value.action else of
    return f"{task} {positive}", f"nothing on record says that {task} {positive}"


def _reached(voice: Voice, value: tuple[str, ...] | str) -> Both:
    of = "" if voice.brief else f"{listed(map(voice.step, several(value)), 'or')} "
    return f"{of}came due", f"{of}has not come due"


def _sent(voice: Voice, value: authoring.SentFor) -> Both:
    of = "" if voice.brief else f"{voice.step(value.of)} "
    ago = "" if value.ago == "PT0H" else f" {voice.period(value.ago)} ago, without contact since"
    return f"{of}was sent{ago}", f"{of}was not sent{ago}"


def _passed(voice: Voice, value: authoring.Passed) -> Both:
    since = f"{voice.step(value.of)} came due" if value.of else "the missed appointment"
    of = "" if voice.brief and value.of else f" since {since}"
    time = voice.period(value.time)
    have = "has" if time.startswith("one ") else "have"
    return f"{time} {have} passed{of} without contact", f"less than {time} {have} passed{of}"


def _contact(_: Voice, value: authoring.Contact) -> Both:
    attends = (" or attends", " nor attends") if value.or_attended else ("", "")
    how = f" with the outcome {_quoted(value.outcome)}" if value.outcome else ""
    if value.without:
        how += f" other than with {listed(map(_quoted, value.without), 'or')}"
    who = "the patient is"
    return f"{who} back in contact{attends[0]}{how}", f"{who} not back in contact{attends[1]}{how}"


def _running(voice: Voice, value: tuple[str, ...] | str) -> Both:
    named = listed(map(voice.pathway, several(value)), "or")
    return f"the pathway {named} is running", f"the pathway {named} is not running"


def _disengaged(voice: Voice, value: tuple[str, ...] | str) -> Both:
    back = f"the patient had not come back from the pathway {listed(map(voice.pathway, several(value)), 'or')}"
    return f"the episode was ended while {back}", f"the episode was not ended while {back}"


def _risk(states: tuple[str, ...] | str, when: str) -> Both:
    """The contrary of some states of a risk is that it is in one of the others."""
    positive = [words for state, words in _RISKS.items() if state in several(states)]
    negative = [words for state, words in _RISKS.items() if state not in several(states)]
    return when + listed(positive or several(states), "or"), when + listed(negative or ["nothing is known"], "or")


# --- conditions that are said alike ------------------------------------------------------------------


def _codes(before: str, not_before: str) -> Callable[[Voice, Any], Both]:
    def say(_: Voice, value: tuple[str, ...] | str) -> Both:
        words = listed(map(in_words, several(value)), "or")
        return f"{before} {words}", f"{not_before} {words}"

    return say


def _fixed(positive: str, negative: str) -> Callable[[Voice, Any], Both]:
    return lambda _, __: (positive, negative)


def _by_value(words: dict[str, Both]) -> Callable[[Voice, Any], Both]:
    return lambda _, value: words.get(value, (str(value), f"not {value}"))


def _unnamed(name: str, value: Any) -> Both:
    words = name.strip("_").replace("_", " ")
    if isinstance(value, bool):
        return words, f"not {words}"
    if isinstance(value, Struct):
        parts = ((each.encode_name, getattr(value, each.name)) for each in fields(value))
        told = ", ".join(f"{in_words(part)} {_shown(one)}" for part, one in parts if one not in (None, ()))
    else:
        told = _shown(value)
    return f"{words}: {told}", f"not {words}: {told}"


def _shown(value: Any) -> str:
    return listed(map(str, value), "or") if isinstance(value, tuple) else str(value)


_RISKS = {
    "identified": "a risk is on record",
    "none": "the absence of risk is on record",
    "unknown": "nothing is recorded of risk",
    "contradictory": "the record of risk contradicts itself",
}
_ENDS = {
    "failed": "was answered in vain, or not in time",
    "failed-on-record": "was answered in vain",
    "finished": "was answered",
    "done": "was done",
}
_ON_RECORD = {
    "family": ("somebody of the family who can be reached is on record", "nobody of the family can be reached"),
    "crisis-plan": ("a crisis contingency plan is on record", "no crisis contingency plan is on record"),
}
_SHARING = {
    "family": ("sharing with the family is not refused", "sharing with the family is refused"),
    "agency": ("sharing with other agencies is not refused", "sharing with other agencies is refused"),
}
SAYINGS: dict[str, Callable[[Voice, Any], Both]] = {
    "missed": _missed,
    "in_receipt": _fixed(
        "the patient has been seen in this episode", "the patient has not been seen in this episode yet"
    ),
    "referral": _codes("the referral's priority is", "the referral's priority is not"),
    "risk": lambda _, value: _risk(value, ""),
    "risk_when_missed": lambda _, value: _risk(value, "at the missed appointment, "),
    "signal": lambda _, value: (f"the record carries {signals(value)}", f"the record does not carry {signals(value)}"),
    "child": _fixed("a child is in the patient's care or in contact with them", "no child is on record"),
    "on_record": _by_value(_ON_RECORD),
    "may_share_with": _by_value(_SHARING),
    "setting": _codes("the episode's setting is", "the episode's setting is not"),
    "outcome": _outcome,
    "reached": _reached,
    "sent": _sent,
    "passed": _passed,
    "contact": _contact,
    "booked": _fixed("a new appointment is booked", "no new appointment is booked"),
    "first_booked": _fixed("the first appointment is booked", "the first appointment is not booked"),
    "running": _running,
    "disengaged": _disengaged,
    "ran_before": _fixed("a pathway ran in an earlier episode", "no pathway ran in an earlier episode"),
    "episode": _codes("the episode is", "the episode is not"),
    "overdue": _fixed("a task has passed its due date undone", "no task is overdue"),
}
"""How each kind of condition is said, by the field of `When`."""
