"""One pathway in one scope: whether it starts there, what ends it, and what its steps come to.

Steps are worked through in the order of the pack, and see what the steps before them came to.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any

from fhirbridge.core.asking import Desk
from fhirbridge.core.decision import Standing
from fhirbridge.core.effects import Started
from fhirbridge.core.facts import AppointmentState, Source
from fhirbridge.core.findings import Finding
from fhirbridge.core.gaps import Gap
from fhirbridge.core.identity import of_run
from fhirbridge.core.own import Own
from fhirbridge.core.policy import Pack, Pathway, Step
from fhirbridge.core.scene import Found, Run, Scene, StepState
from fhirbridge.core.sharing import may_be_told
from fhirbridge.core.signs import Ending, Sign
from fhirbridge.core.spells import Course, Scope
from fhirbridge.core.timeline import Record


class Runs:
    """The runs of one decision, in the order in which they were found.

    With `starts` off, the pack is an older edition, which runs on where it was started and starts nothing new. With
    `complete`, conditions look at everything, even where the answer is settled. `gaps` hold back what leads towards a
    discharge and is not written yet.
    """

    def __init__(
        self,
        pack: Pack,
        record: Record,
        own: Own,
        now: datetime,
        *,
        starts: bool = True,
        complete: bool = False,
        gaps: tuple[Gap, ...] = (),
    ) -> None:
        self.pack = pack
        self.record = record
        self.own = own
        self.now = now
        self.complete = complete
        self.gaps = gaps
        self.found = Found()
        """What has been found so far in the place that is looked into."""
        self._starts = starts
        self._answered: dict[object, Any] = {}

    @cached_property
    def _desk(self) -> Desk:
        return Desk(self.pack, self.record, self.own, self.wake)

    @property
    def wakes_at(self) -> datetime | None:
        """The first instant after now at which something may change by itself."""
        return min((at for at in self.found.wakes if at > self.now), default=None)

    def wake(self, at: datetime | None) -> None:
        """Something may change by itself at that instant, if one is given."""
        if at is not None:
            self.found.wakes.add(at)

    def start(self, pathway: Pathway, each: Course, scope: Scope, runs: list[Run], earlier: tuple[Run, ...]) -> bool:
        """Run the pathway in this scope if it starts there; whether it did."""
        scene = self._scene(each, scope, runs, earlier, patient_wide=pathway.one_case)
        finding = pathway.starts.find(scene)
        self.wake(finding.changes_at)
        if not finding.holds:
            return False
        over = scope.ending is not None and max(finding.since, scope.start) >= scope.ending.at
        run = self._run(pathway, scene, finding) if not over else None
        if run is None or not self._is_ours(run, follows=bool(runs) or scope.overdue is not None):
            return False
        runs.append(run)
        self.found.all.append((each, run))
        scene.run = run
        run.ended = self._ended(pathway, scene)
        for step in pathway.steps:
            run.steps[step.id] = self._step(step, scene, run)
        return True

    def remembered(self, found: Found) -> None:
        """Take what was found in a place before as if it had been looked into."""
        if found.asked:
            self._desk.asked(found.asked)
        self.found.take(found)

    def new(self) -> tuple[Started, ...]:
        """Every run that is not on record yet, to be recorded when it first writes."""
        return tuple(
            Started(
                identity=run.identity,
                at=self.now,
                pack=self.pack.name,
                version=self.pack.version,
                pathway=run.pathway,
                case=each.case.id,
                since=run.since,
                triggers=run.triggers,
                settings=self.pack.settings,
            )
            for each, run in self.found.all
            if run.identity not in self.own.runs
        )

    def may_tell(self, role: str, each: Course) -> bool:
        """Whether this role may be told anything of the case now; looks again when that changes."""
        scope = Scope(name="episode", start=each.case.begun, whole_case=True)
        allowed = may_be_told(role, self._scene(each, scope, [], (), patient_wide=False))
        self.wake(allowed.changes_at)
        return allowed.holds

    def _scene(
        self, each: Course, scope: Scope, runs: list[Run], earlier: tuple[Run, ...], *, patient_wide: bool
    ) -> Scene:
        ending = scope.ending
        return Scene(
            record=self.record,
            done=self.own,
            course=each,
            scope=scope,
            now=self.now,
            ref=min(self.now, ending.at) if ending else self.now,
            calendar=self.pack.calendar,
            late=self.pack.late,
            risk_when_unrecorded=self.pack.risk_when_unrecorded,
            runs=runs,
            earlier=earlier,
            complete=self.complete,
            patient_wide=patient_wide,
            place=self.found,
            answered=self._answered,
        )

    def _run(self, pathway: Pathway, scene: Scene, finding: Finding) -> Run:
        scope = scene.scope
        cited = dict.fromkeys([source for reason in finding.because for source in reason.sources])
        misses = [miss for miss in scope.streak if miss.visit.source in cited]
        since = max(finding.since, scope.start)
        generation = sum([m.visit.history.taken_back(AppointmentState.MISSED) for m in misses])
        name = pathway.group or pathway.id
        return Run(
            identity=of_run(self.record.patient, scene.course.case.id, self.pack.name, name, scope.name, generation),
            pathway=pathway.id,
            case=scene.course.case.id,
            scope=scope,
            since=since,
            counted_from=max([m.clock for m in misses], default=since),
            because=finding.because,
            triggers=_triggers(scope, tuple([m.visit.source for m in misses]), cited),
            generation=generation,
            steps={},
        )

    def _is_ours(self, run: Run, *, follows: bool) -> bool:
        """Whether it belongs to this edition of the pack: it was started with it, follows what was, or is new."""
        started = self.own.runs.get(run.identity)
        if started is None:
            return (self._starts or follows) and not self._is_past(run)
        return self.pack.is_edition(started)

    def _is_past(self, run: Run) -> bool:
        """Whether it is about something that was over before the pack is followed, whenever that became known.

        Of several lapses in a row, the last one counts. What goes on is not over, however long ago it began.
        """
        begins, scope = self.pack.follow_from, run.scope
        if begins is None:
            return False
        cited = {source for reason in run.because for source in reason.sources}
        lapses = (*scope.streak, *scope.lapses)
        if any(lapse.visit.source in cited for lapse in lapses):
            return max(lapse.at for lapse in lapses) < begins
        over = scope.ended or scope.ending
        return over is not None and over.at < begins

    def _ended(self, pathway: Pathway, scene: Scene) -> Ending | None:
        """The end of the signal it is about, or what the pathway itself says ends its runs, if that has come."""
        signal = scene.scope.signal
        about_signal = signal is not None and not scene.scope.spell and scene.scope.ended is None
        if signal is not None and about_signal and signal.end is not None and signal.end <= self.now:
            return Ending(signal.end, Sign.OVER, signal.source, signal.source.reference)
        if pathway.ends is None:
            return None
        finding = pathway.ends.find(scene)
        self.wake(finding.changes_at)
        sources = [source for reason in finding.because for source in reason.sources]
        if not finding.holds or not sources:
            return None
        return Ending(finding.since, Sign.CONTACT, sources[0], sources[0].reference)

    def _step(self, step: Step, scene: Scene, run: Run) -> StepState:
        finding = step.when.find(scene) if step.when is not None else Finding(True, run.since)
        if finding.changes_at is not None:
            self.found.wakes.add(finding.changes_at)
        state = StepState(finding, [])
        if not finding.holds:
            return state
        since = max(finding.since, run.since)
        if not step.closing and run.ending is not None and since >= run.ending.at:
            return state
        because = (*run.because, *(reason for reason in finding.because if reason not in run.because))
        told = Finding(True, since, because)
        for act in step.acts:
            allowed = may_be_told(act.role, scene)
            self.wake(allowed.changes_at)
            if not allowed.holds:
                continue
            if act.ends:
                self.found.endings.append((act.action, step.row))
            else:
                state.asks += self._desk.asks(scene, run, step, act, told)
        if self.gaps and step.towards == "discharge":
            self._hold(step, state)
        self.found.asks += state.asks
        return state

    def _hold(self, step: Step, state: StepState) -> None:
        kept = [ask for ask in state.asks if ask.thing is not None or ask.standing is not Standing.OPEN]
        state.held = len(kept) < len(state.asks)
        state.asks = kept
        if state.held:
            self.found.held.append(step.id)


def _triggers(scope: Scope, missed: tuple[Source, ...], cited: Iterable[Source]) -> tuple[Source, ...]:
    """What set the run off: the misses, the signal, the end of the episode, or whatever its start rests on."""
    signal = (scope.signal.source,) if scope.signal is not None else ()
    if (missed and scope.misses) or signal:
        return (*signal, *missed)
    if scope.overdue is not None:
        return scope.overdue.triggers
    if scope.ended is not None:
        return (scope.ended.source, *(source for source in cited if source.type == "Appointment"))
    anchored = scope.stay or scope.answer
    if anchored is not None:
        return (anchored,)
    return tuple(cited)
