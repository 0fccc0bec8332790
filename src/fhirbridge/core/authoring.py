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
    signal: tuple[str, ...] | str = ()
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
    by_first_appointment: bool = False
    """Due at the first appointment after that, if there is one; else after the period of `due`."""
    priority: Literal["routine", "urgent", "asap", "stat"] = "routine"
    medium: Literal["post", "phone", "electronic"] | None = None
    reply_within: str | None = None
    says: str = ""


class Step(_Written, frozen=True):
    """One step: when it is called for, and what is then written.

    `id` is the ledger row it implements, with a suffix `-x` where a row takes several steps; `row` then names the row.
    `stands`: re-engagement does not withdraw it. `until`: what ends it besides its answer.
    """

    id: str
    title: str
    when: When | Literal["start"]
    do: tuple[Act, ...]
    row: str | None = None
    clause: str | None = None
    until: When | None = None
    stands: bool = False


class Pathway(_Written, frozen=True):
    """A group of steps that start together.

    `once-per`: what a run is anchored on; for a `signal`, `signals` names which. Of the pathways of one `group`, the
    first whose `starts` holds runs.
    """

    id: str
    title: str
    starts: When
    steps: tuple[Step, ...]
    clause: str | None = None
    once_per: Literal["spell", "signal", "signal-in-spell", "episode", "discharge", "task"] = "spell"
    signals: tuple[str, ...] = ()
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
    settings: dict[str, Setting]
    pathways: tuple[Pathway, ...]
