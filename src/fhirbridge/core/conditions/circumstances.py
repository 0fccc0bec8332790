"""Conditions on what is recorded about the patient and their circumstances: risk, signals, children, family, consent.

Whatever is not recorded is unknown, never low risk; a record that contradicts itself is contradictory, never low risk.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.decision import Reason
from fhirbridge.core.facts import Consent, Relation, Source
from fhirbridge.core.findings import Finding, earliest
from fhirbridge.core.scene import Scene
from fhirbridge.core.spells import contact_cases, happened_at
from fhirbridge.core.timeline import BEGINNING, SignalSpan
from fhirbridge.core.vocabulary import ADULT_AT, CHILD_SIGNALS, NO_RISK_SIGNALS, RISK_SIGNALS

_FAMILY = frozenset({"family", "carer", "associate", "next-of-kin", "child"})


def spans(scene: Scene, codes: frozenset[str]) -> list[SignalSpan]:
    """The signals with one of these codes that hold at the instant the scene is read for."""
    return [s for s in scene.record.signals if s.code in codes and s.holds(scene.ref)]


def next_change(scene: Scene, codes: frozenset[str]) -> datetime | None:
    """When one of these signals begins or ends next; None where the scene is read for the past."""
    if scene.ref < scene.now:
        return None
    edges = [edge for s in scene.record.signals if s.code in codes for edge in (s.start, s.end)]
    return earliest(edge for edge in edges if edge is not None and edge > scene.now)


class SignalHolds(Struct, frozen=True):
    """One of the signals is live."""

    codes: frozenset[str]

    def find(self, scene: Scene) -> Finding:
        """Holds since the first of the live ones began."""
        live = spans(scene, self.codes)
        changes = next_change(scene, self.codes)
        if live:
            because = tuple(Reason(f"The record carries the signal {s.code}.", (s.source,)) for s in live)
            return Finding(True, min(s.start for s in live), because, changes)
        past = [s for s in scene.record.signals if s.code in self.codes and s.end is not None and s.end <= scene.ref]
        ended = max((s.end for s in past if s.end is not None), default=BEGINNING)
        wanted = " or ".join(sorted(self.codes))
        return Finding(False, ended, (Reason(f"The record carries no signal {wanted}."),), changes)


class RiskIs(Struct, frozen=True):
    """The recorded risk is one of `identified`, `none`, `unknown`, `contradictory`."""

    states: frozenset[str]

    def find(self, scene: Scene) -> Finding:
        """Holds since the record has been saying so."""
        state, since, because = risk(scene)
        return Finding(state in self.states, since, because, next_change(scene, RISK_SIGNALS | NO_RISK_SIGNALS))


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
        waiting = earliest(m.clock for m in scene.scope.misses if m.clock > scene.now)
        return Finding(
            False, because=(Reason("The risk was on record when the appointment was missed."),), changes_at=waiting
        )


def _recorded_at(scene: Scene, at: datetime) -> str:
    codes = {s.code for s in scene.record.signals if s.holds(at)}
    if codes & RISK_SIGNALS:
        return "contradictory" if codes & NO_RISK_SIGNALS else "identified"
    return "none" if codes & NO_RISK_SIGNALS else scene.risk_when_unrecorded


def risk(scene: Scene) -> tuple[str, datetime, tuple[Reason, ...]]:
    """What the record says of risk, since when, and why; an answer to confirm-pathway outweighs older signals."""
    confirmed = _confirmed(scene)
    after = confirmed[1] if confirmed else BEGINNING
    risks = [s for s in spans(scene, RISK_SIGNALS) if s.start > after or confirmed is None]
    denials = [s for s in spans(scene, NO_RISK_SIGNALS) if s.start > after or confirmed is None]
    reasons = tuple(Reason(_RISK_WORDS.get(s.code, f"{s.code} is recorded."), (s.source,)) for s in (*risks, *denials))
    if risks and denials:
        return "contradictory", max(s.start for s in (*risks, *denials)), reasons
    if risks:
        return "identified", min(s.start for s in risks), reasons
    if denials:
        return "none", min(s.start for s in denials), reasons
    if confirmed is not None:
        outcome, at, source = confirmed
        state = "identified" if outcome == "higher-risk" else "none"
        words = "higher" if outcome == "higher-risk" else "lower"
        return state, at, (Reason(f"The {words}-risk pathway was confirmed for this patient.", (source,)),)
    codes = RISK_SIGNALS | NO_RISK_SIGNALS
    ended = max((s.end for s in scene.record.signals if s.code in codes and s.end and s.end <= scene.ref), default=None)
    if scene.risk_when_unrecorded != "unknown":
        return scene.risk_when_unrecorded, ended or BEGINNING, (Reason("This service counts unrecorded risk so."),)
    return "unknown", ended or BEGINNING, (Reason("Nothing is recorded about risk, so it counts as unknown."),)


_RISK_WORDS = {
    "risk-none": "The absence of risk is recorded.",
    "risk": "A risk is recorded.",
    "risk-high": "A high risk is recorded.",
    "self-harm-risk": "A risk of self-harm is recorded.",
    "immediate-risk": "An immediate risk is recorded.",
    "safeguarding-adult": "A safeguarding concern about the adult is recorded.",
    "safeguarding-child": "A safeguarding concern about a child is recorded.",
}


def _confirmed(scene: Scene) -> tuple[str, datetime, Source] | None:
    """The latest answer to confirm-pathway in this spell."""
    answers = [
        (task.latest.outcome, happened_at(task), task.latest.source)
        for task in scene.record.tasks
        if task.latest.outcome in ("higher-risk", "lower-risk")
        and task.latest.status == "completed"
        and "confirm-pathway" in task.latest.actions
        and scene.scope.start < happened_at(task) <= scene.ref
        and scene.course.case.id in contact_cases(task, scene.own, scene.record.cases)
    ]
    latest = max(answers, key=lambda answer: answer[1], default=None)
    return (latest[0], latest[1], latest[2]) if latest and latest[0] else None


class ChildInvolved(Struct, frozen=True):
    """A child is in the patient's care or in contact with them; silence about children means none."""

    def find(self, scene: Scene) -> Finding:
        """By a signal, or by a RelatedPerson who is the patient's child and under 18."""
        signal = SignalHolds(CHILD_SIGNALS).find(scene)
        minors = [
            (relation, _adult_from(relation.latest, scene.calendar))
            for relation in scene.record.relations
            if "child" in relation.latest.kinds and _current(relation.latest, scene.ref)
        ]
        under = [(r, until) for r, until in minors if until is None or scene.ref < until]
        edges = (u for _, u in under if u is not None and u > scene.now)
        changes = earliest((signal.changes_at, relations_change(scene), *edges))
        if signal.holds and not under:
            return Finding(True, signal.since, signal.because, changes)
        if not under:
            ended = max((u for _, u in minors if u is not None), default=BEGINNING)
            says = "No child in the patient's care or in contact with them is on record."
            return Finding(False, max(signal.since, ended), (Reason(says),), changes)
        because = tuple(Reason("A child of the patient is on record.", (r.latest.source,)) for r, _ in under)
        since = min(scene_start(r.latest.start, r.stretches[0].known) for r, _ in under)
        if signal.holds:
            return Finding(True, min(signal.since, since), (*signal.because, *because), changes)
        return Finding(True, since, because, changes)


