"""What answers an ask: the Task of the EPR that was made for it, one that staff made themselves, or a message.

A Task answers what the service asked for by its obligation identifier. A Task without one answers the oldest ask with
its action that was open when it happened; it answers only one, and never one that opens later. The same goes for a
check-in message.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from fhirbridge.core.attribution import cases_of_task, happened_at
from fhirbridge.core.effects import Kind
from fhirbridge.core.facts import Source, Task
from fhirbridge.core.history import History
from fhirbridge.core.messages import check_ins
from fhirbridge.core.own import Own
from fhirbridge.core.policy import Repeat
from fhirbridge.core.scene import Answer, Ask, Run, Scene
from fhirbridge.core.signs import Ending
from fhirbridge.core.states import is_terminal
from fhirbridge.core.timeline import Record
from fhirbridge.core.vocabulary import ANSWERED

_JUST_BEFORE = timedelta(microseconds=1)


class Answering:
    """Hands out each Task of the EPR, and each check-in message, as an answer only once."""

    def __init__(self, record: Record, own: Own) -> None:
        self._record = record
        self._own = own
        self.ours: dict[str, History[Task]] = {}
        """The Tasks of the EPR that the service wrote, by obligation identifier."""
        self._loose: dict[str, list[History[Task]]] = defaultdict(list)
        for task in sorted(record.tasks, key=lambda t: (happened_at(t), t.latest.source)):
            if task.latest.obligation is not None:
                self.ours[task.latest.obligation] = task
            elif task.latest.status in ANSWERED:
                for action in task.latest.actions:
                    self._loose[action].append(task)
        self._answers: dict[str, Answer] = {}
        self._used: set[str] = set()

    def answer(self, ask: Ask, scene: Scene, ending: Ending | None, passed_on: datetime | None = None) -> Answer | None:
        """What answers this ask before its ending; the same whenever it is asked.

        What staff did after it had `passed_on` to the next period answers that one.
        """
        known = self._answers.get(ask.identity)
        if known is not None:
            return known
        own = self.ours.get(ask.identity)
        closed_by_staff = ask.thing is None or ask.thing.completed is None
        answer = None
        if own is not None and is_terminal(Kind.TASK, own.latest.status) and closed_by_staff:
            answer = _answered(own)
        answer = answer or self._loose_answer(ask, scene, ending, passed_on)
        if ask.act.answered_by_message:
            until = answer.at if answer is not None else _until(scene, ending)
            answer = self._message_answer(ask, scene, until) or answer
        if answer is not None:
            self._answers[ask.identity] = answer
        return answer

    def unprompted(self, scene: Scene, run: Run, repeat: Repeat, last: datetime) -> tuple[int, datetime]:
        """How many check-in messages followed the `last` by themselves, each before the next was asked for.

        They count like messages asked for; the instant is the one at which the next is asked for after all of them.
        """
        count = 0
        since = scene.calendar.after(last, repeat.after)
        while (extra := self._message(last, _until(scene, run.ending, since), scene)) is not None:
            count, last = count + 1, extra[0]
            since = scene.calendar.after(last, repeat.after)
        return count, since

    def _loose_answer(self, ask: Ask, scene: Scene, ending: Ending | None, passed_on: datetime | None) -> Answer | None:
        """The first Task that staff made themselves while the ask was open, and that has answered none before it."""
        # What another pathway asked for before this one took its place has been open since then.
        since = min(ask.since, ask.thing.since) if ask.thing is not None else ask.since
        for task in self._loose.get(ask.act.action, ()):
            happened = happened_at(task)
            if happened < since or (ending is not None and happened > ending.at):
                continue
            if passed_on is not None and happened > passed_on:
                continue
            reference = task.latest.source.reference
            cases = self._record.cases
            if reference in self._used or scene.course.case.id not in cases_of_task(task, self._own, cases):
                continue
            self._used.add(reference)
            return _answered(task)
        return None

    def _message_answer(self, ask: Ask, scene: Scene, until: datetime) -> Answer | None:
        """The first check-in message from the instant of the ask up to `until`."""
        found = self._message(ask.since - _JUST_BEFORE, until, scene)
        return Answer(at=found[0], status="completed", outcome="done", source=found[1]) if found is not None else None

    def _message(self, after: datetime, until: datetime, scene: Scene) -> tuple[datetime, Source] | None:
        """The first check-in message after one instant, up to another, that has counted for nothing before."""
        for at, source in check_ins(self._record, scene.course.case, after, until):
            if source.reference not in self._used:
                self._used.add(source.reference)
                return at, source
        return None


def _answered(task: History[Task]) -> Answer:
    fact = task.latest
    return Answer(at=happened_at(task), status=fact.status, outcome=fact.outcome, source=fact.source)


def _until(scene: Scene, ending: Ending | None, last: datetime | None = None) -> datetime:
    """Now, or the ending or `last` where they come before."""
    return min(at for at in (scene.now, last, ending.at if ending is not None else None) if at is not None)
