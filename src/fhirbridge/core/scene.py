"""What a condition can see: one case, one scope, one run, at one instant, and what its steps have come to so far.

These values live only while `decide` runs. `Ask` and `Run` are filled in as the steps are worked through in the order
of the pack; everything that leaves `decide` is frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from fhirbridge.core.answers import answers, completed
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.cases import Visit
from fhirbridge.core.decision import Reason, Standing
from fhirbridge.core.effects import Key, Withdrawal
from fhirbridge.core.facts import Source
from fhirbridge.core.findings import Finding
from fhirbridge.core.own import Own, Thing
from fhirbridge.core.signs import Ending
from fhirbridge.core.spells import Course, Scope
from fhirbridge.core.timeline import Record

if TYPE_CHECKING:
    from fhirbridge.core.policy import Act, Step


Answered = TypeVar("Answered")


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
    def face(self) -> tuple[object, ...]:
        """What can be seen of it without looking into its steps."""
        told = (self.since, self.counted_from, self.because, self.triggers, self.generation, self.ended)
        return (self.identity, self.pathway, self.case, self.scope, *told)

    @property
    def ending(self) -> Ending | None:
        """What ended it first: the ending of its scope, or what its pathway says ends it."""
        scopes, own = self.scope.ending, self.ended
        if scopes is None or own is None:
            return scopes or own
        return own if own.at < scopes.at else scopes


class Found(Struct):
    """What was found in one place: a spell, or what of a case is outside of spells.

    `endings` are actions that are to be ended, each with the row that says so; `held` the steps that were held back;
    `wakes` the instants at which something may change by itself; `asked` how often steps that are repeated were asked
    for. `looked_around`: somebody looked at appointments of the patient that the place itself does not name;
    `looked_beside`: at other runs of the spell; `looked_into`: at what their steps came to; `looked_back`: at what the
    service had done, wherever it was asked for.
    """

    all: list[tuple[Course, Run]] = []
    asks: list[Ask] = []
    endings: list[tuple[str, str]] = []
    held: list[str] = []
    wakes: set[datetime] = set()
    asked: list[tuple[tuple[str, ...], int]] = []
    looked_around: bool = False
    looked_beside: bool = False
    looked_into: bool = False
    looked_back: bool = False

    def take(self, other: Found) -> None:
        """Add what was found elsewhere."""
        self.all += other.all
        self.asks += other.asks
        self.endings += other.endings
        self.held += other.held
        self.wakes |= other.wakes
        self.looked_around |= other.looked_around
        self.looked_beside |= other.looked_beside
        self.looked_into |= other.looked_into
        self.looked_back |= other.looked_back


class Scene(Struct):
    """Everything a condition may look at.

    `ref` is the instant for which the record is read: now, or the end of the scope if that is past. `runs` are the runs
    of this scope's spell so far, `earlier` those of other cases that began before this one. With `complete`, conditions
    look at everything, even where the answer is settled.
    """

    record: Record
    done: Own
    course: Course
    scope: Scope
    now: datetime
    ref: datetime
    calendar: Calendar
    late: float
    risk_when_unrecorded: str
    runs: list[Run]
    place: Found
    earlier: tuple[Run, ...] = ()
    run: Run | None = None
    complete: bool = False
    patient_wide: bool = False
    """What is asked for belongs to the patient, whichever case it is seen in."""
    asked: datetime | None = None
    """Of a condition that says until when something is asked for: since when it is."""

    answered: dict[object, Any] = {}
    """What is asked for again and again in this decision, and was found, by all that was looked at."""

    @property
    def visits(self) -> tuple[Visit, ...]:
        """Every appointment of the case."""
        return self.around.case.visits

    @property
    def own(self) -> Own:
        """All that the service has done for this patient."""
        self.place.looked_back = True
        return self.done

    @property
    def beside(self) -> list[Run]:
        """The runs of this spell so far."""
        self.place.looked_beside = True
        return self.runs

    @property
    def around(self) -> Course:
        """The whole course of the case, for those who look further than this place."""
        self.place.looked_around = True
        return self.course

    def once(self, question: object, find: Callable[[Scene], Answered]) -> Answered:
        """The answer to this question, found only the first time that it is asked in this decision."""
        known: Answered | None = self.answered.get(question)
        if known is None:
            known = self.answered[question] = find(self)
        return known

    def step(self, step: str) -> StepState | None:
        """The state of a step: of this run, else of the first run of this spell that has it."""
        if self.run is not None and step in self.run.steps:
            return self.run.steps[step]
        self.place.looked_into = True
        for run in self.runs:
            if step in run.steps:
                return run.steps[step]
        return None

    def answers(self, outcomes: frozenset[str]) -> list[tuple[datetime, str, Source]]:
        """The answers with one of these outcomes in this case up to the instant the scene is read for."""
        found = answers(self.course, self.record, self.own, outcomes) if self.record.tasks else []
        return [each for each in found if each[0] <= self.ref]

    def completed(self, action: str) -> list[tuple[datetime, Source]]:
        """The completed Tasks with this action in this case up to the instant the scene is read for."""
        found = completed(self.course, self.record, self.own, action) if self.record.tasks else []
        return [each for each in found if each[0] <= self.ref]

    def awaits(self, action: str, done: datetime) -> bool:
        """Whether what the service asked for with this action was open when it was done, and is not closed yet.

        What makes a condition cease by answering what it asked for has to be seen as its answer first.
        """
        names = (*self.course.case.names, self.record.patient)
        asked = (t for t in self.own.things.values() if t.key.action == action and t.key.case in names)
        return any(thing.open and thing.since <= done for thing in asked)
