"""decide(pack, record, own, now): what should exist, and why; a pure function of what is known.

For each case it finds the scopes that pathways are anchored on, asks of each pathway whether it runs there, works
through its steps in the order of the pack, and joins what they ask for. Nothing is remembered between two calls but the
effects that are passed in, so order and repetition of events do not matter and a corrected record corrects the
consequences.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.asking import Desk
from fhirbridge.core.corrections import corrections
from fhirbridge.core.decision import Decision, Standing, Unfounded
from fhirbridge.core.effects import Kind, Own, Started
from fhirbridge.core.facts import AppointmentState, Source
from fhirbridge.core.findings import Finding
from fhirbridge.core.identity import of_run
from fhirbridge.core.joining import join
from fhirbridge.core.policy import Pack, Pathway, Step
from fhirbridge.core.scene import Ask, Run, Scene, StepState
from fhirbridge.core.scopes import (
    after,
    home_of,
    of_answer,
    of_case,
    of_discharge,
    of_overdue,
    of_signal,
    of_signal_end,
    of_signal_in_spell,
    of_signal_in_stay,
    of_stay,
    of_stay_end,
)
from fhirbridge.core.sharing import may_be_told
from fhirbridge.core.spells import Course, Ending, Overdue, Scope, Sign, course
from fhirbridge.core.timeline import Record
from fhirbridge.core.unfounded import could_go, why_gone


def decide(
    pack: Pack, record: Record, own: Own, now: datetime, *, cases: frozenset[str] | None = None, starts: bool = True
) -> Decision:
    """What the pack asks for, for this patient, at this instant (UTC).

    `cases` are the ids of the cases it applies to, all by default. A run stays with the version and the settings of the
    pack that it was started with; with `starts` off, the pack is such an older edition and starts nothing new.
    """
    deciding = Deciding(pack, record, own, now, cases=cases, starts=starts)
    courses = deciding.everything()
    obligations = join(deciding.asks, pack)
    wanted = {obligation.identity for obligation in obligations}
    gone = [t for t in own.things.values() if could_go(t, pack, own) and t.identity not in wanted]
    runs = [run for _, run in deciding.runs]
    return Decision(
        obligations=(*obligations, *corrections(pack, record, own)),
        started=deciding.started(),
        endings=tuple(dict.fromkeys(deciding.endings)),
        unfounded=tuple(Unfounded(thing, why_gone(thing, pack, own, courses, runs, record)) for thing in gone),
        wakes_at=deciding.wakes_at,
    )


class Look(Struct, frozen=True):
    """One pathway looked at in one scope: what its start came to, and the run, if it started."""

    case: str
    scope: Scope
    pathway: Pathway
    starts: Finding
    run: Run | None


class Deciding:
    """One decision in the making; with `complete`, everything that was looked at is kept in `looks`."""

    def __init__(
        self,
        pack: Pack,
        record: Record,
        own: Own,
        now: datetime,
        *,
        cases: frozenset[str] | None = None,
        starts: bool = True,
        complete: bool = False,
    ) -> None:
        self._cases = cases
        self._starts = starts
        self.looks: list[Look] = []
        self._complete = complete
        self.pack = pack
        self.record = record
        self.own = own
        self.now = now
        self.courses: list[Course] = []
        self.endings: list[tuple[str, str]] = []
        self.asks: list[Ask] = []
        self.runs: list[tuple[Course, Run]] = []
        self.wakes_at: datetime | None = None
        self._desk = Desk(pack, record, own)
        self._in_spell = [p for p in pack.pathways if p.once_per in ("spell", "signal-in-spell")]
        self._elsewhere = [p for p in pack.pathways if p.once_per not in ("spell", "signal-in-spell", "task")]
        self._for_tasks = [p for p in pack.pathways if p.once_per == "task"]

    def wake(self, at: datetime | None) -> None:
        """Look again at that instant, unless something earlier comes."""
        if at is not None and at > self.now and (self.wakes_at is None or at < self.wakes_at):
            self.wakes_at = at

    def everything(self) -> list[Course]:
        """Work through every case; the courses that were found."""
        late = self.pack.late
        self.courses = [course(case, self.record, self.own, self.now, late) for case in self.record.cases]
        for each in self.courses:
            if self._cases is None or each.case.id in self._cases:
                self.case(each)
        self.overdue()
        for at in self._desk.wakes:
            self.wake(at)
        return self.courses

    # --- scopes --------------------------------------------------------------------------

    def case(self, each: Course) -> None:
        """Everything that is anchored on something of this case."""
        self.wake(each.changes_at)
        earlier = tuple(run for _, run in self.runs if run.scope.misses and run.since < each.case.begun)
        runs: list[Run] = []
        for spell in each.spells:
            runs = self.spell(each, spell, earlier) or runs
        for pathway in self._elsewhere:
            for scope in self._scopes(pathway, each):
                self.wake(scope.start)
                if scope.start <= self.now:
                    self.anchored(pathway, each, scope, runs if pathway.once_per == "discharge" else [], earlier)

    def _scopes(self, pathway: Pathway, each: Course) -> Iterable[Scope]:
        """What of this case a pathway that is not about spells is anchored on."""
        record, signals, now = self.record, pathway.signals, self.now
        match pathway.once_per:
            case "discharge":
                scopes = of_discharge(each)
            case "episode":
                scopes = of_case(each)
            case "signal":
                scopes = of_signal(each, record, signals, patient_wide=pathway.one_case)
            case "signal-end":
                scopes = of_signal_end(each, record, signals, now)
            case "signal-in-stay":
                scopes = of_signal_in_stay(each, record, signals, now)
            case "stay":
                scopes = of_stay(each, now)
            case "stay-end":
                scopes = of_stay_end(each, now)
            case _:
                scopes = of_answer(each, record, self.own, pathway.outcomes)
        return [scope for scope in scopes if self._belongs(pathway, scope, each)]

    def _belongs(self, pathway: Pathway, scope: Scope, each: Course) -> bool:
        if not pathway.one_case or scope.signal is None:
            return True
        return home_of(scope.signal, self.courses) == each.case.id

    def spell(self, each: Course, spell: Scope, earlier: tuple[Run, ...]) -> list[Run]:
        """The pathways of one spell; of those in one group, the first that starts."""
        runs: list[Run] = []
        taken: set[str] = set()
        for pathway in self._in_spell:
            lacks_miss = pathway.needs == "miss" and not spell.misses
            if not self._complete and (lacks_miss or (pathway.needs == "run" and not runs)):
                continue
            if pathway.once_per == "spell" and not (pathway.group and pathway.group in taken):
                started = self.anchored(pathway, each, spell, runs, earlier)
                if started and pathway.group is not None:
                    taken.add(pathway.group)
                while started and (rest := after(spell, runs[-1])) is not None:
                    started = self.anchored(pathway, each, rest, runs, earlier)
            elif pathway.once_per == "signal-in-spell":
                for scope in of_signal_in_spell(spell, self.record, pathway.signals):
                    self.wake(scope.start)
                    if scope.start <= self.now:
                        self.anchored(pathway, each, scope, runs, earlier)
        return runs

    def overdue(self) -> None:
        """What is owed for every Task of ours that passed its due date and still waits."""
        if not self._for_tasks:
            return
        courses = {each.case.id: each for each, _ in self.runs}
        for ask in list(self.asks):
            waits = ask.standing is Standing.OPEN or ask.passed_on
            if ask.act.kind is not Kind.TASK or not waits or ask.thing is None:
                continue
            self.wake(ask.due)
            if ask.lapsed is None:
                continue
            late = Overdue(ask.identity, ask.step.title, ask.lapsed, ask.run.triggers)
            each = courses[ask.run.case]
            for pathway in self._for_tasks:
                ending = ask.run.ending if ask.passed_on else None
                self.anchored(pathway, each, of_overdue(late, ending), [], ())

    # --- runs and steps ------------------------------------------------------------------

    def anchored(self, pathway: Pathway, each: Course, scope: Scope, runs: list[Run], earlier: tuple[Run, ...]) -> bool:
        """Run the pathway in this scope if it starts there; whether it did."""
        scene = self._scene(each, scope, runs, earlier, patient_wide=pathway.one_case)
        finding = pathway.starts.find(scene)
        self.wake(finding.changes_at)
        over = scope.ending is not None and max(finding.since, scope.start) >= scope.ending.at
        run = self._run(pathway, scene, finding) if finding.holds and not over else None
        if run is not None and not self._is_ours(run):
            run = None
        if self._complete:
            self.looks.append(Look(each.case.id, scope, pathway, finding, run))
        if run is None:
            return False
        runs.append(run)
        self.runs.append((each, run))
        scene.run = run
        run.ended = self._ended(pathway, scene)
        for step in pathway.steps:
            run.steps[step.id] = self._step(step, scene, run)
        return True

    def _scene(
        self, each: Course, scope: Scope, runs: list[Run], earlier: tuple[Run, ...], *, patient_wide: bool
    ) -> Scene:
        ending = scope.ending
        return Scene(
            record=self.record,
            own=self.own,
            course=each,
            scope=scope,
            now=self.now,
            ref=min(self.now, ending.at) if ending else self.now,
            calendar=self.pack.calendar,
            late=self.pack.late,
            risk_when_unrecorded=self.pack.risk_when_unrecorded,
            runs=runs,
            earlier=earlier,
            complete=self._complete,
            patient_wide=patient_wide,
        )

    def _run(self, pathway: Pathway, scene: Scene, finding: Finding) -> Run:
        scope = scene.scope
        cited = tuple(dict.fromkeys(source for reason in finding.because for source in reason.sources))
        misses = tuple(miss for miss in scope.streak if miss.visit.source in cited)
        since = max(finding.since, scope.start)
        generation = sum(m.visit.history.taken_back(AppointmentState.MISSED) for m in misses)
        name = pathway.group or pathway.id
        return Run(
            identity=of_run(self.record.patient, scene.course.case.id, self.pack.name, name, scope.name, generation),
            pathway=pathway.id,
            case=scene.course.case.id,
            scope=scope,
            since=since,
            counted_from=max((m.clock for m in misses), default=since),
            because=finding.because,
            triggers=_triggers(scope, tuple(m.visit.source for m in misses), cited),
            generation=generation,
            steps={},
        )

    def _is_ours(self, run: Run) -> bool:
        """Whether the run belongs to this edition of the pack: it was started with it, or is new."""
        started = self.own.runs.get(run.identity)
        return self._starts if started is None else self.pack.is_edition(started)

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
        self.wake(finding.changes_at)
        state = StepState(finding, [])
        since = max(finding.since, run.since)
        late = not step.closing and run.ending is not None and since >= run.ending.at
        if not finding.holds or late:
            return state
        told = Finding(True, since, tuple(dict.fromkeys((*run.because, *finding.because))))
        for act in step.acts:
            allowed = may_be_told(act.role, scene)
            self.wake(allowed.changes_at)
            if not allowed.holds:
                continue
            if act.ends:
                self.endings.append((act.action, step.row))
            else:
                state.asks += self._desk.asks(scene, run, step, act, told)
        self.asks += state.asks
        return state

    def started(self) -> tuple[Started, ...]:
        """Every run that stands, to be recorded when it first writes."""
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
                settings=dict(self.pack.settings),
            )
            for each, run in self.runs
            if run.identity not in self.own.runs
        )


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
