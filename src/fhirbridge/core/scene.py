"""What a condition can see: one case, one scope, one run, at one instant, and what its steps have come to so far.

These values live only while `decide` runs. `Ask` and `Run` are filled in as the steps are worked through in the order
of the pack; everything that leaves `decide` is frozen.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from fhirbridge.core.answers import answers, completed
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.decision import Reason, Standing
from fhirbridge.core.effects import Key, Own, Thing, Withdrawal
from fhirbridge.core.facts import Source
from fhirbridge.core.findings import Finding
from fhirbridge.core.spells import Course, Ending, Scope
from fhirbridge.core.timeline import Record

if TYPE_CHECKING:
    from fhirbridge.core.policy import Act, Step


class Answer(Struct, frozen=True):
    """A Task's answer: when, with which R4 status and outcome code, and which version of which Task says so."""

    at: datetime
    status: str
    outcome: str | None
    source: Source


class Ask(Struct):
    """One obligation that one act of one step asks for, while it is being worked out.

    `lapsed` is the due instant when it has passed undone. `thing` is what the service wrote for it, if anything.
    """

    key: Key
    identity: str
    step: Step
    act: Act
    run: Run
    since: datetime
    due: datetime | None
    because: tuple[Reason, ...]
    scene: Scene
    thing: Thing | None = None
    due_by_person: bool = False
    """A person changed the due date in the EPR; it stays as they set it."""
    answer: Answer | None = None
    lapsed: datetime | None = None
    standing: Standing = Standing.OPEN
    withdrawal: Withdrawal | None = None
    settled_by: Source | None = None
    passed_on: bool = False
    """It lapsed, and the next of its kind has taken its place."""


class StepState(Struct):
    """What a step has come to: its finding, and its asks (none when it is not called for).

    `held`: it would ask for something new, and waits for a gap to close.
    """

    finding: Finding
    asks: list[Ask]
    held: bool = False


class Run(Struct):
    """One run of a pathway in one scope. `triggers` are the versions that set it off."""

    identity: str
    pathway: str
    case: str
    scope: Scope
    since: datetime
    counted_from: datetime
    """What elapsed time counts from: the clock of the miss that set it off, or else `since`."""
    because: tuple[Reason, ...]
    triggers: tuple[Source, ...]
    generation: int
    steps: dict[str, StepState]
    ended: Ending | None = None
    """What ended it by the pathway's own word."""

    @property
    def ending(self) -> Ending | None:
        """What ended it first: the ending of its scope, or what its pathway says ends it."""
        endings = [ending for ending in (self.scope.ending, self.ended) if ending is not None]
        return min(endings, key=lambda ending: ending.at, default=None)


class Scene(Struct):
    """Everything a condition may look at.

    `ref` is the instant for which the record is read: now, or the end of the scope if that is past. `runs` are the runs
    of this scope's spell so far, `earlier` those of other cases that began before this one. With `complete`, conditions
    look at everything, even where the answer is settled.
    """

    record: Record
    own: Own
    course: Course
    scope: Scope
    now: datetime
    ref: datetime
    calendar: Calendar
    late: float
    risk_when_unrecorded: str
    runs: list[Run]
    earlier: tuple[Run, ...] = ()
    run: Run | None = None
    complete: bool = False
    patient_wide: bool = False
    """What is asked for belongs to the patient, whichever case it is seen in."""

    def step(self, step: str) -> StepState | None:
        """The state of a step: of this run, else of the first run of this spell that has it."""
        runs = self.runs if self.run is None else (self.run, *self.runs)
        return next((run.steps[step] for run in runs if step in run.steps), None)

    def answers(self, outcomes: frozenset[str]) -> list[tuple[datetime, str, Source]]:
        """The answers with one of these outcomes in this case up to the instant the scene is read for."""
        return [found for found in answers(self.course, self.record, self.own, outcomes) if found[0] <= self.ref]

    def completed(self, action: str) -> list[tuple[datetime, Source]]:
        """The completed Tasks with this action in this case up to the instant the scene is read for."""
        return [found for found in completed(self.course, self.record, self.own, action) if found[0] <= self.ref]
