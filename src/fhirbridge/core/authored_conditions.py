"""The conditions of a policy pack as they are written: what a `when`, `starts`, `ends` or `until` may say.

A `When` with several entries holds when all of them do. Periods are written `PT24H`, `P1D`, `P3W`, `2WD` or `same day`;
`$name` stands for the pack's setting of that name.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True):
    """Base of all that is written in a pack: kebab-case names, nothing unknown accepted."""


class Missed(Entry, frozen=True):
    """So many consecutive misses (attendance resets the count, cancellations do not touch it)."""

    consecutive: int | str = 1


class OutcomeOf(Entry, frozen=True):
    """What became of the Tasks of a step.

    `is`: outcome codes, or `failed` (answered in vain, or its due date passed), `failed-on-record` (answered in vain),
    `finished` (answered at all), `done` (completed).
    """

    of: tuple[str, ...] | str
    is_: tuple[str, ...] | str = field(name="is")
    action: str | None = None


class SentFor(Entry, frozen=True):
    """The Communication of the step was handed over, and so much time has passed since."""

    of: str
    ago: str = "PT0H"


class Passed(Entry, frozen=True):
    """So much time has passed since the miss that started the run, or since the step named by `of` came due."""

    time: str
    of: str | None = None


class Contact(Entry, frozen=True):
    """The run was ended by the patient: by contact, or by attendance too where `or-attended` is set."""

    or_attended: bool = False
    without: tuple[str, ...] = ()
    """Outcomes with which it does not count here."""
    outcome: str | None = None
    """The outcome it must have had."""


class OfLast(Entry, frozen=True):
    """So many of the last appointments were missed; cancellations are left out."""

    count: int | str
    of: int | str


class Idle(Entry, frozen=True):
    """Nothing attended and nothing booked for so long, nor a Task with the action `or_done` completed."""

    time: str
    or_done: str | None = None


class Attendance(Entry, frozen=True):
    """Attendance over the last `of` appointments, in percent, is below a limit; with fewer than `least` it is unknown.

    The patient's cancellations count as not attended, the provider's are left out.
    """

    below: int | str
    of: int | str
    least: int | str


class CheckIns(Entry, frozen=True):
    """So many check-in messages, each `spaced` after the one before, and no response since the first for `time`."""

    count: int | str
    spaced: str
    time: str


class When(Entry, frozen=True):
    """A condition; every entry that is set has to hold."""

    all: tuple[When, ...] = ()
    any: tuple[When, ...] = ()
    not_: When | None = field(name="not", default=None)
    missed: Missed | None = None
    in_receipt: bool | None = None
    referral: tuple[str, ...] = ()
    risk: tuple[str, ...] | str = ()
    risk_when_missed: tuple[str, ...] | str = ()
    risk_settled: bool | None = None
    """Since the run started the record has said clearly whether there is a risk."""
    signal: tuple[str, ...] | str = ()
    signal_when_missed: tuple[str, ...] | str = ()
    """One of these signals held when an appointment of the spell was missed."""
    child: bool | None = None
    on_record: Literal["family", "crisis-plan"] | None = None
    may_share_with: Literal["family", "agency"] | None = None
    setting: str | None = None
    outcome: OutcomeOf | None = None
    reached: tuple[str, ...] | str = ()
    sent: SentFor | None = None
    passed: Passed | None = None
    contact: Contact | None = None
    booked: bool | None = None
    """A new appointment was booked since the run started."""
    first_booked: bool | None = None
    """The first appointment of the case was booked ahead."""
    running: tuple[str, ...] | str = ()
    disengaged: tuple[str, ...] | str = ()
    """The case ended while one of these pathways ran, or after it ended other than by the patient coming back."""
    ran_before: bool | None = None
    """A pathway ran in an earlier case."""
    episode: tuple[str, ...] | str = ()
    overdue: bool | None = None
    lapsed: int | str | None = None
    """So many appointments in a row missed, or called off by the patient, without a response from them."""
    lapsed_unbooked: bool | None = None
    """An appointment was missed, or called off by the patient when no other lay ahead."""
    called_off: bool | None = None
    """The patient called off an appointment that lay ahead."""
    booked_ahead: bool | None = None
    """An appointment lies ahead."""
    missed_of_last: OfLast | None = None
    attendance: Attendance | None = None
    idle: Idle | None = None
    no_reply: str | None = None
    """So long without a reply since the last missed appointment or check-in message, whichever is later."""
    message_unanswered: str | None = None
    """A check-in message has been unanswered for so long."""
    check_ins: CheckIns | None = None
    message_from: Literal["gp"] | None = None
    """Such a message came since the run started."""
    discharge_planned: bool | None = None
    discharged: bool | None = None
    """The scope begins with the end of the case or stay."""
    missed_at_end: bool | None = None
    """Missed appointments stood when the case ended."""
    said: tuple[str, ...] | str = ()
    """A Task of this case was answered with one of these outcomes in this spell."""
    said_before: tuple[str, ...] | str = ()
    """A Task of this case was answered with one of these outcomes before this spell."""
    done: str | None = None
    """A Task with this action was completed in this case."""
    missed_after: str | None = None
    """An appointment was missed after a Task with this action was completed."""
    other_provider: bool | None = None
    """Another case of the patient is open, or has an appointment ahead."""
    permits_sharing_with: Literal["agency", "gp"] | None = None
    """A Consent permits it; silence does not."""
    risk_ever: bool | None = None
    signal_ever: tuple[str, ...] | str = ()
    unvisited: str | None = None
    """No visit by an advocate for so long."""
    under_age: bool | None = None
