"""Which cases of the patient a Task of the EPR counts in, and when it happened."""

from __future__ import annotations

from datetime import datetime

from fhirbridge.core.cases import Case
from fhirbridge.core.facts import Task
from fhirbridge.core.findings import earliest
from fhirbridge.core.history import History
from fhirbridge.core.own import Own, Thing


def cases_of_task(task: History[Task], own: Own, cases: tuple[Case, ...]) -> frozenset[str]:
    """The cases in which a Task of the EPR counts: its obligation's, those it names, the oldest it answers, or all."""
    fact = task.latest
    if fact.obligation is not None:
        thing = own.things.get(fact.obligation)
        return _called(thing.key.case, cases) if thing else frozenset()
    named = {case.id for case in cases if case.named_in(fact.about)}
    if named:
        return frozenset(named)
    if len(cases) == 1:
        return frozenset({cases[0].id})
    happened = happened_at(task)
    asked = [t for t in own.things.values() if _open_then(t, fact.actions, happened)]
    if asked:
        oldest = min(asked, key=lambda t: (t.since, t.identity)).key.case
        return _called(oldest, cases)
    return frozenset(case.id for case in cases if case.open_at(happened)) or frozenset(case.id for case in cases)


def happened_at(task: History[Task]) -> datetime:
    """When the Task was answered: its execution's end, else when its present state became known."""
    return task.latest.happened or task.since


def _called(name: str, cases: tuple[Case, ...]) -> frozenset[str]:
    """The cases with that name; all of them where it is the patient's own."""
    named = frozenset(case.id for case in cases if name in case.names)
    return named or frozenset(case.id for case in cases)


def _open_then(thing: Thing, actions: tuple[str, ...], at: datetime) -> bool:
    gone = earliest((thing.withdrawn, thing.completed))
    return thing.key.action in actions and thing.since <= at and (gone is None or at <= gone)
