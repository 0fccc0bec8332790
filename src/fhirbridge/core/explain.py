"""explain(pack, record, own, now): for each case, pathway and step why it exists, why not yet, or why not at all.

It is `decide` itself that is asked, with everything looked at, so an explanation cannot say anything else than what was
decided. What does not hold is weighed: a condition that time or an open step can still bring about is waited for; one
that only a change of the record can bring about is why the step is not called for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.accounts import Asked, CaseAccount, Outlook, PathwayAccount, RunAccount, StepAccount, Withheld
from fhirbridge.core.conditions.attendance import Booked, Missed
from fhirbridge.core.conditions.logic import All, AnyOf
from fhirbridge.core.conditions.progress import ContactMade, OutcomeIs, Reached, Running, SentAgo, TimePassed
from fhirbridge.core.decision import Reason, Standing
from fhirbridge.core.findings import Finding, earliest
from fhirbridge.core.gaps import Gap, held_because
from fhirbridge.core.looking import Looking
from fhirbridge.core.own import Own
from fhirbridge.core.policy import Condition, Pack, Pathway, Step
from fhirbridge.core.runs import Runs
from fhirbridge.core.scene import Ask, Run, Scene, StepState
from fhirbridge.core.scopes import nowhere
from fhirbridge.core.sharing import may_be_told
from fhirbridge.core.signs import Ending
from fhirbridge.core.spells import Course, Scope
from fhirbridge.core.timeline import Record


def explain(
    pack: Pack, record: Record, own: Own, now: datetime, *, gaps: tuple[Gap, ...] = ()
) -> tuple[CaseAccount, ...]:
    """Why what exists at this instant (UTC) exists, and why what does not exist does not; the rest as for `decide`."""
    explaining = _Explaining(pack, record, own, now, gaps)
    courses = Looking(explaining).everything()
    return tuple(
        CaseAccount(each.case.id, tuple(explaining.account(pathway, each) for pathway in pack.pathways))
        for each in courses
    )


class _Weighed(Struct, frozen=True):
    """What a condition comes to: its outlook, why, and the instant it is waited for, where that is known.

    `follows` are the titles of the steps that would have to come first.
    """

    outlook: Outlook
    because: tuple[Reason, ...] = ()
    until: datetime | None = None
    follows: tuple[str, ...] = ()

    def reasons(self) -> tuple[Reason, ...]:
        """Why, with what would have to come first said once."""
        if not self.follows:
            return self.because
        if self.outlook is Outlook.NOT_YET:
            titles = " or ".join(f"“{title}”" for title in self.follows)
            return (*self.because, Reason(f"It can only follow {titles}."))
        if len(self.follows) == 1:
            return (*self.because, Reason(f"It can only follow “{self.follows[0]}”, which is not called for."))
        return (*self.because, Reason("None of the steps that it can follow is called for."))


class _Explaining(Runs):
    """The runs of a decision, with notes taken on each and on what did not start."""

    def __init__(self, pack: Pack, record: Record, own: Own, now: datetime, gaps: tuple[Gap, ...]) -> None:
        super().__init__(pack, record, own, now, complete=True, gaps=gaps)
        self._titles = {step.id: step.title for pathway in pack.pathways for step in pathway.steps}
        self._pathway_titles = {pathway.id: pathway.title for pathway in pack.pathways}
        self._notes: list[StepAccount] = []
        self._outlooks: dict[tuple[str, str], Outlook] = {}
        self._accounts: dict[tuple[str, str], list[RunAccount]] = {}
        self._absent: dict[tuple[str, str], _Weighed] = {}

    # --- taking notes ----------------------------------------------------------------------------

    def start(self, pathway: Pathway, each: Course, scope: Scope, runs: list[Run], earlier: tuple[Run, ...]) -> bool:
        """Note the run with its steps, or why there is none."""
        self._notes = []
        name = (each.case.id, pathway.id)
        if not super().start(pathway, each, scope, runs, earlier):
            weighed = self._weigh(
                pathway.starts, self._scene(each, scope, runs, earlier, patient_wide=pathway.one_case)
            )
            if weighed.outlook is Outlook.EXISTS and scope.ending is not None:
                weighed = _Weighed(Outlook.NOT_AT_ALL, (_after_the_end(self.pack, scope.ending), *weighed.because))
            self._absent[name] = weighed
            return False
        run = self.found.all[-1][1]
        account = RunAccount(
            identity=run.identity,
            since=run.since,
            because=run.because,
            ending=run.ending,
            steps=tuple(self._notes),
        )
        self._accounts.setdefault(name, []).append(account)
        return True

    def _step(self, step: Step, scene: Scene, run: Run) -> StepState:
        state = super()._step(step, scene, run)
        note = self._noted(step, scene, run, state)
        self._notes.append(note)
        self._outlooks[scene.course.case.id, step.id] = note.outlook
        return state

    def _noted(self, step: Step, scene: Scene, run: Run, state: StepState) -> StepAccount:
        withheld: tuple[Withheld, ...] = ()
        if state.finding.holds:
            over = run.ending is not None and not state.asks and run.scope.misses and not step.closing
            told = {role: may_be_told(role, scene) for role in dict.fromkeys(act.role for act in step.acts)}
            withheld = tuple(Withheld(role, found.because) for role, found in told.items() if not found.holds)
            weighed = _Weighed(Outlook.EXISTS if state.asks else Outlook.NOT_AT_ALL, state.finding.because)
            if over and not withheld and run.ending is not None:
                weighed = _Weighed(Outlook.NOT_AT_ALL, (_after_the_end(self.pack, run.ending),))
            if state.held:
                why = (*weighed.because, *held_because(self.gaps, self.pack.calendar))
                weighed = _Weighed(weighed.outlook if state.asks else Outlook.NOT_YET, why)
        else:
            weighed = _Weighed(Outlook.NOT_AT_ALL) if step.when is None else self._weigh(step.when, scene)
        reasons = weighed.reasons()
        news = tuple(reason for reason in reasons if reason not in run.because)
        return StepAccount(
            id=step.id,
            row=step.row,
            clause=step.clause,
            title=step.title,
            outlook=weighed.outlook,
            because=news if news or weighed.outlook is Outlook.EXISTS else reasons,
            asked=tuple(_asked(ask) for ask in state.asks),
            withheld=withheld,
            until=weighed.until,
        )

    # --- weighing what does not hold -------------------------------------------------------------

    def _weigh(self, condition: Condition, scene: Scene) -> _Weighed:
        finding = condition.find(scene)
        if finding.holds:
            return _Weighed(Outlook.EXISTS, finding.because)
        if isinstance(condition, All):
            return _all([self._weigh(part, scene) for part in condition.parts])
        if isinstance(condition, AnyOf):
            return _any([self._weigh(part, scene) for part in condition.parts])
        if not _asked_for(condition, scene):
            return self._of_steps(_steps_of(condition), scene)
        ending = scene.scope.ending if scene.scope.misses else None
        if ending is not None and _is_open(condition, scene):
            return _Weighed(Outlook.NOT_AT_ALL, (_after_the_end(self.pack, ending),))
        if finding.changes_at is not None and isinstance(condition, SentAgo | TimePassed):
            sources = tuple(source for reason in finding.because for source in reason.sources)
            waited = "there has been no contact" if scene.scope.spell else "it has not ended"
            waits = Reason(f"It comes when {waited} by then.", sources)
            return _Weighed(Outlook.NOT_YET, (waits,), finding.changes_at)
        if finding.changes_at is not None or (ending is None and _is_open(condition, scene)):
            return _Weighed(Outlook.NOT_YET, finding.because, finding.changes_at)
        return _Weighed(Outlook.NOT_AT_ALL, _refused(condition, finding))

    def _of_steps(self, steps: Iterable[str], scene: Scene) -> _Weighed:
        """The weight of a condition on steps that have asked for nothing so far."""
        waiting = [one for one in steps if self._outlooks.get((scene.course.case.id, one)) is Outlook.NOT_YET]
        titles = tuple(dict.fromkeys(self._titles[one] for one in waiting or steps))
        return _Weighed(Outlook.NOT_YET if waiting else Outlook.NOT_AT_ALL, follows=titles)

    # --- putting it together ---------------------------------------------------------------------

    def account(self, pathway: Pathway, each: Course) -> PathwayAccount:
        """Everything noted about the pathway in this case."""
        runs = tuple(self._accounts.get((each.case.id, pathway.id), ()))
        weighed = self._absent.get((each.case.id, pathway.id)) or self._no_anchor(pathway, each)
        return PathwayAccount(
            id=pathway.id,
            clause=pathway.clause,
            title=pathway.title,
            outlook=Outlook.EXISTS if runs else weighed.outlook,
            runs=runs,
            because=() if runs else weighed.reasons(),
            until=None if runs else weighed.until,
            steps={step.id: step.title for step in pathway.steps},
        )

    def _no_anchor(self, pathway: Pathway, each: Course) -> _Weighed:
        """Why there was nothing that the pathway could have been anchored on."""
        instead = [
            self._pathway_titles[run.pathway]
            for course, run in self.found.all
            if course is each and pathway.group and self._group(run.pathway) == pathway.group
        ]
        says = nowhere(pathway)
        if instead:
            says = f"“{instead[-1]}” runs instead."
        return _Weighed(Outlook.NOT_AT_ALL, (Reason(says),))

    def _group(self, pathway: str) -> str | None:
        return next(one.group for one in self.pack.pathways if one.id == pathway)


def _steps_of(condition: Condition) -> tuple[str, ...]:
    match condition:
        case OutcomeIs(steps=steps) | Reached(steps=steps):
            return steps
        case SentAgo(step=step) | TimePassed(step=str(step)):
            return (step,)
        case _:
            return ()


def _asked_for(condition: Condition, scene: Scene) -> bool:
    """Whether the steps that the condition is about, if any, have asked for something."""
    steps = _steps_of(condition)
    return not steps or any((state := scene.step(step)) is not None and state.asks for step in steps)


def _is_open(condition: Condition, scene: Scene) -> bool:
    """Whether the run, while it goes on, can still bring about what the condition asks for."""
    match condition:
        case SentAgo() | TimePassed() | Booked():
            return True
        case ContactMade():
            return scene.scope.ending is None
        case OutcomeIs(steps=steps):
            states = [state for step in steps if (state := scene.step(step)) is not None]
            return any(ask.standing is not Standing.ANSWERED for state in states for ask in state.asks)
        case _:
            return False


def _all(parts: list[_Weighed]) -> _Weighed:
    never = [part for part in parts if part.outlook is Outlook.NOT_AT_ALL]
    if never:
        return _Weighed(Outlook.NOT_AT_ALL, _reasons(never), follows=_follows(never))
    waiting = [part for part in parts if part.outlook is Outlook.NOT_YET]
    known = [part.until for part in waiting if part.until is not None]
    return _Weighed(Outlook.NOT_YET, _reasons(waiting), max(known, default=None), _follows(waiting))


def _any(parts: list[_Weighed]) -> _Weighed:
    waiting = [part for part in parts if part.outlook is Outlook.NOT_YET]
    if waiting:
        soonest = earliest(part.until for part in waiting)
        return _Weighed(Outlook.NOT_YET, _reasons(waiting), soonest, _follows(waiting))
    return _Weighed(Outlook.NOT_AT_ALL, _reasons(parts), follows=_follows(parts))


def _reasons(parts: Iterable[_Weighed]) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(reason for part in parts for reason in part.because))


def _follows(parts: Iterable[_Weighed]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(title for part in parts for title in part.follows))


def _refused(condition: Condition, finding: Finding) -> tuple[Reason, ...]:
    """Why a condition does not hold and is not waited for: what it found, and what it would have taken."""
    match condition:
        case Running():
            return (Reason("None of the pathways that it accompanies runs."),)
        case ContactMade(outcome=str(outcome)):
            return (*finding.because, Reason(f"It takes the outcome {outcome}."))
        case Missed(consecutive=consecutive) if finding.because and consecutive > 1:
            return (*finding.because, Reason(f"It takes {consecutive} missed appointments in a row."))
        case _:
            return finding.because


def _after_the_end(pack: Pack, ending: Ending) -> Reason:
    return Reason(f"The pathway had ended by {pack.calendar.at_time(ending.at)}.", (ending.source,))


def _asked(ask: Ask) -> Asked:
    answered = ask.standing is Standing.ANSWERED
    thing = ask.thing
    sent = thing.sent if thing is not None else None
    return Asked(
        identity=ask.identity,
        kind=ask.act.kind,
        action=ask.act.action,
        role=ask.key.role,
        standing=ask.standing,
        since=ask.since,
        due=ask.due,
        lapsed=ask.lapsed,
        done=ask.answer.at if ask.answer else sent,
        status=ask.answer.status if ask.answer else None,
        outcome=ask.answer.outcome if ask.answer else None,
        answer=ask.answer.source if ask.answer else ask.settled_by if answered else None,
        withdrawal=ask.withdrawal,
    )
