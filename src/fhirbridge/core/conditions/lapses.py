"""Conditions on patterns of attendance: rows of lapses, windows, rates, nothing booked, nothing happening.

A lapse is a missed appointment or one that the patient called off. A cancellation by the provider, or by nobody in
particular, neither counts nor resets, anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.calendar import Span
from fhirbridge.core.cases import Visit
from fhirbridge.core.decision import Reason
from fhirbridge.core.facts import AppointmentState, Source
from fhirbridge.core.findings import Finding, earliest
from fhirbridge.core.history import BEGINNING
from fhirbridge.core.scene import Scene
from fhirbridge.core.spells import Miss

_CANCELLED = frozenset(
    {
        AppointmentState.CANCELLED,
        AppointmentState.CANCELLED_BY_PATIENT,
        AppointmentState.CANCELLED_BY_PROVIDER,
        AppointmentState.OTHER,
    }
)
_AHEAD = frozenset({AppointmentState.BOOKED, AppointmentState.PRESENT})


class LapsesInRow(Struct, frozen=True):
    """So many appointments in a row were missed or called off by the patient, the last of them in this scope."""

    count: int

    def find(self, scene: Scene) -> Finding:
        """Holds since the lapse that completes the number."""
        row, mine = scene.scope.row, scene.scope.lapses
        for index, lapse in enumerate(row):
            if index + 1 < self.count or not mine or lapse.at < mine[0].at:
                continue
            if lapse.clock > scene.now:
                return Finding(False, changes_at=lapse.clock)
            counted = row[index + 1 - self.count : index + 1]
            return Finding(True, lapse.clock, tuple(_lapse(scene, each) for each in counted))
        return Finding(False, because=tuple(_lapse(scene, each) for each in row))


class LapsedUnbooked(Struct, frozen=True):
    """An appointment was missed, or called off by the patient when no other lay ahead."""

    def find(self, scene: Scene) -> Finding:
        """Holds since the first such lapse of the scope, whatever has been booked since."""
        for lapse in scene.scope.lapses:
            if lapse.clock > scene.now:
                return Finding(False, changes_at=lapse.clock)
            if not lapse.cancelled or not any(_lay_ahead(v, lapse.at) for v in scene.visits):
                return Finding(True, lapse.clock, (_lapse(scene, lapse),))
        ahead = BookedAhead().find(scene)
        cancelled = [lapse for lapse in scene.scope.lapses if lapse.cancelled]
        if cancelled and not ahead.holds:
            return Finding(True, max(ahead.since, cancelled[-1].clock), (_lapse(scene, cancelled[-1]),))
        return Finding(False, because=tuple(_lapse(scene, each) for each in cancelled), changes_at=ahead.changes_at)


def _lay_ahead(visit: Visit, at: datetime) -> bool:
    """Whether the appointment was booked at that instant, and still to come."""
    said = [stretch.meaning for stretch in visit.history.stretches if stretch.known <= at]
    return visit.at > at and bool(said) and said[-1] in _AHEAD


def _lapse(scene: Scene, lapse: Miss) -> Reason:
    what = "cancelled by the patient" if lapse.cancelled else "missed"
    on = scene.calendar.at_time(lapse.visit.at)
    return Reason(f"The appointment on {on} was {what}.", (lapse.visit.source,))


class CalledOff(Struct, frozen=True):
    """The patient called off an appointment that lay ahead."""

    def find(self, scene: Scene) -> Finding:
        """Holds since the last such cancellation in this spell."""
        ahead = [lapse for lapse in scene.scope.lapses if lapse.cancelled and lapse.at < lapse.visit.at]
        if not ahead:
            return Finding(False, because=(Reason("The patient cancelled no appointment ahead of it."),))
        return Finding(True, ahead[-1].clock, (_lapse(scene, ahead[-1]),))


class BookedAhead(Struct, frozen=True):
    """An appointment lies ahead."""

    def find(self, scene: Scene) -> Finding:
        """Holds since the booking became known; ends when the last one's start passes or it is cancelled."""
        visits = scene.visits
        ahead = [v for v in visits if v.state in _AHEAD and v.at > scene.ref]
        if not ahead:
            says = "No appointment is booked."
            return Finding(False, max((_ahead_until(v) for v in visits), default=BEGINNING), (Reason(says),))
        at = scene.calendar.at_time(ahead[0].at)
        reason = Reason(f"An appointment is booked for {at}.", (ahead[0].source,))
        return Finding(True, ahead[0].history.since, (reason,), earliest(v.at for v in ahead if v.at > scene.now))


def _ahead_until(visit: Visit) -> datetime:
    """Until when the appointment lay ahead: its start, or when it was cancelled."""
    return min(visit.at, visit.history.since) if visit.state in _CANCELLED else visit.at


class MissedOfLast(Struct, frozen=True):
    """So many of the last appointments that took place or were missed had been missed."""

    count: int
    of: int

    def find(self, scene: Scene) -> Finding:
        """Holds since the first miss of this spell with which they were."""
        for miss in scene.scope.misses:
            window = _kept_or_missed(scene, miss.at)[-self.of :]
            missed = [v for v in window if v.state is AppointmentState.MISSED]
            if len(missed) >= self.count:
                if miss.clock > scene.now:
                    return Finding(False, changes_at=miss.clock)
                says = f"{len(missed)} of the last {len(window)} appointments were missed."
                each = tuple(_missed(scene, visit) for visit in missed)
                return Finding(True, miss.clock, (Reason(says, tuple(v.source for v in missed)), *each))
        return Finding(False, because=(Reason(f"Fewer than {self.count} of the last {self.of} were missed."),))


