"""The shape of a policy pack as a clinician and an engineer write it (YAML), before it is checked and compiled.

The same models give the JSON Schema for editors. A `When` with several entries holds when all of them do. Periods are
written `PT24H`, `P1D`, `P3W`, `2WD` or `same day`; `$name` stands for the pack's setting of that name.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from msgspec import Struct, field


class _Written(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True):
    """Base: kebab-case names, nothing unknown accepted."""


class Missed(_Written, frozen=True):
    """So many consecutive misses (attendance resets the count, cancellations do not touch it)."""

    consecutive: int | str = 1


class OutcomeOf(_Written, frozen=True):
    """What became of the Tasks of a step.

    `is`: outcome codes, or `failed` (answered in vain, or its due date passed), `failed-on-record` (answered in vain),
    `finished` (answered at all), `done` (completed).
    """

    of: tuple[str, ...] | str
    is_: tuple[str, ...] | str = field(name="is")
    action: str | None = None


class SentFor(_Written, frozen=True):
    """The Communication of the step was handed over, and so much time has passed since."""

    of: str
    ago: str = "PT0H"


class Passed(_Written, frozen=True):
    """So much time has passed since the miss that started the run, or since the step named by `of` came due."""

    time: str
    of: str | None = None


class Contact(_Written, frozen=True):
    """The run was ended by the patient: by contact, or by attendance too where `or-attended` is set."""

    or_attended: bool = False
    without: tuple[str, ...] = ()
    """Outcomes with which it does not count here."""
    outcome: str | None = None
    """The outcome it must have had."""


class OfLast(_Written, frozen=True):
    """So many of the last appointments were missed; cancellations are left out."""

    count: int | str
    of: int | str


class Idle(_Written, frozen=True):
    """Nothing attended and nothing booked for so long, nor a Task with the action `or_done` completed."""

    time: str
    or_done: str | None = None


class Attendance(_Written, frozen=True):
    """Attendance over the last `of` appointments, in percent, is below a limit; with fewer than `least` it is unknown.

    The patient's cancellations count as not attended, the provider's are left out.
    """

    below: int | str
    of: int | str
    least: int | str


class CheckIns(_Written, frozen=True):
    """So many check-in messages, each `spaced` after the one before, and no response since the first for `time`."""

    count: int | str
    spaced: str
    time: str


class When(_Written, frozen=True):
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


class Act(_Written, frozen=True):
    """One thing to write: exactly one of `task`, `communication`, `flag`, `care-plan` names its action code."""

    task: str | None = None
    communication: str | None = None
    flag: str | None = None
    care_plan: str | None = None
    to: tuple[str, ...] | str = ()
    out_of_hours: str | None = None
    """The role instead of `to`, outside the service's hours."""
    due: str | None = None
    due_from: Literal["when", "start"] = "when"
    due_by: Literal["first-appointment", "discharge-date"] | None = None
    """Due at that, where the record has it; else after the period of `due`."""
    answered_by: Literal["message"] | None = None
    """A message to the patient answers it as well."""
    points: dict[str, str] = {}
    """Of a care plan: the titles of its points by the clause of the steps that serve them."""
    ends: bool = False
    """The flag ends here, instead of being raised: its pathway's own ending does it, and this says so."""
    priority: Literal["routine", "urgent", "asap", "stat"] = "routine"
    medium: Literal["post", "phone", "electronic"] | None = None
    reply_within: str | None = None
    says: str = ""


class Every(_Written, frozen=True):
    """Due again every `period` from the start of the run; the n-th for n from `first` to `last`."""

    period: str
    first: int = 1
    last: int | str | None = None


class Repeat(_Written, frozen=True):
    """Asked for again after its answer, up to so many times: `after` that long."""

    times: int | str
    after: str = "PT0H"
    after_outcome: tuple[str, ...] = ()
    """Only after one of these outcomes."""


class Step(_Written, frozen=True):
    """One step: when it is called for, and what is then written.

    `id` is the ledger row it implements, with a suffix `-x` where a row takes several steps; `row` then names the row.
    `stands`: what does not withdraw it, `true` for all: the patient's `return`, their `discharge`, the `end` of the
    signal or stay. `until`: what ends it besides its answer.
    """

    id: str
    title: str
    when: When | Literal["start"]
    do: tuple[Act, ...]
    row: str | None = None
    clause: str | None = None
    until: When | None = None
    stands: tuple[Literal["return", "discharge", "end"], ...] | bool = False
    every: Every | None = None
    repeat: Repeat | None = None
    anew: bool = False
    """Each time the condition comes to hold again it is asked for anew."""
    towards: Literal["discharge"] | None = None
    """It leads towards a discharge, and rests on the patient not having come back: not asked for while events of the
    EPR may be missing."""
    again: int = 1
    """Which time it is that the same is asked for in this run, where several steps ask for it one after another."""


class Pathway(_Written, frozen=True):
    """A group of steps that start together.

    `once-per`: what a run is anchored on; for a signal, `signals` names which, for an answer `outcomes`. Of the
    pathways of one `group`, the first whose `starts` holds runs.
    """

    id: str
    title: str
    starts: When | Literal["always"]
    steps: tuple[Step, ...]
    clause: str | None = None
    once_per: Literal[
        "spell",
        "signal",
        "signal-in-spell",
        "signal-in-stay",
        "signal-end",
        "episode",
        "discharge",
        "task",
        "stay",
        "stay-end",
        "answer",
    ] = "spell"
    signals: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    """For `answer`: the outcomes a run is anchored on."""
    ends: When | None = None
    """What ends a run besides the patient coming back and the end of the case."""
    one_case: bool = False
    """Run only in the case that the signal belongs to, not in every open case of the patient."""
    group: str | None = None


class SourceDocument(_Written, frozen=True):
    """The policy document a pack implements."""

    title: str
    reference: str = ""
    reviewed: date | None = None


class Setting(_Written, frozen=True):
    """A number that a trust may change, within bounds that are still sane."""

    default: str | int
    min: str | int
    max: str | int
    title: str


class PackFile(_Written, frozen=True):
    """A whole pack file."""

    pack: str
    version: str
    title: str
    source: SourceDocument
    pathways: tuple[Pathway, ...]
    settings: dict[str, Setting] = {}
    texts: dict[str, str] = {}
    """Wording and lists that a trust replaces by its own, used in texts as `{name}`."""
