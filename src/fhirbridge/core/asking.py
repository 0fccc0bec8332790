"""One act of one step → its asks: one, one more after each answer, or one in each period; and where each stands.

What was written for an ask is found by `things`, its due date by `deadlines`, and what answers it by `answering`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime

from msgspec.structs import replace

from fhirbridge.core.answering import Answering
from fhirbridge.core.calendar import times
from fhirbridge.core.deadlines import Deadlines, lapsed
from fhirbridge.core.decision import Standing
from fhirbridge.core.effects import Key, Kind, Withdrawal
from fhirbridge.core.findings import Finding
from fhirbridge.core.identity import of_obligation
from fhirbridge.core.own import Own
from fhirbridge.core.policy import Act, Every, Pack, Repeat, Step
from fhirbridge.core.scene import Answer, Ask, Run, Scene
from fhirbridge.core.signs import REASONS, Ending, Sign
from fhirbridge.core.spells import spell_of
from fhirbridge.core.things import Things
from fhirbridge.core.timeline import Record

_WITHDRAWN_BY = {
    Sign.ATTENDED: "return",
    Sign.CONTACT: "return",
    Sign.DISCHARGED: "discharge",
    Sign.OVER: "end",
    Sign.DECEASED: "death",
}


class Desk:
    """Builds the asks of one decision, which share what answers them.

    `wake` is told when something more is asked for, or lapses, if nothing new is learnt.
    """

    def __init__(self, pack: Pack, record: Record, own: Own, wake: Callable[[datetime], None]) -> None:
        self._pack = pack
        self._wake = wake
        self._patient = record.patient
        self._answering = Answering(record, own)
        self._things = Things(own, self._answering.ours)
        self._deadlines = Deadlines(pack.calendar, self._answering.ours)
        self._asked: dict[tuple[str, ...], int] = defaultdict(int)

    def asks(self, scene: Scene, run: Run, step: Step, act: Act, finding: Finding) -> list[Ask]:
        """What this act asks for since the finding's instant: once, again after an answer, or every so often."""
        if step.every is not None:
            return self._recurring(scene, run, step, act, finding, step.every)
        repeat = step.repeat
        spell = (step.id, act.role, scene.course.case.id, spell_of(scene.scope.name))
        sent = self._asked[spell]
        if repeat is not None and sent >= repeat.times:
            return []
        asks = [self._ask(scene, run, step, act, finding)]
        while repeat is not None and len(asks) + sent < repeat.times:
            answer = asks[-1].answer
            if answer is None or (repeat.on and answer.outcome not in repeat.on):
                break
            unprompted, since = self._next(scene, run, act, repeat, answer)
            sent += unprompted
            if since > scene.now or (run.ending is not None and since >= run.ending.at):
                self._wake(since)
                break
            again = Finding(True, since, finding.because)
            if len(asks) + sent >= repeat.times:
                break
            asks.append(self._ask(scene, run, step, act, again, occurrence=step.again + len(asks) + sent))
        self._asked[spell] += len(asks)
        if repeat is not None:
            scene.place.asked.append((spell, len(asks)))
        return asks

    def asked(self, before: Iterable[tuple[tuple[str, ...], int]]) -> None:
        """Count what was asked for in places that are not looked into again."""
        for spell, count in before:
            self._asked[spell] += count

    def _next(self, scene: Scene, run: Run, act: Act, repeat: Repeat, answer: Answer) -> tuple[int, datetime]:
        """How many messages followed the answer unprompted, and when the next is asked for after the last of them."""
        if act.answered_by_message:
            return self._answering.unprompted(scene, run, repeat, answer.at)
        return 0, scene.calendar.after(answer.at, repeat.after)

    def _recurring(self, scene: Scene, run: Run, step: Step, act: Act, finding: Finding, every: Every) -> list[Ask]:
        """One ask for each period up to the present one; what lapsed has passed on to the next."""
        asks: list[Ask] = []
        ending = _ending(scene, run, step, act)
        anchor = scene.course.case.begun if run.scope.whole_case else run.since
        since = scene.calendar.after(anchor, times(every.period, every.first - 1))
        number = every.first
        while (every.last is None or number <= every.last) and (ending is None or since < ending.at):
            if since > scene.now:
                self._wake(since)
                break
            due = scene.calendar.after(anchor, times(every.period, number))
            told = Finding(True, since, finding.because)
            past = due <= scene.now and number != every.last
            ask = self._ask(scene, run, step, act, told, occurrence=number, due=due, past=past)
            asks.append(ask)
            self._wake(due)
            if past and ask.answer is None and ask.lapsed is not None:
                ask.standing, ask.withdrawal, ask.passed_on = Standing.ENDED, Withdrawal.SUPERSEDED, True
            elif ask.answer is None:
                break
            since = due if ask.answer is None else min(due, ask.answer.at)
            number += 1
        return asks

    def _ask(
        self,
        scene: Scene,
        run: Run,
        step: Step,
        act: Act,
        finding: Finding,
        *,
        occurrence: int | None = None,
        due: datetime | None = None,
        past: bool = False,
    ) -> Ask:
        since = max(finding.since, run.since)
        scope = f"{run.scope.name}@{since:%Y-%m-%dT%H:%M:%S}" if step.anew else run.scope.name
        key = self._key(scene, run, act, since, scope, occurrence or step.again)
        thing = self._things.passed_on(key) if past else None
        key = thing.key if thing is not None else key
        if thing is None:
            thing, key = self._things.find(key, scene)
        ask = Ask(
            key=key,
            identity=thing.identity if thing else of_obligation(key),
            step=step,
            act=act,
            run=run,
            since=since,
            due=self._deadlines.due(thing, scene, step, act, since, due),
            because=finding.because,
            scene=scene,
            thing=thing,
            due_by_person=self._deadlines.by_person(thing) is not None,
        )
        ending = _ending(scene, run, step, act)
        if act.kind is Kind.TASK:
            passed_on = ask.due if past and ask.due is not None and ask.due <= scene.now else None
            ask.answer = self._answering.answer(ask, scene, ending, passed_on)
            ask.lapsed = lapsed(ask, ending, scene.now)
        self._stand(ask, scene, ending)
        return ask

    def _key(self, scene: Scene, run: Run, act: Act, since: datetime, scope: str, occurrence: int) -> Key:
        away = act.role_out_of_hours is not None and not self._pack.in_hours(since)
        return Key(
            patient=self._patient,
            case=self._patient if scene.patient_wide else _case_name(scene),
            pack=self._pack.name,
            kind=act.kind,
            action=act.action,
            role=act.role_out_of_hours if away and act.role_out_of_hours else act.role,
            scope=scope,
            occurrence=occurrence,
            generation=run.generation,
        )

    def _stand(self, ask: Ask, scene: Scene, ending: Ending | None) -> None:
        """Settle whether it is answered, ended or open: an answer counts more than any end."""
        if ask.answer is not None:
            ask.standing = Standing.ANSWERED
            own = self._answering.ours.get(ask.identity)
            ask.settled_by = None if own and own.latest.source == ask.answer.source else ask.answer.source
            return
        if ask.thing is not None and ask.thing.sent is not None:
            ask.standing = Standing.ANSWERED
            return
        until = ask.step.until.find(replace(scene, asked=ask.since)) if ask.step.until is not None else None
        if until is not None and until.holds and ask.act.kind is Kind.FLAG:
            ask.standing = Standing.ENDED
            ask.withdrawal = Withdrawal.NOT_NEEDED
            return
        if until is not None and until.holds:
            ask.standing = Standing.ANSWERED
            ask.settled_by = next((source for reason in until.because for source in reason.sources), None)
            return
        signal = scene.scope.signal
        if ending is not None and (ending.at >= ask.since or ending.sign is Sign.DECEASED):
            ask.standing = Standing.ENDED
            ask.withdrawal = REASONS[ending.sign]
        elif ask.act.kind is Kind.FLAG and signal is not None and not signal.holds(scene.now):
            ask.standing = Standing.ENDED
            ask.withdrawal = Withdrawal.NOT_NEEDED


def _case_name(scene: Scene) -> str:
    """What belongs to the case as a whole is named after its referral, which is there before the episode is."""
    case = scene.course.case
    return case.referrals[0] if scene.scope.whole_case and case.referrals else case.id


def _ending(scene: Scene, run: Run, step: Step, act: Act) -> Ending | None:
    """What ends the asks of this step: the end of its run; of the case, where the run's end itself calls for it.

    A Flag states something of the case, and ends with it or with what it states.
    """
    course = scene.course
    if step.closing or (act.kind is Kind.FLAG and scene.scope.signal is not None):
        return course.died if scene.patient_wide else course.closed
    if scene.scope.ended is not None:
        return course.died
    apart = scene.patient_wide or scene.scope.stay is not None
    closed, back = (course.died, None) if apart else (course.closed, course.back)
    endings = [run.ending, closed, course.died, back]
    withdrawing = [e for e in endings if e is not None and _WITHDRAWN_BY[e.sign] not in step.stands]
    return min(withdrawing, key=lambda ending: ending.at, default=None)
