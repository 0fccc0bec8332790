"""Conditions on how far a run has come: outcomes of its steps, letters sent, time passed, contact made."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from msgspec import Struct

from fhirbridge.core.calendar import Span
from fhirbridge.core.decision import Reason
from fhirbridge.core.effects import Kind
from fhirbridge.core.findings import Finding, any_of
from fhirbridge.core.scene import Answer, Ask, Scene
from fhirbridge.core.signs import Sign
from fhirbridge.core.vocabulary import ATTEMPT_FAILED, NOT_DONE

FAILED = "failed"
FAILED_ON_RECORD = "failed-on-record"
FINISHED = "finished"
DONE = "done"
GIVEN_UP = frozenset({"cancelled", "entered-in-error"})
"""Statuses of a Task that staff closed without doing it."""
PROGRESS_WORDS = frozenset({FAILED, FAILED_ON_RECORD, FINISHED, DONE})


class OutcomeIs(Struct, frozen=True):
    """A Task of one of the steps came to one of these ends; see `authored_conditions.OutcomeOf`."""

    steps: tuple[str, ...]
    wanted: frozenset[str]
    action: str | None = None

    def find(self, scene: Scene) -> Finding:
        """Holds since the outcome's time, or since the due date that lapsed."""
        states = [state for step in self.steps if (state := scene.step(step)) is not None and state.asks]
        asks = [a for state in states for a in state.asks if a.act.kind is Kind.TASK]
        asks = [a for a in asks if self.action in (None, a.act.action)]
        if not asks:
            return _never_asked(self.steps)
        return any_of([self._of(scene, ask) for ask in asks])

    def _of(self, scene: Scene, ask: Ask) -> Finding:
        answer = ask.answer
        on_record = answer is not None and self._matches(answer)
        if FAILED in self.wanted and ask.lapsed is not None and (_undone(answer, ask.lapsed, on_record)):
            at = scene.calendar.at_time(ask.lapsed)
            return Finding(True, ask.lapsed, (_said(ask, f"was not answered by {at}"),))
        waiting = ask.due if FAILED in self.wanted else None
        if answer is not None and answer.status in GIVEN_UP:
            return Finding(on_record, answer.at, (_answered(scene, ask, answer),), waiting)
        if answer is not None:
            return Finding(on_record, answer.at, (_answered(scene, ask, answer),))
        return Finding(False, ask.since, (_said(ask, "has not been answered yet"),), waiting)

    def _matches(self, answer: Answer) -> bool:
        if answer.outcome in self.wanted:
            return True
        if answer.status in GIVEN_UP:
            return False
        if FINISHED in self.wanted:
            return True
        if DONE in self.wanted and answer.status == "completed" and answer.outcome not in NOT_DONE:
            return True
        failed = answer.status in ("failed", "rejected") or answer.outcome is None or answer.outcome in ATTEMPT_FAILED
        return failed and not self.wanted.isdisjoint((FAILED, FAILED_ON_RECORD))


@lru_cache(maxsize=1024)
def _never_asked(steps: tuple[str, ...]) -> Finding:
    return Finding(False, because=(Reason(f"Nothing has been asked for by {' or '.join(steps)}."),))


def _undone(answer: Answer | None, lapsed: datetime, in_vain: bool) -> bool:
    return answer is None or in_vain or answer.at > lapsed or answer.status in GIVEN_UP


def _said(ask: Ask, words: str) -> Reason:
    return Reason(f"“{ask.step.title}” {words}.", ask.run.triggers)


def _answered(scene: Scene, ask: Ask, answer: Answer) -> Reason:
    ended = f"{answer.status} with {answer.outcome}" if answer.outcome else f"{answer.status} without an outcome"
    return Reason(f"“{ask.step.title}” was {ended} on {scene.calendar.at_time(answer.at)}.", (answer.source,))


class Reached(Struct, frozen=True):
    """One of these steps, in any run of this spell, has come due."""

    steps: tuple[str, ...]

    def find(self, scene: Scene) -> Finding:
        """Holds since the first of them did."""
        found = [state.finding for step in self.steps if (state := scene.step(step)) is not None and state.asks]
        holding = [f for f in found if f.holds]
        if holding:
            first = min(holding, key=lambda f: f.since)
            return Finding(True, first.since, first.because)
        return Finding(False, because=(Reason(f"None of {', '.join(self.steps)} has come due."),))


class SentAgo(Struct, frozen=True):
    """The step's Communication was handed over so long ago."""

    step: str
    ago: Span

    def find(self, scene: Scene) -> Finding:
        """Holds from that instant on."""
        state = scene.step(self.step)
        sent = [a.thing.sent for a in state.asks if a.thing is not None and a.thing.sent is not None] if state else []
        if not sent:
            return Finding(False, because=(Reason(f"Nothing has been sent by the step {self.step}."),))
        first = min(sent)
        says = f"A letter was sent on {scene.calendar.on_date(first)}, and there has been no contact since."
        triggers = scene.run.triggers if scene.run else ()
        return _from(scene.calendar.after(first, self.ago), scene, Reason(says, triggers))


