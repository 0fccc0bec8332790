"""One act of one step → one ask: its identity, its deadline, what the service wrote for it, and its answer.

A Task of the EPR answers what the service asked for by its obligation identifier. A Task without one answers the oldest
ask with its action that was open when it happened; it answers only one, and never one that opens later.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from msgspec.structs import replace

from fhirbridge.core.calendar import Elapsed, LocalPeriod, SameDay, Span, WorkingDays
from fhirbridge.core.corrections import corrected
from fhirbridge.core.decision import Standing
from fhirbridge.core.effects import Key, Kind, Own, Thing, Withdrawal
from fhirbridge.core.facts import Task
from fhirbridge.core.findings import Finding
from fhirbridge.core.history import History
from fhirbridge.core.identity import of_obligation
from fhirbridge.core.messages import check_ins
from fhirbridge.core.policy import Act, Pack, Repeat, Step
from fhirbridge.core.scene import Answer, Ask, Run, Scene
from fhirbridge.core.spells import REASONS, TOOK_UP, Ending, Sign, contact_cases, happened_at, spell_of
from fhirbridge.core.states import is_terminal
from fhirbridge.core.timeline import Record

_WITHDRAWN_BY = {
    Sign.ATTENDED: "return",
    Sign.CONTACT: "return",
    Sign.DISCHARGED: "discharge",
    Sign.OVER: "end",
    Sign.DECEASED: "death",
}
_SAME_INSTANT = timedelta(seconds=1)
_ANSWERS = frozenset({"completed", "failed", "rejected"})


class Desk:
    """Builds the asks of one decision, and hands out each Task of the EPR as an answer only once."""

    def __init__(self, pack: Pack, record: Record, own: Own) -> None:
        self._pack = pack
        self._record = record
        self._own = own
        self._things: dict[tuple[str, str, str, str], list[Thing]] = defaultdict(list)
        for thing in own.things.values():
            if thing.key.pack == pack.name:
                self._things[_logical(thing.key)].append(thing)
        self._corrected = corrected(own)
        self._own_tasks: dict[str, History[Task]] = {}
        self._loose: dict[str, list[History[Task]]] = defaultdict(list)
        for task in sorted(record.tasks, key=lambda t: (happened_at(t), t.latest.source)):
            if task.latest.obligation is not None:
                self._own_tasks[task.latest.obligation] = task
            elif task.latest.status in _ANSWERS:
                for action in task.latest.actions:
                    self._loose[action].append(task)
        self.wakes: list[datetime] = []
        """When something more is asked for, or lapses, if nothing new is learnt."""
        self._asked: dict[tuple[str, str, str, str], int] = defaultdict(int)
        self._answers: dict[str, Answer] = {}
        self._used: set[str] = set()

    def asks(self, scene: Scene, run: Run, step: Step, act: Act, finding: Finding) -> list[Ask]:
        """What this act asks for since the finding's instant: once, again after an answer, or every so often."""
        if step.every is not None:
            return self._recurring(scene, run, step, act, finding)
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
            unprompted, since = self._unprompted(scene, run, act, repeat, answer)
            sent += unprompted
            if since > scene.now or (run.ending is not None and since >= run.ending.at):
                self.wakes.append(since)
                break
            again = Finding(True, since, finding.because)
            if len(asks) + sent >= repeat.times:
                break
            asks.append(self._ask(scene, run, step, act, again, occurrence=step.again + len(asks) + sent))
        self._asked[spell] += len(asks)
        return asks

    def _unprompted(self, scene: Scene, run: Run, act: Act, repeat: Repeat, answer: Answer) -> tuple[int, datetime]:
        """How many check-in messages followed by themselves, and when the next is asked for after the last of them."""
        count, last = 0, answer.at
        since = scene.calendar.after(last, repeat.after)
        while act.answered_by_message:
            extra = self._message_before(_until(scene, run.ending, since), last, scene)
            if extra is None:
                break
            count, last = count + 1, extra
            since = scene.calendar.after(last, repeat.after)
        return count, since

    def _recurring(self, scene: Scene, run: Run, step: Step, act: Act, finding: Finding) -> list[Ask]:
        """One ask for each period up to the present one; what lapsed has passed on to the next."""
        every = step.every
        asks: list[Ask] = []
        if every is None:
            return asks
        ending = _ending(scene, run, step, act)
        anchor = run.scope.start if run.scope.whole_case else run.since
        since = scene.calendar.after(anchor, times(every.period, every.first - 1))
        number = every.first
        while (every.last is None or number <= every.last) and (ending is None or since < ending.at):
            if since > scene.now:
                self.wakes.append(since)
                break
            due = scene.calendar.after(anchor, times(every.period, number))
            told = Finding(True, since, finding.because)
            past = due <= scene.now and number != every.last
            ask = self._ask(scene, run, step, act, told, occurrence=number, due=due, past=past)
            asks.append(ask)
            self.wakes.append(due)
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
        key = replace(self._key(scene, run, act, since), occurrence=occurrence or step.again)
        if step.anew:
            key = replace(key, scope=f"{key.scope}@{since:%Y-%m-%dT%H:%M:%S}")
        thing = self._passed_on(key) if past else None
        key = thing.key if thing is not None else key
        if thing is None:
            thing, key = self._thing(key, scene)
        ask = Ask(
            key=key,
            identity=thing.identity if thing else of_obligation(key),
            step=step,
            act=act,
            run=run,
            since=since,
            due=self._due(thing, scene, step, act, since, due),
            because=finding.because,
            scene=scene,
            thing=thing,
            due_by_person=self._due_by_person(thing) is not None,
        )
        ending = _ending(scene, run, step, act)
        if act.kind is Kind.TASK:
            ask.answer = self._answer(ask, scene, ending)
            ask.lapsed = _lapsed(ask, ending, scene.now)
        self._stand(ask, scene, ending)
        return ask

    # --- what was written ------------------------------------------------------------------------

    def _key(self, scene: Scene, run: Run, act: Act, since: datetime) -> Key:
        away = act.role_out_of_hours is not None and not self._pack.in_hours(since)
        return Key(
            patient=self._record.patient,
            case=self._record.patient if scene.patient_wide else _case_name(scene),
            pack=self._pack.name,
            kind=act.kind,
            action=act.action,
            role=act.role_out_of_hours if away and act.role_out_of_hours else act.role,
            scope=run.scope.name,
            generation=run.generation,
        )

    def _thing(self, key: Key, scene: Scene) -> tuple[Thing | None, Key]:
        """What was written for this key, and the key under which it is (or would be) written."""
        same = self._things.get(_logical(key), [])
        if not same:
            return None, key
        mine = [t for t in same if t.key.scope == key.scope and t.key.occurrence == key.occurrence]
        for thing in mine:
            if self._stands(thing) and (thing.key.generation >= key.generation or self._acted_on(thing)):
                return thing, thing.key
        if any(not self._stands(thing) for thing in mine):
            generation = max(key.generation, 1 + max(t.key.generation for t in mine))
            key = replace(key, generation=generation)
        identity = of_obligation(key)
        for thing in same:
            moved = thing.key.occurrence == key.occurrence and self._moved(thing, scene)
            if self._stands(thing) and (identity in thing.covers or moved):
                return thing, thing.key
        return None, key

    def _stands(self, thing: Thing) -> bool:
        """Neither taken back nor, where it was sent, corrected: what is asserted again has to be said again."""
        return thing.withdrawn is None and thing.identity not in self._corrected

    def _passed_on(self, key: Key) -> Thing | None:
        """What was written for a period that has passed, and taken back when the next began."""
        same = self._things.get(_logical(key), [])
        mine = [t for t in same if t.key.scope == key.scope and t.key.occurrence == key.occurrence]
        return next((t for t in mine if t.reason is Withdrawal.SUPERSEDED), None)

    def _moved(self, thing: Thing, scene: Scene) -> bool:
        """Whether it was written in this very spell, whose anchor has changed since, and people have acted on it."""
        if spell_of(thing.key.scope) in {spell.name for spell in scene.course.spells}:
            return False
        ending = scene.scope.ending
        inside = scene.scope.start < thing.since and (ending is None or thing.since <= ending.at)
        return inside and self._acted_on(thing)

    def _acted_on(self, thing: Thing) -> bool:
        """Whether it was sent or closed, or staff have begun with it: it is never asked for again then."""
        task = self._own_tasks.get(thing.identity)
        begun = task is not None and task.latest.status != "requested"
        return begun or thing.sent is not None or thing.completed is not None

    def _due(
        self, thing: Thing | None, scene: Scene, step: Step, act: Act, since: datetime, fixed: datetime | None
    ) -> datetime | None:
        if act.due is None:
            return None
        persons = self._due_by_person(thing)
        if persons is not None:
            return persons
        if thing is not None and step.id in thing.steps and act.due_by is None and since >= thing.since:
            return thing.due
        run = scene.run
        written = thing.due if thing is not None else None
        due = fixed or self._pack.calendar.after(run.counted_from if run and act.due_from_start else since, act.due)
        if act.due_by == "first-appointment":
            begun = min(since, thing.since) if thing is not None else since
            return _first_appointment(scene, since) or self._pack.calendar.after(begun, act.due)
        if act.due_by == "discharge-date":
            return _discharge_date(scene, since) or written or due
        return min(due, thing.due) if thing is not None and thing.due is not None else due

    def _due_by_person(self, thing: Thing | None) -> datetime | None:
        """The due date that the EPR shows, where the service never wrote it; EPRs may drop parts of a second."""
        task = self._own_tasks.get(thing.identity) if thing is not None else None
        shown = task.latest.due if task is not None else None
        if thing is None or shown is None or any(abs(shown - due) < _SAME_INSTANT for due in thing.dues):
            return None
        return shown

    # --- answers ---------------------------------------------------------------------------------

    def _answer(self, ask: Ask, scene: Scene, ending: Ending | None) -> Answer | None:
        known = self._answers.get(ask.identity)
        if known is not None:
            return known
        own = self._own_tasks.get(ask.identity)
        closed_by_staff = ask.thing is None or ask.thing.completed is None
        answer = None
        if own is not None and is_terminal(Kind.TASK, own.latest.status) and closed_by_staff:
            answer = _answered(own)
        answer = answer or self._loose_answer(ask, scene, ending)
        if ask.act.answered_by_message:
            answer = self._message(ask, scene, answer.at if answer is not None else _until(scene, ending)) or answer
        if answer is not None:
            self._answers[ask.identity] = answer
        return answer

    def _loose_answer(self, ask: Ask, scene: Scene, ending: Ending | None) -> Answer | None:
        for task in self._loose.get(ask.act.action, ()):
            happened = happened_at(task)
            if happened < ask.since or (ending is not None and happened > ending.at):
                continue
            reference = task.latest.source.reference
            cases = self._record.cases
            if reference in self._used or scene.course.case.id not in contact_cases(task, self._own, cases):
                continue
            self._used.add(reference)
            return _answered(task)
        return None

    def _message(self, ask: Ask, scene: Scene, until: datetime) -> Answer | None:
        """The first check-in message since the ask was called for, up to `until`, that has answered none before it."""
        before = ask.since - timedelta(microseconds=1)
        for at, source in check_ins(self._record, scene.course.case, before, until):
            if source.reference not in self._used:
                self._used.add(source.reference)
                return Answer(at=at, status="completed", outcome="done", source=source)
        return None

    def _message_before(self, until: datetime, since: datetime, scene: Scene) -> datetime | None:
        """When the next unprompted check-in message was sent between the two instants; it counts like one asked for."""
        for at, source in check_ins(self._record, scene.course.case, since, until):
            if source.reference not in self._used:
                self._used.add(source.reference)
                return at
        return None

    # --- where it stands -------------------------------------------------------------------------

    def _stand(self, ask: Ask, scene: Scene, ending: Ending | None) -> None:
        if ask.answer is not None:
            ask.standing = Standing.ANSWERED
            own = self._own_tasks.get(ask.identity)
            ask.settled_by = None if own and own.latest.source == ask.answer.source else ask.answer.source
            return
        if ask.thing is not None and ask.thing.sent is not None:
            ask.standing = Standing.ANSWERED
            return
        until = ask.step.until.find(scene) if ask.step.until is not None else None
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


