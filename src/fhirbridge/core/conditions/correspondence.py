"""Conditions on messages to and from the patient and the GP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.calendar import Span
from fhirbridge.core.decision import Reason
from fhirbridge.core.deliveries import Report
from fhirbridge.core.facts import Source
from fhirbridge.core.findings import Finding
from fhirbridge.core.history import clock
from fhirbridge.core.messages import check_ins, sent_at
from fhirbridge.core.scene import Scene


class NoReply(Struct, frozen=True):
    """So long without a reply since the last missed appointment or check-in message, whichever is later."""

    time: Span

    def find(self, scene: Scene) -> Finding:
        """Holds from that instant on; a reply ends the spell, and with it the waiting."""
        sent = _sent(scene)
        tried = [(m.clock, m.visit.source) for m in scene.scope.misses if m.clock <= scene.now] + sent
        if not tried:
            return Finding(False, because=(Reason("No appointment was missed and no message is unanswered."),))
        return _unanswered(scene, max(tried), self.time)


class MessageUnanswered(Struct, frozen=True):
    """A check-in message has been unanswered for so long."""

    time: Span

    def find(self, scene: Scene) -> Finding:
        """Holds from that instant on, counted from the first message of the spell."""
        sent = _sent(scene)
        if not sent:
            return Finding(False, because=(Reason("No check-in message is unanswered."),))
        return _unanswered(scene, sent[0], self.time)


class CheckInsUnanswered(Struct, frozen=True):
    """So many check-in messages, each spaced after the one before, and no response for so long since the first."""

    count: int
    spaced: Span
    time: Span

    def find(self, scene: Scene) -> Finding:
        """Holds from the later of the last such message and the time since the first."""
        sent = _sent(scene)
        counted: list[tuple[datetime, Source]] = []
        for at, source in sent:
            if not counted or scene.calendar.after(counted[-1][0], self.spaced) <= at:
                counted.append((at, source))
        sources = tuple(source for _, source in counted)
        if len(counted) < self.count:
            says = f"{len(counted)} check-in messages have been sent far enough apart."
            return Finding(False, because=(Reason(says, sources),))
        learnt = (_learnt(scene, at, source) for at, source in counted[: self.count])
        since = max(scene.calendar.after(sent[0][0], self.time), *learnt)
        first = scene.calendar.on_date(sent[0][0])
        reason = Reason(f"{len(counted)} check-in messages since {first} have not been answered.", sources)
        if since <= scene.now:
            return Finding(True, since, (reason,))
        return Finding(False, because=(reason,), changes_at=since)


def _sent(scene: Scene) -> list[tuple[datetime, Source]]:
    return check_ins(scene.record, scene.course.case, scene.scope.start, scene.ref)


def _learnt(scene: Scene, at: datetime, source: Source) -> datetime:
    """From when the message counts: when it was sent, or when it became known if that is much later."""
    history = scene.record.sources.get(source.reference)
    return clock(at, history.stretches[0].known, scene.late) if history is not None else at


def _unanswered(scene: Scene, tried: tuple[datetime, Source], time: Span) -> Finding:
    at, source = tried
    since = max(scene.calendar.after(at, time), _learnt(scene, at, source))
    reason = Reason(f"There has been no reply since {scene.calendar.on_date(at)}.", (source,))
    if since <= scene.now:
        return Finding(True, since, (reason,))
    return Finding(False, because=(reason,), changes_at=since)


class MessageFromGp(Struct, frozen=True):
    """The patient's GP has written since the run started: a message in the record, or an answer to what was sent."""

    def find(self, scene: Scene) -> Finding:
        """Holds since that message."""
        run, person = scene.run, scene.record.person
        gps = set(person.practitioners) if person is not None else set()
        found: list[tuple[datetime, tuple[Source, ...]]] = [
            (sent_at(m.latest), (m.latest.source,))
            for m in scene.record.messages
            if m.latest.sender in gps and run is not None and sent_at(m.latest) >= run.since
        ]
        found += [(at, ()) for at in _answers(scene) if run is not None and at >= run.since]
        if not found:
            return Finding(False, because=(Reason("The GP has not answered."),))
        at, sources = min(found)
        return Finding(True, at, (Reason(f"The GP wrote on {scene.calendar.on_date(at)}.", sources),))


def _answers(scene: Scene) -> Iterator[datetime]:
    """When the GP answered something that was sent to them in this case."""
    for thing in scene.own.things.values():
        if thing.key.role == "gp" and thing.key.case in scene.course.case.names:
            for each in thing.consignments:
                yield from (said.at for said in each.reports if said.report is Report.ANSWERED)
