"""Conditions on what is recorded about the patient and their circumstances: risk, signals, children, family, consent.

Whatever is not recorded is unknown, never low risk; a record that contradicts itself is contradictory, never low risk.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from msgspec import Struct

from fhirbridge.core.attribution import happened_at
from fhirbridge.core.decision import Reason
from fhirbridge.core.facts import Referral
from fhirbridge.core.findings import Finding, earliest
from fhirbridge.core.history import BEGINNING
from fhirbridge.core.scene import Scene
from fhirbridge.core.signals import SignalSpan


def spans(scene: Scene, codes: frozenset[str]) -> list[SignalSpan]:
    """The signals with one of these codes that hold at the instant the scene is read for."""
    return [s for s in scene.record.signals if s.code in codes and s.holds(scene.ref)]


def next_change(scene: Scene, codes: frozenset[str]) -> datetime | None:
    """When one of these signals begins or ends next; None where the scene is read for the past."""
    if scene.ref < scene.now:
        return None
    edges = [edge for s in scene.record.signals if s.code in codes for edge in (s.start, s.end)]
    return earliest([edge for edge in edges if edge is not None and edge > scene.now]) if edges else None


class SignalHolds(Struct, frozen=True):
    """One of the signals is live."""

    codes: frozenset[str]

    def find(self, scene: Scene) -> Finding:
        """Holds since the first of the live ones began."""
        if all(s.code not in self.codes for s in scene.record.signals):
            return _absent(self.codes)
        return scene.once((self, scene.ref), self._find)

    def _find(self, scene: Scene) -> Finding:
        live = spans(scene, self.codes)
        changes = next_change(scene, self.codes)
        if live:
            because = tuple(Reason(f"The record carries the signal {s.code}.", (s.source,)) for s in live)
            return Finding(True, min(s.start for s in live), because, changes)
        past = [s for s in scene.record.signals if s.code in self.codes and s.end is not None and s.end <= scene.ref]
        ended = max((s.end for s in past if s.end is not None), default=BEGINNING)
        return Finding(False, ended, _absent(self.codes).because, changes)


@lru_cache(maxsize=256)
def _absent(codes: frozenset[str]) -> Finding:
    """Nothing that was ever recorded carries one of these signals."""
    return Finding(False, because=(Reason(f"The record carries no signal {' or '.join(sorted(codes))}."),))


class SignalWhenMissed(Struct, frozen=True):
    """One of the signals held when an appointment of this spell was missed."""

    codes: frozenset[str]

    def find(self, scene: Scene) -> Finding:
        """Holds since the first such miss."""
        for miss in scene.scope.misses:
            if miss.clock > scene.now:
                return Finding(False, changes_at=miss.clock)
            held = [s for s in scene.record.signals if s.code in self.codes and s.holds(miss.clock)]
            if held:
                at = scene.calendar.at_time(miss.at)
                because = Reason(f"The appointment on {at} was missed.", (miss.visit.source,))
                carried = (Reason(f"The record carries the signal {s.code}.", (s.source,)) for s in held)
                return Finding(True, miss.clock, (because, *carried))
        if not scene.scope.misses:
            return Finding(False, because=(Reason("No appointment was missed."),))
        wanted = " or ".join(sorted(self.codes))
        says = f"The record carried no signal {wanted} when the appointment was missed."
        return Finding(False, because=(Reason(says),))


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
        """Holds since a referral was given such a priority or always if it began with it, and as long as it stands."""
        named = [scene.record.referrals.get(reference) for reference in scene.course.case.referrals]
        referrals = [r for r in named if r is not None and r.status not in ("revoked", "entered-in-error")]
        matching = [r for r in referrals if r.priority in self.priorities]
        if not referrals:
            says = "No referral is on record, so it counts as routine."
            return Finding("routine" in self.priorities, because=(Reason(says),))
        because = tuple(Reason(f"The referral's priority is {r.priority}.", (r.source,)) for r in matching or referrals)
        since = min((self._since(scene, r) for r in matching), default=BEGINNING)
        return Finding(bool(matching), since, because)

    def _since(self, scene: Scene, referral: Referral) -> datetime:
        """When the last change of its priority to one of these became known."""
        since = BEGINNING
        history = scene.record.sources[referral.source.reference]
        for before, after in pairwise(history.versions):
            if isinstance(before, Referral) and before.priority not in self.priorities:
                since = after.known
        return since


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
        seen = tuple(Reason("Appointments were made for the patient.", (v.source,)) for v in scene.visits[:1])
        return Finding(bool(seen) and "active" in self.statuses, case.announced, seen)
