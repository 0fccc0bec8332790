"""How each kind of condition is said in English, and how its contrary is said.

One entry of `SAYINGS` for each field of `authored_conditions.When`; a condition that has none is told by its name and
what it is set to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from fhirbridge.core import authored_conditions
from fhirbridge.core.codes import in_words
from fhirbridge.core.wording import listed, quoted, several, signals

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


# --- conditions that are said in their own way -------------------------------------------------------


def _missed(voice: Voice, value: authored_conditions.Missed) -> Both:
    number = voice.number(value.consecutive)
    if number == "one":
        return "an appointment is missed", "no appointment is missed"
    row = f"{number} appointments in a row are missed"
    return row, f"fewer than {row}"


def _outcome(voice: Voice, value: authored_conditions.OutcomeOf) -> Both:
    ends = [_ENDS[word] for word in several(value.is_) if word in _ENDS]
    came_to = [quoted(word) for word in several(value.is_) if word not in _ENDS]
    positive = listed([*ends, *([f"came to {listed(came_to, 'or')}"] if came_to else [])], "or")
    if voice.brief:
        return f"it {positive}", f"nothing on record says that it {positive}"
    of = listed(map(voice.step, several(value.of)), "or")
    task = f"the task {quoted(value.action)} of {of}" if value.action else of
    return f"{task} {positive}", f"nothing on record says that {task} {positive}"


def _reached(voice: Voice, value: tuple[str, ...] | str) -> Both:
    of = "it" if voice.brief else listed(map(voice.step, several(value)), "or")
    return f"{of} came due", f"{of} has not come due"


def _sent(voice: Voice, value: authored_conditions.SentFor) -> Both:
    of = "it" if voice.brief else voice.step(value.of)
    ago = "" if value.ago == "PT0H" else f" {voice.period(value.ago)} ago, without contact since"
    return f"{of} was sent{ago}", f"{of} was not sent{ago}"


def _passed(voice: Voice, value: authored_conditions.Passed) -> Both:
    named = f"{'it' if voice.brief else voice.step(value.of)} came due" if value.of else "the missed appointment"
    of = f" since {named}"
    time = voice.period(value.time)
    have = "has" if time.startswith("one ") else "have"
    return f"{time} {have} passed{of} without contact", f"less than {time} {have} passed{of}"


def _contact(_: Voice, value: authored_conditions.Contact) -> Both:
    attends = (" or attends", " nor attends") if value.or_attended else ("", "")
    how = f" with the outcome {quoted(value.outcome)}" if value.outcome else ""
    if value.without:
        how += f" other than with {listed(map(quoted, value.without), 'or')}"
    who = "the patient is"
    return f"{who} back in contact{attends[0]}{how}", f"{who} not back in contact{attends[1]}{how}"


def _running(voice: Voice, value: tuple[str, ...] | str) -> Both:
    named = listed(map(voice.pathway, several(value)), "or")
    return f"the pathway {named} is running", f"the pathway {named} is not running"


def _disengaged(voice: Voice, value: tuple[str, ...] | str) -> Both:
    back = f"the patient had not come back from the pathway {listed(map(voice.pathway, several(value)), 'or')}"
    return f"the episode was ended while {back}", f"the episode was not ended while {back}"


def _lapsed(voice: Voice, value: int | str) -> Both:
    number = voice.number(value)
    row = "an appointment is" if number == "one" else f"{number} appointments in a row are"
    words = f"{row} missed or called off by the patient, without a response"
    return words, f"it has not come to it that {words}"


def _of_last(voice: Voice, value: authored_conditions.OfLast) -> Both:
    last = f"of the last {voice.number(value.of)} appointments were missed"
    count = voice.number(value.count)
    return f"{count} {last}", f"fewer than {count} {last}"


def _attendance(voice: Voice, value: authored_conditions.Attendance) -> Both:
    over = f"of the last {voice.number(value.of)} appointments"
    below = f"{voice.number(value.below)} percent"
    return f"fewer than {below} {over} were attended", f"at least {below} {over} were attended, or too few are known"


def _check_ins(voice: Voice, value: authored_conditions.CheckIns) -> Both:
    words = f"{voice.number(value.count)} check-in messages, each {voice.period(value.spaced)} after the one before"
    silence = f"for {voice.period(value.time)} since the first of them"
    return (
        f"the patient has not responded to {words}, {silence}",
        f"the patient has not been silent on {words}, {silence}",
    )


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


def _period(positive: str, negative: str) -> Callable[[Voice, str], Both]:
    """`{}` stands for the period."""
    return lambda voice, value: (positive.format(voice.period(value)), negative.format(voice.period(value)))


def _idle(voice: Voice, value: authored_conditions.Idle) -> Both:
    time = voice.period(value.time)
    done = f", nor the task {quoted(value.or_done)} done" if value.or_done else ""
    happened = f"something was attended or booked within the last {time}"
    return f"nothing was attended and nothing booked for {time}{done}", happened


def _code(positive: str, negative: str) -> Callable[[Voice, Any], Both]:
    """`{}` stands for the code or codes."""

    def say(_: Voice, value: tuple[str, ...] | str) -> Both:
        words = listed(map(quoted, several(value)), "or")
        return positive.format(words), negative.format(words)

    return say


def _by_value(words: dict[str, Both]) -> Callable[[Voice, Any], Both]:
    return lambda _, value: words.get(value, (str(value), f"not {value}"))


def _unnamed(name: str, value: Any) -> Both:
    """A condition that has no saying of its own: its name, with what it is set to as it is written."""
    words = name.strip("_").replace("_", " ")
    told = words if isinstance(value, bool) else f"{words}: {msgspec.json.encode(value).decode()}"
    return told, f"not {told}"


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
    "risk_settled": _fixed(
        "the record has said clearly since then whether there is a risk",
        "the record has not said clearly since then whether there is a risk",
    ),
    "signal": lambda _, value: (f"the record carries {signals(value)}", f"the record does not carry {signals(value)}"),
    "signal_when_missed": lambda _, value: (
        f"an appointment is missed while the record carries {signals(value)}",
        f"no appointment was missed while the record carried {signals(value)}",
    ),
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
    "lapsed": _lapsed,
    "lapsed_unbooked": _fixed(
        "an appointment is missed, or cancelled by the patient when no other lies ahead",
        "nothing was missed, or cancelled by the patient when no other lay ahead",
    ),
    "called_off": _fixed(
        "the patient called off an appointment that lay ahead", "the patient called off no appointment that lay ahead"
    ),
    "booked_ahead": _fixed("an appointment lies ahead", "no appointment lies ahead"),
    "missed_of_last": _of_last,
    "attendance": _attendance,
    "idle": _idle,
    "no_reply": _period(
        "the patient has not replied for {} since the missed appointment or the last check-in message",
        "less than {} have passed without a reply",
    ),
    "message_unanswered": _period(
        "a check-in message has been unanswered for {}", "no check-in message has been unanswered for {}"
    ),
    "check_ins": _check_ins,
    "message_from": _codes("a message came from the", "no message came from the"),
    "discharge_planned": _fixed("discharge is planned", "no discharge is planned"),
    "discharged": _fixed("the patient has been discharged", "the patient has not been discharged"),
    "missed_at_end": _fixed(
        "missed appointments stood when the episode ended", "no missed appointment stood when the episode ended"
    ),
    "said": _code("a task was answered with {} since then", "no task was answered with {} since then"),
    "said_before": _code(
        "a task of this episode was answered with {} before", "no task of this episode was answered with {} before"
    ),
    "done": _code("the task {} was done in this episode", "the task {} was not done in this episode"),
    "missed_after": _code(
        "an appointment was missed after the task {} was done", "nothing was missed after the task {} was done"
    ),
    "other_provider": _fixed("the patient still sees another provider", "the patient sees no other provider"),
    "permits_sharing_with": _codes("a consent permits sharing with the", "no consent permits sharing with the"),
    "risk_ever": _fixed("a risk is or was on record", "no risk has ever been on record"),
    "signal_ever": _code("the record carries or carried the signal {}", "the record never carried the signal {}"),
    "unvisited": _period("no advocate has visited for {}", "an advocate has visited within the last {}"),
    "under_age": _fixed("the patient is under 18", "the patient is not known to be under 18"),
}
"""How each kind of condition is said, by the field of `When`."""
