"""What the record says of risk. What is not recorded is unknown, and what contradicts itself is never low."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from fhirbridge.core.attribution import cases_of_task, happened_at
from fhirbridge.core.conditions.circumstances import next_change
from fhirbridge.core.decision import Reason
from fhirbridge.core.facts import Source
from fhirbridge.core.findings import Finding, earliest
from fhirbridge.core.history import BEGINNING
from fhirbridge.core.scene import Scene
from fhirbridge.core.signals import SignalSpan
from fhirbridge.core.vocabulary import NO_RISK_SIGNALS, RISK_SIGNALS

_MOMENT = timedelta(microseconds=1)
_CODES = RISK_SIGNALS | NO_RISK_SIGNALS

_Confirmed = tuple[datetime, str, Source]
"""An answer to confirm-pathway: when, what it says, and which version says so."""


class RiskIs(Struct, frozen=True):
    """The recorded risk is one of `identified`, `none`, `unknown`, `contradictory`."""

    states: frozenset[str]

    def find(self, scene: Scene) -> Finding:
        """Holds since the record began to say one of these, whichever of them it said first."""
        found = scene.once((_STANDING, scene.ref, scene.scope.start, scene.course.case.id), _standing)
        holds = found.state in self.states
        since = next((edge for edge, before in found.before if (before in self.states) is not holds), BEGINNING)
        return Finding(holds, since, found.because, found.changes_at)


class _Standing(Struct, frozen=True):
    """What is recorded of risk and why, since which instants it may be so, with what it was before, and until when."""

    state: str
    because: tuple[Reason, ...]
    before: tuple[tuple[datetime, str], ...]
    changes_at: datetime | None


_STANDING = "risk"


def _standing(scene: Scene) -> _Standing:
    recorded, confirmed = _recorded(scene), _confirmed(scene)
    state, because = _risk(scene, recorded, confirmed, scene.ref)
    edges = {edge for s in recorded for edge in (s.start, s.end) if edge is not None and edge <= scene.ref}
    edges.update([at for at, _, _ in confirmed])
    before = [(at, _risk(scene, recorded, confirmed, at - _MOMENT)[0]) for at in sorted(edges, reverse=True)]
    return _Standing(state, because, tuple(before), next_change(scene, _CODES))


class RiskWhenMissed(Struct, frozen=True):
    """The recorded risk was one of these when an appointment of this spell was missed, whatever was found out since."""

    states: frozenset[str]

    def find(self, scene: Scene) -> Finding:
        """Holds since the first such miss."""
        for miss in scene.scope.misses:
            state = _recorded_at(scene, miss.clock)
            if miss.clock <= scene.now and state in self.states:
                at = scene.calendar.at_time(miss.at)
                says = f"When the appointment on {at} was missed, the recorded risk was {state}."
                return Finding(True, miss.clock, (Reason(says, (miss.visit.source,)),))
        if not scene.scope.misses:
            return Finding(False, because=(Reason("No appointment was missed."),))
        waiting = earliest(m.clock for m in scene.scope.misses if m.clock > scene.now)
        return Finding(
            False, because=(Reason("The risk was on record when the appointment was missed."),), changes_at=waiting
        )


class RiskSettled(Struct, frozen=True):
    """At some time since the run started the record said clearly whether there is a risk."""

    def find(self, scene: Scene) -> Finding:
        """Holds since the first such instant, whatever was recorded later."""
        run = scene.run
        spans_ = _recorded(scene)
        edges = [edge for s in spans_ for edge in (s.start, s.end) if edge is not None]
        since = run.since if run is not None else scene.scope.start
        for at in sorted({since, *(edge for edge in edges if since < edge <= scene.ref)}):
            live = [s for s in spans_ if s.holds(at)]
            kinds = {s.code in RISK_SIGNALS for s in live}
            if len(kinds) == 1:
                reasons = tuple(Reason(_RISK_WORDS[s.code], (s.source,)) for s in live)
                return Finding(True, at, reasons)
        return Finding(
            False, because=(Reason("The risk has not been recorded since."),), changes_at=next_change(scene, _CODES)
        )


def _recorded_at(scene: Scene, at: datetime) -> str:
    codes = {s.code for s in scene.record.signals if s.holds(at)}
    if codes & RISK_SIGNALS:
        return "contradictory" if codes & NO_RISK_SIGNALS else "identified"
    return "none" if codes & NO_RISK_SIGNALS else scene.risk_when_unrecorded


def risk(scene: Scene, at: datetime) -> tuple[str, tuple[Reason, ...]]:
    """What the record says of risk at that instant, and why; an answer to confirm-pathway outweighs older signals."""
    return _risk(scene, _recorded(scene), _confirmed(scene), at)


def _risk(
    scene: Scene, recorded: list[SignalSpan], answers: list[_Confirmed], at: datetime
) -> tuple[str, tuple[Reason, ...]]:
    confirmed = max([a for a in answers if a[0] <= at], default=None)
    live = [s for s in recorded if s.holds(at) and (confirmed is None or s.start > confirmed[0])]
    if live:
        risks = [s for s in live if s.code in RISK_SIGNALS]
        denials = [s for s in live if s.code in NO_RISK_SIGNALS]
        state = "contradictory" if risks and denials else "identified" if risks else "none"
        return state, tuple([Reason(_RISK_WORDS[s.code], (s.source,)) for s in (*risks, *denials)])
    if confirmed is not None:
        _, outcome, source = confirmed
        state, words = ("identified", "higher") if outcome == "higher-risk" else ("none", "lower")
        return state, (Reason(f"The {words}-risk pathway was confirmed for this patient.", (source,)),)
    if scene.risk_when_unrecorded != "unknown":
        says = f"Nothing is recorded about risk; by this service's settings it counts as {scene.risk_when_unrecorded}."
        return scene.risk_when_unrecorded, (Reason(says),)
    return "unknown", (Reason("Nothing is recorded about risk, so it counts as unknown."),)


def _recorded(scene: Scene) -> list[SignalSpan]:
    """Every signal that says there is a risk, or that there is none, whenever it held."""
    return [s for s in scene.record.signals if s.code in _CODES]


_RISK_WORDS = {
    "risk-none": "The absence of risk is recorded.",
    "risk": "A risk is recorded.",
    "risk-high": "A high risk is recorded.",
    "self-harm-risk": "A risk of self-harm is recorded.",
    "immediate-risk": "An immediate risk is recorded.",
    "safeguarding-adult": "A safeguarding concern about the adult is recorded.",
    "safeguarding-child": "A safeguarding concern about a child is recorded.",
}


def _confirmed(scene: Scene) -> list[_Confirmed]:
    """The answers to confirm-pathway in this spell."""
    return [
        (happened_at(task), task.latest.outcome, task.latest.source)
        for task in scene.record.tasks
        if task.latest.outcome in ("higher-risk", "lower-risk")
        and task.latest.status == "completed"
        and "confirm-pathway" in task.latest.actions
        and scene.scope.start < happened_at(task) <= scene.ref
        and scene.course.case.id in cases_of_task(task, scene.own, scene.record.cases)
    ]
