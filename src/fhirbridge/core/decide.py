"""decide(pack, record, own, now): what should exist, and why; a pure function of what is known.

For each case it cuts the record into spells, asks of each pathway whether it runs in that spell, works through its
steps in the order of the pack, and joins what they ask for. Nothing is remembered between two calls but the effects
that are passed in, so order and repetition of events do not matter and a corrected record corrects the consequences.
"""

from __future__ import annotations

from datetime import datetime

from fhirbridge.core.asking import REASONS, Desk
from fhirbridge.core.decision import Decision, Unfounded
from fhirbridge.core.effects import Kind, Own, Started, Thing, Withdrawal
from fhirbridge.core.facts import AppointmentState, Source
from fhirbridge.core.findings import Finding
from fhirbridge.core.identity import of_run
from fhirbridge.core.joining import join
from fhirbridge.core.policy import Pack, Pathway
from fhirbridge.core.scene import Ask, Run, Scene, StepState
from fhirbridge.core.spells import Course, Miss, Spell, course
from fhirbridge.core.timeline import Record


def decide(pack: Pack, record: Record, own: Own, now: datetime) -> Decision:
    """What the pack asks for, for this patient, at this instant (UTC)."""
    deciding = _Deciding(pack, record, own, now)
    courses = [course(case, record, own, now, pack.late) for case in record.cases]
    for each in courses:
        deciding.wake(each.changes_at)
        for spell in each.spells:
            deciding.spell(each, spell)
    obligations = join(deciding.asks, pack)
    wanted = {obligation.identity for obligation in obligations}
    gone = [t for t in own.things.values() if _could_go(t, pack) and t.identity not in wanted]
    return Decision(
        obligations=obligations,
        started=deciding.started(),
        unfounded=tuple(Unfounded(thing, _why_gone(thing, own, courses, deciding)) for thing in gone),
        wakes_at=deciding.wakes_at,
    )


class _Deciding:
    """One decision in the making."""

    def __init__(self, pack: Pack, record: Record, own: Own, now: datetime) -> None:
        self.pack = pack
        self.record = record
        self.own = own
        self.now = now
        self.asks: list[Ask] = []
        self.runs: list[tuple[Course, Run]] = []
        self.wakes_at: datetime | None = None
        self._desk = Desk(pack, record, own)

    def wake(self, at: datetime | None) -> None:
        if at is not None and at > self.now and (self.wakes_at is None or at < self.wakes_at):
            self.wakes_at = at

    def spell(self, each: Course, spell: Spell) -> None:
        ending = spell.ending
        scene = Scene(
            record=self.record,
            own=self.own,
            course=each,
            spell=spell,
            now=self.now,
            ref=min(self.now, ending.at) if ending else self.now,
            calendar=self.pack.calendar,
            late=self.pack.late,
            risk_when_unrecorded=self.pack.risk_when_unrecorded,
            runs={},
        )
        taken: set[str] = set()
        for pathway in self.pack.pathways:
            if pathway.group is not None and pathway.group in taken:
                continue
            run = self._run(pathway, scene)
            if run is not None:
                scene.runs[pathway.id] = run
                self.runs.append((each, run))
                if pathway.group is not None:
                    taken.add(pathway.group)
                self._steps(pathway, scene, run)

    def _run(self, pathway: Pathway, scene: Scene) -> Run | None:
        scene.run = None
        finding = pathway.starts.find(scene)
        self.wake(finding.changes_at)
        ending = scene.spell.ending
        if not finding.holds or (ending is not None and finding.since >= ending.at):
            return None
        misses = _cited(finding, scene.spell)
        generation = sum(m.visit.history.taken_back(AppointmentState.MISSED) for m in misses)
        name = pathway.group or pathway.id
        scope = scene.spell.scope
        return Run(
            identity=of_run(self.record.patient, scene.course.case.id, self.pack.name, name, scope, generation),
            pathway=pathway.id,
            spell=scene.spell,
            since=finding.since,
            counted_from=max((m.clock for m in misses), default=finding.since),
            because=finding.because,
            triggers=tuple(m.visit.source for m in misses),
            generation=generation,
            steps={},
        )

    def _steps(self, pathway: Pathway, scene: Scene, run: Run) -> None:
        scene.run = run
        for step in pathway.steps:
            finding = step.when.find(scene) if step.when is not None else Finding(True, run.since)
            self.wake(finding.changes_at)
            state = StepState(finding, [])
            run.steps[step.id] = state
            since = max(finding.since, run.since)
            late = not step.closing and run.ending is not None and since >= run.ending.at
            if not finding.holds or late:
                continue
            told = Finding(True, since, tuple(dict.fromkeys((*run.because, *finding.because))))
            for act in step.acts:
                ask = self._desk.ask(scene, run, step, act, told)
                state.asks.append(ask)
                self.asks.append(ask)

    def started(self) -> tuple[Started, ...]:
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
            )
            for each, run in self.runs
            if run.identity not in self.own.runs
        )


def _cited(finding: Finding, spell: Spell) -> tuple[Miss, ...]:
    """The misses that the finding rests on."""
    cited = {source for reason in finding.because for source in reason.sources}
    return tuple(miss for miss in spell.streak if miss.visit.source in cited)


# --- what nothing asks for any more -------------------------------------------------------------


def _could_go(thing: Thing, pack: Pack) -> bool:
    return (
        thing.key.pack == pack.name and thing.open and (thing.sent is None or thing.key.kind is not Kind.COMMUNICATION)
    )


def _why_gone(thing: Thing, own: Own, courses: list[Course], deciding: _Deciding) -> Withdrawal:
    """Corrected when what started it no longer stands; else what came after it."""
    run = own.runs.get(thing.run)
    missed = {m.visit.source.reference for each in courses for spell in each.spells for m in spell.misses}
    if run is not None and any(not _stands(source, missed, deciding.record) for source in run.triggers):
        return Withdrawal.CORRECTED
    for each in courses:
        if each.case.id != thing.key.case:
            continue
        for spell in each.spells:
            if spell.ending is not None and spell.scope == thing.key.scope:
                return REASONS[spell.ending.sign]
        if each.closed is not None:
            return REASONS[each.closed.sign]
        if any(other.spell.scope == thing.key.scope for _, other in deciding.runs):
            return Withdrawal.SUPERSEDED
    return Withdrawal.NOT_NEEDED


def _stands(source: Source, missed: set[str], record: Record) -> bool:
    history = record.sources.get(source.reference)
    if history is None or history.latest.erased:
        return False
    return source.type != "Appointment" or source.reference in missed