def _until(scene: Scene, ending: Ending | None, last: datetime | None = None) -> datetime:
    """Now, or the ending or `last` where they come before."""
    return min(at for at in (scene.now, last, ending.at if ending is not None else None) if at is not None)


def _logical(key: Key) -> tuple[str, str, str, str]:
    return key.case, key.kind, key.action, key.role


def _answered(task: History[Task]) -> Answer:
    fact = task.latest
    return Answer(at=happened_at(task), status=fact.status, outcome=fact.outcome, source=fact.source)


def _ending(scene: Scene, run: Run, step: Step, act: Act) -> Ending | None:
    """What ends the asks of this step: the end of its run; of the case, where the run's end itself calls for it.

    A Flag states something of the case, and ends with it or with what it states.
    """
    course = scene.course
    if step.closing or (act.kind is Kind.FLAG and scene.scope.signal is not None):
        return course.died if scene.patient_wide else course.closed
    if scene.scope.ended is not None:
        return course.died
    closed = course.died if scene.patient_wide else course.closed
    endings = [run.ending, closed, course.died]
    withdrawing = [e for e in endings if e is not None and _WITHDRAWN_BY[e.sign] not in step.stands]
    return min(withdrawing, key=lambda ending: ending.at, default=None)


def times(period: Span, count: int) -> Span:
    """The period so many times over: counted from one anchor, never chained."""
    match period:
        case LocalPeriod(months=months, days=days):
            return LocalPeriod(months=months * count, days=days * count)
        case Elapsed(seconds=seconds):
            return Elapsed(seconds * count)
        case WorkingDays(days=days):
            return WorkingDays(days * count)
        case SameDay():
            return LocalPeriod(days=count)


def _discharge_date(scene: Scene, since: datetime) -> datetime | None:
    """The end that the episode or the stay has recorded ahead."""
    case = scene.course.case
    histories = [h.latest for h in (case.episode, *case.stays) if h is not None]
    ends = [fact.end for fact in histories if fact.status != "finished" and fact.end is not None and fact.end > since]
    return min(ends, default=None)


def _first_appointment(scene: Scene, since: datetime) -> datetime | None:
    """The first appointment of the case after that instant that was not cancelled."""
    return next((v.at for v in scene.course.case.visits if v.at > since and v.state in TOOK_UP), None)


def _lapsed(ask: Ask, ending: Ending | None, now: datetime) -> datetime | None:
    due = ask.due
    if due is None or due > now or (ending is not None and ending.at <= due):
        return None
    in_time = ask.answer is not None and ask.answer.at <= due and ask.answer.status in _ANSWERS
    return None if in_time else due
