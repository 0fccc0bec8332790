"""CarePlans and the Tasks that belong to them.

A Task belongs to the plan that its own step writes, or to the open plan of the case that has the Task's clause among
its points. A point's state follows from its Tasks. What has been listed in a plan once stays listed.
"""

from __future__ import annotations

from collections.abc import Sequence

from fhirbridge.core.decision import Standing
from fhirbridge.core.effects import Kind, Point
from fhirbridge.core.scene import Ask

Group = Sequence[Ask]
"""The asks that come to one obligation, the one it is named after first."""


class Plans:
    """The open CarePlans of one decision, and which of its Tasks belong to which."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._tasks = [g for g in groups if g[0].act.kind is Kind.TASK]
        self._plans = [g for g in groups if _is_open_plan(g)]

    def of(self, group: Group) -> str | None:
        """The identity of the plan that this Task belongs to."""
        if group[0].act.kind is not Kind.TASK:
            return None
        return next((plan[0].identity for plan in self._plans if _belongs(group, plan)), None)

    def activities(self, plan: Group) -> tuple[str, ...]:
        """The identities of the plan's Tasks, those listed before first."""
        thing = plan[0].thing
        listed = thing.activities if thing is not None else ()
        mine = [task[0] for task in self._tasks if _belongs(task, plan)]
        mine.sort(key=lambda ask: (ask.since, ask.step.order, ask.identity))
        return tuple(dict.fromkeys((*listed, *(ask.identity for ask in mine))))

    def points(self, plan: Group) -> tuple[Point, ...]:
        """The plan's points, each with the state its Tasks come to."""
        return tuple(Point(name, title, self._state(name, plan)) for ask in plan[:1] for name, title in ask.act.points)

    def _state(self, clause: str, plan: Group) -> str:
        mine = [t for t in self._tasks if _belongs(t, plan) and any(ask.step.clause == clause for ask in t)]
        waiting = [ask for task in mine for ask in task if ask.standing is Standing.OPEN]
        answered = [ask for task in mine for ask in task if ask.standing is Standing.ANSWERED]
        if waiting:
            return "in-progress"
        if not answered:
            return "not-started"
        undone = [ask for ask in answered if ask.answer is not None and ask.answer.status != "completed"]
        return "stopped" if undone else "completed"


def _is_open_plan(group: Group) -> bool:
    return group[0].act.kind is Kind.CARE_PLAN and any(ask.standing is Standing.OPEN for ask in group)


def _belongs(task: Group, plan: Group) -> bool:
    written_before = task[0].thing is None and all(ask.standing is not Standing.OPEN for ask in task)
    return not written_before and any(_serves(ask, other) for ask in task for other in plan)


def _serves(ask: Ask, plan: Ask) -> bool:
    if plan.run is ask.run and plan.step is ask.step:
        return True
    named = ask.step.clause in {clause for clause, _ in plan.act.points}
    return named and ask.run.case == plan.run.case and ask.since >= plan.since