def relations_change(scene: Scene) -> datetime | None:
    """When somebody's relation to the patient begins or ends next, as recorded."""
    edges = (edge for r in scene.record.relations for edge in (r.latest.start, r.latest.end))
    return earliest(edge for edge in edges if edge is not None and edge > scene.now)


def scene_start(start: datetime | None, known: datetime) -> datetime:
    """When a circumstance began: as recorded, at the latest when it became known."""
    return min(start, known) if start is not None else known


def _adult_from(relation: Relation, calendar: Calendar) -> datetime | None:
    born = relation.birth_date
    if born is None:
        return None
    try:
        birthday = born.replace(year=born.year + ADULT_AT)
    except ValueError:  # born on 29 February: of age on 1 March in a common year
        birthday = born.replace(year=born.year + ADULT_AT, month=3, day=1)
    return calendar.start_of_day(birthday)


def _current(relation: Relation, at: datetime) -> bool:
    begun = relation.start is None or relation.start <= at
    return relation.active and begun and (relation.end is None or at < relation.end)


class FamilyOnRecord(Struct, frozen=True):
    """A family member, carer or associate with a telephone or an address is on record."""

    def find(self, scene: Scene) -> Finding:
        """Holds since the first of them became known."""
        reachable = [
            r
            for r in scene.record.relations
            if r.latest.contactable
            and _FAMILY.intersection(r.latest.kinds)
            and _current(r.latest, scene.ref)
            and not _minor(r.latest, scene)
        ]
        changes = relations_change(scene)
        if not reachable:
            says = "Nobody of the family who can be reached is on record."
            return Finding(False, because=(Reason(says),), changes_at=changes)
        because = tuple(
            Reason("A family member or carer who can be reached is on record.", (r.latest.source,)) for r in reachable
        )
        since = min(scene_start(r.latest.start, r.stretches[0].known) for r in reachable)
        return Finding(True, since, because, changes)