def _missed(scene: Scene, visit: Visit) -> Reason:
    return Reason(f"The appointment on {scene.calendar.at_time(visit.at)} was missed.", (visit.source,))


def _kept_or_missed(scene: Scene, until: datetime) -> list[Visit]:
    return [v for v in scene.visits if v.at <= until and (v.state is AppointmentState.MISSED or v.attended(scene.ref))]


class AttendanceBelow(Struct, frozen=True):
    """The share of the last appointments that were attended is below a limit, in percent."""

    below: int
    of: int
    least: int

    def find(self, scene: Scene) -> Finding:
        """Holds since the appointment with which it fell below; unknown, so not so, with fewer than `least`."""
        counted = [v for v in scene.visits if v.at <= scene.ref and self._counts(v, scene)]
        changes = earliest(
            v.at for v in scene.visits if v.state is AppointmentState.CANCELLED_BY_PATIENT and v.at > scene.now
        )
        if not self._is_low(counted, scene):
            return Finding(False, because=(Reason(self._said(counted, scene)),), changes_at=changes)
        first = len(counted)
        while first > self.least and self._is_low(counted[: first - 1], scene):
            first -= 1
        sources = tuple(v.source for v in counted[-self.of :] if not v.attended(scene.ref))
        return Finding(True, counted[first - 1].at, (Reason(self._said(counted, scene), sources),), changes)

    def _counts(self, visit: Visit, scene: Scene) -> bool:
        lapsed = visit.state in (AppointmentState.MISSED, AppointmentState.CANCELLED_BY_PATIENT)
        return lapsed or visit.attended(scene.ref)

    def _is_low(self, counted: Sequence[Visit], scene: Scene) -> bool:
        window = counted[-self.of :]
        attended = sum(1 for v in window if v.attended(scene.ref))
        return len(window) >= self.least and attended * 100 < self.below * len(window)

    def _said(self, counted: Sequence[Visit], scene: Scene) -> str:
        window = counted[-self.of :]
        return (
            f"{sum(1 for v in window if v.attended(scene.ref))} of the last {len(window)} appointments were attended."
        )


class Idle(Struct, frozen=True):
    """Nothing has been attended and nothing booked for so long, nor a Task with this action done."""

    time: Span
    or_done: str | None

    def find(self, scene: Scene) -> Finding:
        """Holds from that instant on, until something is booked or attended."""
        ahead = BookedAhead().find(scene)
        if ahead.holds:
            return Finding(False, ahead.since, ahead.because, ahead.changes_at)
        attended = [v for v in scene.visits if v.attended(scene.ref)]
        happened = max((_going_since(scene), ahead.since, *(v.at for v in attended)))
        sources = tuple(v.source for v in attended[-1:]) or _begun_by(scene)
        done = [at for at, _ in scene.completed(self.or_done)] if self.or_done is not None else []
        found = self._since(max((happened, *done)), sources, scene)
        if found.holds or not done or self.or_done is None or done[-1] <= happened:
            return found
        before = self._since(max((happened, *done[:-1])), sources, scene)
        answered = before.holds and before.since <= done[-1] and scene.awaits(self.or_done, done[-1])
        return Finding(True, before.since, before.because, found.changes_at) if answered else found

    def _since(self, last: datetime, sources: tuple[Source, ...], scene: Scene) -> Finding:
        since = scene.calendar.after(last, self.time)
        on = scene.calendar.on_date(last)
        reason = Reason(f"Since {on} nothing has been attended and nothing booked.", sources)
        if since <= scene.now:
            return Finding(True, since, (reason,))
        return Finding(False, because=(reason,), changes_at=since)


def _going_since(scene: Scene) -> datetime:
    """When the episode began, or was taken up again after it had been on hold."""
    case = scene.course.case
    stretches = case.episode.stretches if case.episode is not None else ()
    held = len(stretches) > 1 and stretches[-2].meaning == "onhold"
    return max(case.begun, stretches[-1].known) if held else case.begun


def _begun_by(scene: Scene) -> tuple[Source, ...]:
    episode = scene.course.case.episode
    return (episode.latest.source,) if episode else ()


class MissedAfterDone(Struct, frozen=True):
    """An appointment of this spell was missed after a Task with this action had been completed."""

    action: str

    def find(self, scene: Scene) -> Finding:
        """Holds since that miss."""
        done = scene.completed(self.action)
        if not done:
            return Finding(False, because=(Reason(f"No {self.action} has been completed."),))
        first, source = done[0]
        for miss in scene.scope.misses:
            if miss.at > first:
                if miss.clock > scene.now:
                    return Finding(False, changes_at=miss.clock)
                says = f"The appointment on {scene.calendar.at_time(miss.at)} was missed after {self.action} was done."
                return Finding(True, miss.clock, (Reason(says, (miss.visit.source, source)),))
        return Finding(False, because=(Reason(f"Nothing was missed since {self.action} was done."),))
