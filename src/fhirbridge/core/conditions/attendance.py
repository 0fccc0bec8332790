"""Conditions on appointments: missed, seen before, booked again."""

from __future__ import annotations

from msgspec import Struct

from fhirbridge.core.decision import Reason
from fhirbridge.core.facts import AppointmentState
from fhirbridge.core.findings import Finding
from fhirbridge.core.scene import Scene
from fhirbridge.core.spells import TOOK_UP, Miss


class Missed(Struct, frozen=True):
    """An appointment of this spell was missed, as at least the n-th in a row since the last attendance."""

    consecutive: int

    def find(self, scene: Scene) -> Finding:
        """Holds since the clock of the first miss in this spell that completes the row."""
        streak = scene.scope.streak
        if not scene.scope.misses:
            return Finding(False, because=(Reason("No appointment was missed."),))
        first = scene.scope.misses[0].at
        for index, miss in enumerate(streak):
            if index + 1 < self.consecutive or miss.at < first:
                continue
            if miss.clock > scene.now:
                return Finding(False, changes_at=miss.clock)
            row = streak[index + 1 - self.consecutive : index + 1]
            return Finding(True, miss.clock, tuple([_reason(scene, m) for m in row]))
        return Finding(False, because=tuple([_reason(scene, m) for m in scene.scope.misses]))


def _reason(scene: Scene, miss: Miss) -> Reason:
    at = scene.calendar.at_time(miss.at)
    return Reason(f"The appointment on {at} was missed.", (miss.visit.source,))


class InReceipt(Struct, frozen=True):
    """An appointment of this case had been attended before the spell began."""

    def find(self, scene: Scene) -> Finding:
        """Stands for as long as the spell does."""
        seen = scene.scope.assessed
        if seen is None:
            return Finding(False, because=(Reason("No appointment of this episode has been attended yet."),))
        return Finding(True, because=(Reason("An earlier appointment of this episode was attended.", (seen,)),))


class Booked(Struct, frozen=True):
    """A new appointment was booked after the miss that started the run."""

    def find(self, scene: Scene) -> Finding:
        """Holds since that booking became known; one that was over when another was asked for does not count."""
        run = scene.run
        if run is None:
            return Finding(False)
        trigger = run.counted_from
        over = max(trigger, scene.asked or trigger)
        for visit in scene.visits:
            first_known = visit.history.stretches[0].known
            ahead = visit.state is not AppointmentState.MISSED or first_known < visit.at
            if visit.at > over and first_known > trigger and visit.state in TOOK_UP and ahead:
                at = scene.calendar.at_time(visit.at)
                return Finding(True, first_known, (Reason(f"A new appointment is booked for {at}.", (visit.source,)),))
        return Finding(False, because=(Reason("No new appointment has been booked."),))


class FirstBooked(Struct, frozen=True):
    """The first appointment of the case was booked, before it took place."""

    def find(self, scene: Scene) -> Finding:
        """Holds since that booking became known."""
        first = next((v for v in scene.visits if v.state in TOOK_UP), None)
        if first is None:
            return Finding(False, because=(Reason("No appointment of this episode is booked."),))
        booked = first.history.stretches[0]
        at = scene.calendar.at_time(first.at)
        ahead = booked.meaning is AppointmentState.BOOKED and booked.known < first.at
        says = f"is booked for {at}" if ahead else f"on {at} was not known of before it took place"
        return Finding(
            ahead, booked.known, (Reason(f"The first appointment of this episode {says}.", (first.source,)),)
        )