class TimePassed(Struct, frozen=True):
    """So much time has passed since the miss that started the run, or since a step came due."""

    time: Span
    step: str | None = None

    def find(self, scene: Scene) -> Finding:
        """Holds from that instant on."""
        run = scene.run
        if run is None:
            return Finding(False)
        start = run.counted_from
        if self.step is not None:
            state = scene.step(self.step)
            if state is None or not state.asks:
                return Finding(False, because=(Reason(f"The step {self.step} has not come due."),))
            start = state.finding.since
        end = scene.calendar.after(start, self.time)
        waited = "No contact was made" if scene.scope.spell else "It had not ended"
        says = f"{waited} by {scene.calendar.at_time(end)}."
        return _from(max(end, run.since), scene, Reason(says, run.triggers))


def _from(start: datetime, scene: Scene, reason: Reason) -> Finding:
    ending = scene.scope.ending
    if start <= scene.now:
        return Finding(True, start, (reason,))
    waits = start if ending is None or start < ending.at else None
    return Finding(False, because=(reason,), changes_at=waits)


class ContactMade(Struct, frozen=True):
    """The patient ended the run: by contact, or by attending as well where `or_attended`."""

    or_attended: bool
    without: frozenset[str]
    outcome: str | None

    def find(self, scene: Scene) -> Finding:
        """Holds since the contact."""
        ending = scene.scope.ending if scene.scope.spell else None
        if ending is None:
            return Finding(False, because=(Reason("There has been no contact with the patient."),))
        counts = ending.sign is Sign.CONTACT or (self.or_attended and ending.sign is Sign.ATTENDED)
        if ending.outcome in self.without or (self.outcome is not None and ending.outcome != self.outcome):
            counts = False
        if ending.sign not in (Sign.CONTACT, Sign.ATTENDED):
            says = f"There had been no contact with the patient by {scene.calendar.at_time(ending.at)}."
            return Finding(False, ending.at, (Reason(says, (ending.source,)),))
        with_outcome = f" ({ending.outcome})" if ending.outcome else ""
        says = f"The patient was in contact on {scene.calendar.at_time(ending.at)}{with_outcome}."
        return Finding(counts, ending.at, (Reason(says, (ending.source,)),))


class Running(Struct, frozen=True):
    """One of these pathways runs, or ran, in this spell."""

    pathways: tuple[str, ...]
    titles: tuple[str, ...]

    def find(self, scene: Scene) -> Finding:
        """Holds since the first of them started."""
        runs = [run for run in scene.beside if run.pathway in self.pathways]
        if not runs:
            # Staff are told what calls for something; that nothing else does matters to whoever asks for an account.
            return _not_running(self.titles) if scene.complete else Finding(False)
        first = min(runs, key=lambda r: r.since)
        return Finding(True, first.since, first.because)


@lru_cache(maxsize=1024)
def _not_running(titles: tuple[str, ...]) -> Finding:
    return Finding(False, because=(Reason(f"Not running: {', '.join(f'“{title}”' for title in titles)}."),))


class RanBefore(Struct, frozen=True):
    """A pathway ran in an earlier case of this patient."""

    def find(self, scene: Scene) -> Finding:
        """Holds since the first of them started."""
        if not scene.earlier:
            return Finding(False, because=(Reason("No pathway ran in an earlier episode."),))
        first = min(scene.earlier, key=lambda r: r.since)
        on = scene.calendar.on_date(first.since)
        return Finding(True, first.since, (Reason(f"A pathway ran in an earlier episode, from {on}.", first.triggers),))


class Disengaged(Struct, frozen=True):
    """When the case ended, one of these pathways was running, or had ended other than by the patient coming back."""

    pathways: tuple[str, ...]

    def find(self, scene: Scene) -> Finding:
        """Holds since the case ended."""
        runs = [run for run in scene.beside if run.pathway in self.pathways]
        last = max(runs, key=lambda run: run.since, default=None)
        ended = scene.scope.ended
        if last is None or last.ending is None or ended is None:
            return Finding(False, because=(Reason("No pathway was running when the episode ended."),))
        sign = scene.around.last_sign
        came_back = last.ending.sign in (Sign.CONTACT, Sign.ATTENDED) and last.ending.outcome != "declined"
        if came_back or (sign is not None and sign.at > last.ending.at):
            back = sign or last.ending
            on = scene.calendar.on_date(back.at)
            return Finding(False, because=(Reason(f"The patient had come back on {on}.", (back.source,)),))
        on = scene.calendar.on_date(ended.at)
        says = f"The episode was ended on {on}, and the patient had not come back."
        return Finding(True, ended.counts_from, (Reason(says, (ended.source, *last.triggers)),))


class TaskOverdue(Struct, frozen=True):
    """A Task of ours passed its due date undone."""

    def find(self, scene: Scene) -> Finding:
        """Holds since the due date."""
        late = scene.scope.overdue
        if late is None:
            return Finding(False)
        says = f"“{late.title}” was due by {scene.calendar.at_time(late.due)} and has not been done."
        return Finding(True, late.due, (Reason(says, late.triggers),))
