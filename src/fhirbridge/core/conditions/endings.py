"""Conditions on how care ends: planned or not, discharged, said by the patient, done before, seen elsewhere."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from fhirbridge.core.calendar import Span
from fhirbridge.core.conditions.people import MayShare, scene_start, under_age_until
from fhirbridge.core.decision import Reason
from fhirbridge.core.facts import AppointmentState, Consent, Source
from fhirbridge.core.findings import Finding, earliest
from fhirbridge.core.history import BEGINNING
from fhirbridge.core.scene import Scene
from fhirbridge.core.signs import Sign
from fhirbridge.core.vocabulary import RISK_SIGNALS

PLANNING = frozenset({"discharge-agreed", "well-wants-discharge", "goals-met"})
"""Outcomes that mean a discharge is being planned."""

ADVOCATE_VISIT = "arrange-advocate-visit"
"""A Task with this action that is done counts as a visit by an advocate."""


class Always(Struct, frozen=True):
    """Holds by itself: what the run is anchored on is reason enough."""

    def find(self, scene: Scene) -> Finding:
        """Names what the scope is about."""
        scope = scene.scope
        if scope.signal is not None:
            since = scene.calendar.at_time(scope.signal.began)
            says = f"The record carries the signal {scope.signal.code} since {since}."
            return Finding(True, because=(Reason(says, (scope.signal.source,)),))
        if scope.ended is not None:
            at = scene.calendar.at_time(scope.ended.at)
            return Finding(True, because=(Reason(f"Care ended on {at}.", (scope.ended.source,)),))
        if scope.stay is not None:
            at = scene.calendar.at_time(scope.start)
            return Finding(True, because=(Reason(f"The inpatient stay began on {at}.", (scope.stay,)),))
        if scope.answer is not None:
            at = scene.calendar.at_time(scope.start)
            return Finding(True, because=(Reason(f"This was recorded on {at}.", (scope.answer,)),))
        return Finding(True)


class DischargePlanned(Struct, frozen=True):
    """A discharge date is recorded, or the patient is ready for discharge, or it was agreed or wished for."""

    def find(self, scene: Scene) -> Finding:
        """Holds since the first of these became known."""
        found = [*_dated(scene), *_ready(scene), *_agreed(scene)]
        if not found:
            return Finding(False, because=(Reason("No discharge is planned."),))
        since, reason = min(found, key=lambda pair: pair[0])
        return Finding(True, since, (reason,))


def _dated(scene: Scene) -> list[tuple[datetime, Reason]]:
    """The discharge dates that the episode or stay recorded while it lasted, if the last word was a date."""
    case = scene.course.case
    histories = [h for h in (case.episode, *case.stays) if h is not None]
    found = []
    for history in histories:
        lasting = [v for v in history.versions if v.status != "finished"]
        ahead = [v for v in lasting if v.end is not None and v.end > v.known]
        if ahead and lasting[-1].end is not None:
            on = scene.calendar.on_date(ahead[-1].end or ahead[-1].known)
            says = f"The end of care is planned for {on}."
            found.append((ahead[0].known, Reason(says, (lasting[-1].source,))))
    return found


def _ready(scene: Scene) -> list[tuple[datetime, Reason]]:
    spans = [s for s in scene.record.signals if s.code == "ready-for-discharge" and s.start <= scene.ref]
    ended = scene.scope.ended
    live = [s for s in spans if s.holds(scene.ref) or (ended is not None and (s.end is None or s.end >= ended.at))]
    return [(s.start, Reason("The patient is recorded as ready for discharge.", (s.source,))) for s in live]


def _agreed(scene: Scene) -> list[tuple[datetime, Reason]]:
    said = scene.answers(PLANNING)
    return [(at, Reason(f"The outcome {outcome} was recorded.", (source,))) for at, outcome, source in said]


class Discharged(Struct, frozen=True):
    """The scope begins with the end of the case or stay."""

    def find(self, scene: Scene) -> Finding:
        """Holds since then."""
        ended = scene.scope.ended
        if ended is None:
            return Finding(False, because=(Reason("Care has not ended."),))
        on = scene.calendar.on_date(ended.at)
        return Finding(True, ended.counts_from, (Reason(f"The EPR ended care on {on}.", (ended.source,)),))


class MissedAtEnd(Struct, frozen=True):
    """When the case ended, missed appointments stood that nothing had come after."""

    def find(self, scene: Scene) -> Finding:
        """Holds since the end."""
        ended = scene.scope.ended
        spells = scene.around.spells
        last = spells[-1] if spells else None
        if ended is None or last is None or last.ending is None or last.ending.sign is not Sign.DISCHARGED:
            return Finding(False, because=(Reason("The case has not ended so."),))
        if not last.misses:
            return Finding(False, because=(Reason("No missed appointment stood when the episode ended."),))
        says = f"{len(last.misses)} missed appointments stood when the episode ended."
        return Finding(True, ended.counts_from, (Reason(says, tuple(m.visit.source for m in last.misses)),))


class Said(Struct, frozen=True):
    """A Task of this case was answered with one of these outcomes, since the scope began or `before`, up to that."""

    outcomes: frozenset[str]
    before: bool

    def find(self, scene: Scene) -> Finding:
        """Holds since the first of these answers."""
        answers = [a for a in scene.answers(self.outcomes) if (a[0] <= scene.scope.start) is self.before]
        if not answers:
            return Finding(False, because=(Reason(f"No outcome {' or '.join(sorted(self.outcomes))} is recorded."),))
        at, outcome, source = answers[0]
        says = f"The outcome {outcome} was recorded on {scene.calendar.on_date(at)}."
        return Finding(True, at, (Reason(says, (source,)),))


class Done(Struct, frozen=True):
    """A Task with this action was completed in this case."""

    action: str

    def find(self, scene: Scene) -> Finding:
        """Holds since then."""
        done = scene.completed(self.action)
        if not done:
            return Finding(False, because=(Reason(f"{self.action} is not on record as done."),))
        at, source = done[0]
        return Finding(True, at, (Reason(f"{self.action} was done on {scene.calendar.on_date(at)}.", (source,)),))


class OtherProvider(Struct, frozen=True):
    """Another case of the patient is open, or has an appointment ahead."""

    def find(self, scene: Scene) -> Finding:
        """Holds since that became known."""
        mine = scene.around.case.id
        for case in scene.record.cases:
            if case.id == mine:
                continue
            episode = case.episode
            if episode is not None and episode.latest.status in ("active", "onhold"):
                reason = Reason("Another episode of care of the patient is open.", (episode.latest.source,))
                return Finding(True, episode.since, (reason,))
            ahead = [v for v in case.visits if v.state is AppointmentState.BOOKED and v.at > scene.now]
            if ahead:
                on = scene.calendar.on_date(ahead[0].at)
                reason = Reason(f"The patient sees another provider on {on}.", (ahead[0].source,))
                return Finding(True, ahead[0].history.since, (reason,), earliest(v.at for v in ahead))
        return Finding(False, because=(Reason("The patient sees no other provider of the service."),))


class SharingPermitted(Struct, frozen=True):
    """A Consent permits sharing with this audience, and nothing refuses it; silence is no permit."""

    audience: str

    def find(self, scene: Scene) -> Finding:
        """Holds since the permit."""
        refusal = MayShare(self.audience).find(scene)
        permits = [c.latest for c in scene.record.consents if self._permits(c.latest, scene.ref)]
        if not permits or not refusal.holds:
            because = refusal.because if permits else (Reason("No consent on record permits sharing."),)
            return Finding(False, refusal.since, because, refusal.changes_at)
        since = min(scene_start(c.start, c.known) for c in permits)
        because = tuple(Reason("A consent on record permits sharing.", (c.source,)) for c in permits)
        ends = earliest((refusal.changes_at, *(c.end for c in permits if c.end is not None and c.end > scene.now)))
        return Finding(True, since, because, ends)

    def _permits(self, consent: Consent, at: datetime) -> bool:
        begun = consent.start is None or consent.start <= at
        stands = begun and (consent.end is None or at < consent.end)
        covered = not consent.covers or self.audience in consent.covers
        return consent.permits and consent.status == "active" and stands and covered


class SignalEver(Struct, frozen=True):
    """One of these signals holds or has held."""

    codes: frozenset[str]

    def find(self, scene: Scene) -> Finding:
        """Holds since the first of them began."""
        found = [s for s in scene.record.signals if s.code in self.codes and s.start <= scene.ref]
        if not found:
            wanted = "risk" if self.codes == RISK_SIGNALS else " or ".join(sorted(self.codes))
            return Finding(False, because=(Reason(f"The record has never carried a signal {wanted}."),))
        because = tuple(Reason(f"The record carries or carried the signal {s.code}.", (s.source,)) for s in found)
        return Finding(True, min(s.start for s in found), because)


class Unvisited(Struct, frozen=True):
    """No advocate has visited for so long."""

    time: Span

    def find(self, scene: Scene) -> Finding:
        """Holds from then on, or from the beginning of the scope where nobody had come before."""
        visits = sorted((at, source) for at, source in _advocate_visits(scene) if at <= scene.ref)
        found = self._since(visits, scene)
        if found.holds or not visits or visits[-1] not in scene.completed(ADVOCATE_VISIT):
            return found
        before, done = self._since(visits[:-1], scene), visits[-1][0]
        answered = before.holds and before.since <= done and scene.awaits(ADVOCATE_VISIT, done)
        return Finding(True, before.since, before.because, found.changes_at) if answered else found

    def _since(self, visits: list[tuple[datetime, Source]], scene: Scene) -> Finding:
        if not visits:
            reason = Reason("No visit by an advocate is on record.", _about(scene))
            return Finding(True, scene.scope.start, (reason,))
        at, source = visits[-1]
        since = max(scene.scope.start, scene.calendar.after(at, self.time))
        reason = Reason(f"An advocate last visited on {scene.calendar.on_date(at)}.", (source,))
        if since <= scene.now:
            return Finding(True, since, (reason,))
        return Finding(False, at, (reason,), since)


def _about(scene: Scene) -> tuple[Source, ...]:
    return (scene.scope.signal.source,) if scene.scope.signal is not None else ()


def _advocate_visits(scene: Scene) -> list[tuple[datetime, Source]]:
    seen = [e.latest for e in scene.record.encounters if "advocate" in e.latest.participants]
    came = [(e.start or e.known, e.source) for e in seen if e.status in ("in-progress", "finished")]
    return [*came, *scene.completed(ADVOCATE_VISIT)]


class UnderAge(Struct, frozen=True):
    """The patient is under 18."""

    def find(self, scene: Scene) -> Finding:
        """Until the start of the birthday."""
        person = scene.record.person
        until = under_age_until(person.birth_date, scene.calendar) if person is not None else None
        if person is None or until is None:
            return Finding(False, because=(Reason("The date of birth is not recorded."),))
        if scene.ref < until:
            return Finding(True, BEGINNING, (Reason("The person is under 18.", (person.source,)),), until)
        return Finding(False, until, (Reason("The person is 18 or older.", (person.source,)),))