def _minor(relation: Relation, scene: Scene) -> bool:
    until = _adult_from(relation, scene.calendar)
    return "child" in relation.kinds and until is not None and scene.ref < until


class MayShare(Struct, frozen=True):
    """Nobody refused sharing with this audience (`family`, `agency`): no signal, and no Consent that denies it."""

    audience: str

    def find(self, scene: Scene) -> Finding:
        """Holds while neither stands."""
        refused = SignalHolds(frozenset({"sharing-refused"})).find(scene)
        denials = [c.latest for c in scene.record.consents if self._denies(c.latest, scene.ref)]
        edges = [edge for c in scene.record.consents for edge in (c.latest.start, c.latest.end)]
        changes = earliest((refused.changes_at, *(e for e in edges if e is not None and e > scene.now)))
        if denials:
            because = tuple(Reason("A consent on record denies sharing.", (c.source,)) for c in denials)
            return Finding(False, min(scene_start(c.start, c.known) for c in denials), because, changes)
        if refused.holds:
            return Finding(False, refused.since, refused.because, changes)
        ended = [c.latest.end for c in scene.record.consents if c.latest.end and c.latest.end <= scene.ref]
        return Finding(True, max((refused.since, *ended)), (Reason("Nothing on record refuses sharing."),), changes)

    def _denies(self, consent: Consent, at: datetime) -> bool:
        if consent.permits or consent.status != "active":
            return False
        begun = consent.start is None or consent.start <= at
        within = begun and (consent.end is None or at < consent.end)
        return within and (not consent.covers or self.audience in consent.covers)


class SettingIs(Struct, frozen=True):
    """The episode belongs to this setting (`community`, `home-treatment`, `inpatient`, `therapy`)."""

    setting: str

    def find(self, scene: Scene) -> Finding:
        """Stands for the whole episode."""
        episode = scene.course.case.episode
        if episode is None:
            return Finding(False, because=(Reason("No episode of care is on record for this appointment."),))
        says = f"The episode's setting is {', '.join(episode.latest.settings) or 'not recorded'}."
        return Finding(self.setting in episode.latest.settings, because=(Reason(says, (episode.latest.source,)),))


class ReferralIs(Struct, frozen=True):
    """A referral of this case has one of these priorities; without any referral on record it counts as routine."""

    priorities: frozenset[str]

    def find(self, scene: Scene) -> Finding:
        """Stands for as long as the referral does."""
        named = [scene.record.referrals.get(reference) for reference in scene.course.case.referrals]
        referrals = [r for r in named if r is not None and r.status not in ("revoked", "entered-in-error")]
        matching = [r for r in referrals if r.priority in self.priorities]
        if not referrals:
            says = "No referral is on record, so it counts as routine."
            return Finding("routine" in self.priorities, because=(Reason(says),))
        because = tuple(Reason(f"The referral's priority is {r.priority}.", (r.source,)) for r in matching or referrals)
        return Finding(bool(matching), because=because)


class PlanOnRecord(Struct, frozen=True):
    """A plan of this kind is on record: a CarePlan with this category, or a Task for it that was completed."""

    action: str

    def find(self, scene: Scene) -> Finding:
        """Holds since the first of them became known."""
        plans = [p for p in scene.record.plans if self.action in p.latest.actions and p.latest.status in _HAVE_PLAN]
        done = [t for t in scene.record.tasks if self.action in t.latest.actions and t.latest.status == "completed"]
        found = [(p.since, p.latest.source) for p in plans] + [(happened_at(t), t.latest.source) for t in done]
        if not found:
            return Finding(False, because=(Reason(f"No {self.action} is on record."),))
        since, source = min(found)
        return Finding(True, since, (Reason(f"A {self.action} is on record.", (source,)),))


_HAVE_PLAN = frozenset({"active", "completed"})


class EpisodeIs(Struct, frozen=True):
    """The episode has one of these R4 statuses.

    A referral that led to nothing yet counts as `planned`, appointments without an episode as `active`.
    """

    statuses: frozenset[str]

    def find(self, scene: Scene) -> Finding:
        """Holds since that status became known."""
        case = scene.course.case
        if case.episode is not None:
            fact = case.episode.latest
            reason = Reason(f"The episode of care is {fact.status}.", (fact.source,))
            return Finding(fact.status in self.statuses, case.episode.stretches[0].known, (reason,))
        if case.referral is not None:
            reason = Reason("The patient has been referred.", (case.referral.source,))
            return Finding("planned" in self.statuses, case.referral.known, (reason,))
        seen = tuple(Reason("Appointments were made for the patient.", (v.source,)) for v in case.visits[:1])
        return Finding("active" in self.statuses, case.begun, seen)
