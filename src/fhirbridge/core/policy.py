"""A policy pack, checked and ready to decide with: Pack → Pathway → Step → Act, all frozen.

Everything that a running pathway is pinned to is inside: the pack's version, its settings as this service has them, the
calendar, and what an unrecorded risk counts as.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Protocol

from msgspec import Struct

from fhirbridge.core.authoring import SourceDocument
from fhirbridge.core.calendar import Calendar, Span
from fhirbridge.core.effects import Kind, Started
from fhirbridge.core.findings import Finding
from fhirbridge.core.scene import Scene
from fhirbridge.core.vocabulary import BASE


class Condition(Protocol):
    """A compiled condition: asks the scene and answers with a finding."""

    def find(self, scene: Scene) -> Finding:
        """Whether it holds in this scene, since when, why, and when that may change."""
        ...


class Act(Struct, frozen=True):
    """One thing to write, for one role ("" where nobody is addressed)."""

    kind: Kind
    action: str
    role: str
    due: Span | None
    due_from_start: bool
    due_by: str | None
    role_out_of_hours: str | None
    priority: str
    medium: str | None
    reply_within: str | None
    says: str
    points: tuple[tuple[str, str], ...]
    answered_by_message: bool
    ends: bool


class Every(Struct, frozen=True):
    """Due again every period; see `authoring.Every`."""

    period: Span
    first: int
    last: int | None


class Repeat(Struct, frozen=True):
    """Asked for again after its answer; see `authoring.Repeat`."""

    times: int
    after: Span
    on: frozenset[str]


class Step(Struct, frozen=True):
    """One step of a pathway; `row` is the ledger row it implements, `order` its place in the pack."""

    id: str
    row: str
    clause: str
    title: str
    when: Condition | None
    """None: as soon as the run starts."""
    until: Condition | None
    acts: tuple[Act, ...]
    stands: frozenset[str]
    """What does not withdraw it: `return` of the patient, `discharge`, or the `end` of what its scope is about."""
    closing: bool
    """The ending of the run itself calls for it."""
    order: int
    every: Every | None = None
    repeat: Repeat | None = None
    again: int = 1
    anew: bool = False
    towards: str | None = None
    """What it leads to: a `discharge` is not worked towards while there is a gap in what is known of the EPR."""


class Pathway(Struct, frozen=True):
    """A pathway; see `authoring.Pathway`."""

    id: str
    title: str
    clause: str
    starts: Condition
    steps: tuple[Step, ...]
    once_per: str
    signals: frozenset[str]
    outcomes: frozenset[str]
    group: str | None
    ends: Condition | None
    needs: str | None
    """What must be there for it to start at all, to save looking: a `miss` in the spell, or a `run` of another."""
    one_case: bool


class Pack(Struct, frozen=True, dict=True):
    """A policy pack with the settings and the calendar it is applied with."""

    name: str
    version: str
    title: str
    source: SourceDocument
    settings: dict[str, str | int]
    texts: dict[str, str]
    pathways: tuple[Pathway, ...]
    calendar: Calendar
    risk_when_unrecorded: str = "unknown"
    late: float = 4 * 3600
    """Seconds after which clocks run from when a thing became known."""
    follow_from: datetime | None = None
    """Nothing is begun because of what happened before; None where everything counts."""

    @cached_property
    def in_spell(self) -> tuple[Pathway, ...]:
        """The pathways that are anchored on a spell, or on a signal within one."""
        return tuple(p for p in self.pathways if p.once_per in ("spell", "signal-in-spell"))

    @cached_property
    def for_tasks(self) -> tuple[Pathway, ...]:
        """The pathways that are anchored on an overdue Task."""
        return tuple(p for p in self.pathways if p.once_per == "task")

    @cached_property
    def elsewhere(self) -> tuple[Pathway, ...]:
        """The others."""
        return tuple(p for p in self.pathways if p not in self.in_spell and p not in self.for_tasks)

    def in_hours(self, at: datetime) -> bool:
        """Whether the service is staffed at that instant: on working days, from `opens` until `closes` o'clock."""
        wall = self.calendar.local(at)
        opens, closes = int(self.settings["opens"]), int(self.settings["closes"])
        return self.calendar.is_working(wall.date()) and opens <= wall.hour < closes

    def is_edition(self, started: Started) -> bool:
        """Whether the run was started with this very version and these settings."""
        if started.version != self.version:
            return False
        return started.settings is self.settings or started.settings in ({}, self.settings)

    def hangs_on_miss(self, pathway: str) -> bool:
        """Whether the pathway starts with a missed appointment; while that stands, another takes over if it stops."""
        return any(each.id == pathway and each.needs == "miss" for each in self.pathways)

    def waits_for_patient(self, pathway: str, steps: tuple[str, ...]) -> bool:
        """Whether these steps of the pathway are over once the patient is back."""
        for each in self.pathways:
            if each.id == pathway:
                anew = any(step.anew for step in each.steps if step.id in steps)
                return each.once_per in ("spell", "signal-in-spell") or anew
        return False

    @property
    def canonical(self) -> str:
        """The PlanDefinition it is published as, with its version."""
        return f"{BASE}/PlanDefinition/{self.name}|{self.version}"
