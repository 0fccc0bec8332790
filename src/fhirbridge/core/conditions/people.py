"""Children, family and carers of the patient, and whether they may be told."""

from __future__ import annotations

from datetime import date, datetime

from msgspec import Struct

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.conditions.circumstances import SignalHolds
from fhirbridge.core.decision import Reason
from fhirbridge.core.facts import Consent, Relation
from fhirbridge.core.findings import Finding, earliest
from fhirbridge.core.history import BEGINNING
from fhirbridge.core.scene import Scene
from fhirbridge.core.vocabulary import ADULT_AT, CHILD_SIGNALS

_FAMILY = frozenset({"family", "carer", "associate", "next-of-kin", "child"})


class ChildInvolved(Struct, frozen=True):
    """A child is in the patient's care or in contact with them; silence about children means none."""

    def find(self, scene: Scene) -> Finding:
        """By a signal, or by a RelatedPerson who is the patient's child and under 18."""
        return scene.once((self, scene.ref), self._find)

    def _find(self, scene: Scene) -> Finding:
        signal = _SIGNALLED_CHILD.find(scene)
        if not signal.holds and not scene.record.relations:
            return Finding(False, signal.since, _NO_CHILD, signal.changes_at)
        minors = [
            (relation, under_age_until(relation.latest.birth_date, scene.calendar))
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
            return Finding(False, max(signal.since, ended), _NO_CHILD, changes)
        because = tuple(Reason("A child of the patient is on record.", (r.latest.source,)) for r, _ in under)
        since = min(scene_start(r.latest.start, r.stretches[0].known) for r, _ in under)
        if signal.holds:
            return Finding(True, min(signal.since, since), (*signal.because, *because), changes)
        return Finding(True, since, because, changes)


_SIGNALLED_CHILD = SignalHolds(CHILD_SIGNALS)
_NO_CHILD = (Reason("No child in the patient's care or in contact with them is on record."),)


def relations_change(scene: Scene) -> datetime | None:
    """When somebody's relation to the patient begins or ends next, as recorded."""
    edges = (edge for r in scene.record.relations for edge in (r.latest.start, r.latest.end))
    return earliest(edge for edge in edges if edge is not None and edge > scene.now)


def scene_start(start: datetime | None, known: datetime) -> datetime:
    """When a circumstance began: as recorded, at the latest when it became known."""
    return min(start, known) if start is not None else known


def under_age_until(born: date | None, calendar: Calendar) -> datetime | None:
    """The instant at which somebody born that day is no longer a child; None when that is not recorded."""
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
        return scene.once((self, scene.ref), self._find)

    def _find(self, scene: Scene) -> Finding:
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
    until = under_age_until(relation.birth_date, scene.calendar)
    return "child" in relation.kinds and until is not None and scene.ref < until


_REFUSED = SignalHolds(frozenset({"sharing-refused"}))


class MayShare(Struct, frozen=True):
    """Nobody refused sharing with this audience (`family`, `agency`): no signal, and no Consent that denies it."""

    audience: str

    def find(self, scene: Scene) -> Finding:
        """Holds while neither stands."""
        return scene.once((self, scene.ref), self._find)

    def _find(self, scene: Scene) -> Finding:
        refused = _REFUSED.find(scene)
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
