"""Where a pack's pathways may run: through every case, the scopes that they are anchored on, and the runs found there.

What one place asks for depends on the places before it, in the order of the cases, their spells and the pack; so that
is the order in which they are looked into. Where a memory is kept, a place that nothing has touched is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from fhirbridge.core.codes import in_words
from fhirbridge.core.decision import Standing
from fhirbridge.core.effects import Kind
from fhirbridge.core.memory import Memory, Name, View
from fhirbridge.core.policy import Pathway
from fhirbridge.core.runs import Runs
from fhirbridge.core.scene import Ask, Found, Run
from fhirbridge.core.scopes import (
    after,
    home_of,
    of_answer,
    of_case,
    of_discharge,
    of_overdue,
    of_signal,
    of_signal_end,
    of_signal_in_spell,
    of_signal_in_stay,
    of_stay,
    of_stay_end,
)
from fhirbridge.core.spells import Course, Overdue, Scope, course


class Looking:
    """Looks through every case for the scopes that the pack's pathways are anchored on, and runs them there."""

    def __init__(self, runs: Runs, cases: frozenset[str] | None = None, memory: Memory | None = None) -> None:
        self.places: list[Found] = []
        """Where anything is asked for."""
        self._runs = runs
        self._cases = cases
        self._memory = memory
        self._courses: list[Course] = []

    @property
    def asks(self) -> list[Ask]:
        """Everything that is asked for, in every place."""
        return self._runs.found.asks

    def everything(self) -> list[Course]:
        """Work through every case; the courses that were found."""
        runs = self._runs
        self._courses = [course(case, runs.record, runs.own, runs.now, runs.pack.late) for case in runs.record.cases]
        for each in self._courses:
            if self._cases is None or each.case.id in self._cases:
                self._case(each)
        return self._courses

    def _case(self, each: Course) -> None:
        """Everything that is anchored on something of this case."""
        self._runs.wake(each.changes_at)
        begun = each.case.begun
        earlier = tuple(run for _, run in self._runs.found.all if run.scope.misses and run.since < begun)
        runs: list[Run] = []
        for spell in each.spells:
            name, view = (each.case.id, spell.name, ""), View(each, spell, earlier)
            found, here = self._place(name, view, partial(self._spell, each, spell, earlier))
            runs = here or runs
            if found.asks:
                self.places.append(found)
        found, _ = self._place(
            (each.case.id, "", ""), View(each, None, earlier, tuple(runs)), partial(self._rest, each, runs, earlier)
        )
        if found.asks:
            self.places.append(found)

    def _place(self, name: Name, view: View, look: Callable[[], list[Run]]) -> tuple[Found, list[Run]]:
        """Look into one place, or remember what was found there; that, and its runs."""
        runs, memory = self._runs, self._memory
        if memory is None:
            return runs.found, look()
        known = memory.recall(name, view, runs.now)
        if known is not None:
            runs.remembered(known[0])
            return known
        outside, runs.found = runs.found, Found()
        here = look()
        found, runs.found = runs.found, outside
        runs.found.take(found)
        memory.keep(name, view, found, here, runs.now)
        return found, here

    def _start(self, pathway: Pathway, each: Course, scope: Scope, runs: list[Run], earlier: tuple[Run, ...]) -> bool:
        """Run the pathway in this scope if it starts there, with what is owed for its overdue Tasks; whether it did."""
        if self._memory is None:
            return self._started(pathway, each, scope, runs, earlier)

        def look() -> list[Run]:
            beside = list(runs)
            return beside[-1:] if self._started(pathway, each, scope, beside, earlier) else []

        view = View(each, scope, earlier, tuple(runs))
        _, here = self._place((each.case.id, scope.name, pathway.id), view, look)
        runs += here
        return bool(here)

    def _started(self, pathway: Pathway, each: Course, scope: Scope, runs: list[Run], earlier: tuple[Run, ...]) -> bool:
        before = len(self._runs.found.asks)
        started = self._runs.start(pathway, each, scope, runs, earlier)
        if started:
            self._overdue(each, self._runs.found.asks[before:])
        return started

    def _rest(self, each: Course, runs: list[Run], earlier: tuple[Run, ...]) -> list[Run]:
        """What of the case is outside of its spells; `runs` are those of the last spell that had any."""
        for pathway in self._runs.pack.elsewhere:
            for scope in self._scopes(pathway, each):
                self._runs.wake(scope.start)
                if scope.start <= self._runs.now:
                    beside = list(runs) if pathway.once_per == "discharge" else []
                    self._start(pathway, each, scope, beside, earlier)
        return []

    def _scopes(self, pathway: Pathway, each: Course) -> Iterable[Scope]:
        """What of this case a pathway that is not about spells is anchored on."""
        record, signals, now = self._runs.record, pathway.signals, self._runs.now
        match pathway.once_per:
            case "discharge":
                scopes = of_discharge(each)
            case "episode":
                scopes = of_case(each)
            case "signal":
                scopes = of_signal(each, record, signals, patient_wide=pathway.one_case)
            case "signal-end":
                scopes = of_signal_end(each, record, signals, now)
            case "signal-in-stay":
                scopes = of_signal_in_stay(each, record, signals, now)
            case "stay":
                scopes = of_stay(each, now)
            case "stay-end":
                scopes = of_stay_end(each, now)
            case _:
                scopes = of_answer(each, record, self._runs.own, pathway.outcomes)
        return [scope for scope in scopes if self._belongs(pathway, scope, each)]

    def _belongs(self, pathway: Pathway, scope: Scope, each: Course) -> bool:
        if not pathway.one_case or scope.signal is None:
            return True
        return home_of(scope.signal, self._courses) == each.case.id

    def _spell(self, each: Course, spell: Scope, earlier: tuple[Run, ...]) -> list[Run]:
        """The pathways of one spell; of those in one group, the first that starts."""
        runs: list[Run] = []
        taken: set[str] = set()
        for pathway in self._runs.pack.in_spell:
            lacks_miss = pathway.needs == "miss" and not spell.misses
            if not self._runs.complete and (lacks_miss or (pathway.needs == "run" and not runs)):
                continue
            if pathway.once_per == "spell" and not (pathway.group and pathway.group in taken):
                started = self._start(pathway, each, spell, runs, earlier)
                if started and pathway.group is not None:
                    taken.add(pathway.group)
                while started and (rest := after(spell, runs[-1])) is not None:
                    started = self._start(pathway, each, rest, runs, earlier)
            elif pathway.once_per == "signal-in-spell":
                for scope in of_signal_in_spell(spell, self._runs.record, pathway.signals):
                    self._runs.wake(scope.start)
                    if scope.start <= self._runs.now:
                        self._start(pathway, each, scope, runs, earlier)
        return runs

    def _overdue(self, each: Course, asks: Iterable[Ask]) -> None:
        """What is owed for every Task of ours among these that passed its due date and still waits."""
        for_tasks = self._runs.pack.for_tasks
        for ask in asks if for_tasks else ():
            waits = ask.standing is Standing.OPEN or ask.passed_on
            if ask.act.kind is not Kind.TASK or not waits or ask.thing is None:
                continue
            self._runs.wake(ask.due)
            if ask.lapsed is None:
                continue
            late = Overdue(ask.identity, _title(ask), ask.lapsed, ask.run.triggers)
            scope = of_overdue(late, ask.run.ending if ask.passed_on else None, ask.run.scope)
            for pathway in for_tasks:
                name = (each.case.id, scope.name, pathway.id)
                self._place(name, View(each, scope, ()), partial(self._late, pathway, each, scope))

    def _late(self, pathway: Pathway, each: Course, scope: Scope) -> list[Run]:
        """The run of an overdue Task; what that itself asks for is not chased again."""
        runs: list[Run] = []
        self._runs.start(pathway, each, scope, runs, ())
        return runs


def _title(ask: Ask) -> str:
    """The title of its step, and which of its Tasks it is where the step has several."""
    several = sum(act.kind is Kind.TASK for act in ask.step.acts) > 1
    return f"{ask.step.title}: {in_words(ask.act.action)}" if several else ask.step.title
