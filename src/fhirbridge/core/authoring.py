"""The shape of a policy pack as a clinician and an engineer write it (YAML), before it is checked and compiled.

The same models give the JSON Schema for editors. A `When` with several entries holds when all of them do. Periods are
written `PT24H`, `P1D`, `P3W`, `2WD` or `same day`; `$name` stands for the pack's setting of that name.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from msgspec import field

from fhirbridge.core.authored_conditions import Entry, When


class Act(Entry, frozen=True):
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
    points: dict[str, str] = field(default_factory=dict)
    """Of a care plan: the titles of its points by the clause of the steps that serve them."""
    ends: bool = False
    """The flag ends here, instead of being raised: its pathway's own ending does it, and this says so."""
    priority: Literal["routine", "urgent", "asap", "stat"] = "routine"
    medium: Literal["post", "phone", "electronic"] | None = None
    reply_within: str | None = None
    says: str = ""


class Every(Entry, frozen=True):
    """Due again every `period` from the start of the run; the n-th for n from `first` to `last`."""

    period: str
    first: int = 1
    last: int | str | None = None


class Repeat(Entry, frozen=True):
    """Asked for again after its answer, up to so many times: `after` that long."""

    times: int | str
    after: str = "PT0H"
    after_outcome: tuple[str, ...] = ()
    """Only after one of these outcomes."""


class Step(Entry, frozen=True):
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


class Pathway(Entry, frozen=True):
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


class SourceDocument(Entry, frozen=True):
    """The policy document a pack implements."""

    title: str
    reference: str = ""
    reviewed: date | None = None


class Setting(Entry, frozen=True):
    """A number that a trust may change, within bounds that are still sane."""

    default: str | int
    min: str | int
    max: str | int
    title: str


class PackFile(Entry, frozen=True):
    """A whole pack file."""

    pack: str
    version: str
    title: str
    source: SourceDocument
    pathways: tuple[Pathway, ...]
    settings: dict[str, Setting] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    """Wording and lists that a trust replaces by its own, used in texts as `{name}`."""
