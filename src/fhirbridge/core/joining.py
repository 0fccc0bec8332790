"""Asks → obligations: the same action for the same role in the same case is one obligation, whoever asks for it.

It is due when the earliest asks for it, has the highest priority, cites every row, and stands while any row asks. What
has been written keeps its identity, its due date and its text; a new ask for it can only tighten them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fhirbridge.core.calendar import spoken
from fhirbridge.core.decision import Obligation, Reason, Standing
from fhirbridge.core.effects import Kind, Withdrawal
from fhirbridge.core.facts import Source
from fhirbridge.core.identity import of_obligation
from fhirbridge.core.own import Thing
from fhirbridge.core.plans import Plans
from fhirbridge.core.policy import Pack
from fhirbridge.core.scene import Ask
from fhirbridge.core.spells import Miss
from fhirbridge.core.summary import SUMMARIES, details, told
from fhirbridge.core.unfounded import stated
from fhirbridge.core.vocabulary import PRIORITIES

Made = dict[tuple[int, ...], tuple[list[Ask], Obligation]]
"""What groups of asks came to, by the ids of the asks."""


def join(asks: Sequence[Ask], pack: Pack, before: Made | None = None) -> tuple[tuple[Obligation, ...], Made]:
    """The obligations that these asks come to, in the order in which they arose, and which came of which.

    Groups of the very asks that were joined `before` come to the same.
    """
    if not asks:
        return (), {}
    groups: dict[object, list[Ask]] = {}
    loose: list[Ask] = []
    for ask in asks:
        if ask.thing is not None:
            groups.setdefault(ask.thing.identity, []).append(ask)
        elif ask.standing is Standing.OPEN:
            loose.append(ask)
    standing = {_logical(group[0]): name for name, group in groups.items() if _may_take_more(group)}
    for ask in loose:
        name = standing.get(_logical(ask), _logical(ask))
        groups.setdefault(name, []).append(ask)
    ordered = [sorted(group, key=_age) for group in groups.values()]
    plans = Plans(ordered)
    made: Made = {}
    for group in ordered:
        if not _is_settled(group[0].thing):
            name = tuple(map(id, group))
            known = before.get(name) if before is not None else None
            if known is None or known[1].plan != plans.of(group) or known[1].kind is Kind.CARE_PLAN:
                known = (group, _obligation(group, pack, plans))
            made[name] = known
    obligations = sorted((o for _, o in made.values()), key=lambda o: (o.since, o.key.kind, o.identity))
    return tuple(obligations), made


def _is_settled(thing: Thing | None) -> bool:
    """Whether nothing can be done to it any more: closed by ourselves, or sent."""
    return thing is not None and (not thing.open or thing.sent is not None)


def _logical(ask: Ask) -> tuple[str, str, str, str, str]:
    """What makes two asks one; what is said of one overdue Task is never said of another with it."""
    apart = ask.key.scope if ask.run.scope.overdue is not None else ""
    return ask.run.case, ask.key.kind, ask.key.action, ask.key.role, apart


def _age(ask: Ask) -> tuple[bool, object, int]:
    return ask.thing is None, ask.since, ask.step.order


def _may_take_more(group: list[Ask]) -> bool:
    """Whether what was written can serve another ask: still open, or given up only because the episode ended."""
    thing = group[0].thing
    if thing is None or not thing.open or thing.sent is not None:
        return False
    standing = _standing(group)
    discharged = all(ask.withdrawal is Withdrawal.DISCHARGED for ask in group)
    return standing is Standing.OPEN or (standing is Standing.ENDED and discharged)


def _standing(group: list[Ask]) -> Standing:
    standings = {ask.standing for ask in group}
    for standing in (Standing.ANSWERED, Standing.OPEN):
        if standing in standings:
            return standing
    return Standing.ENDED


def _obligation(group: list[Ask], pack: Pack, plans: Plans) -> Obligation:
    first = group[0]
    standing = _standing(group)
    counting = [ask for ask in group if ask.standing is standing]
    thing = first.thing
    because = tuple(dict.fromkeys([reason for ask in counting for reason in ask.because]))
    ordered = sorted(counting, key=lambda ask: ask.step.order)
    triggers = first.run.triggers
    settled = next((ask for ask in counting if ask.standing is Standing.ANSWERED), None)
    return Obligation(
        identity=first.identity,
        key=first.key,
        run=thing.run if thing else first.run.identity,
        pathway=first.run.pathway,
        canonical=pack.canonical,
        steps=tuple(dict.fromkeys([ask.step.id for ask in ordered])),
        clauses=tuple(dict.fromkeys([ask.step.row for ask in ordered])),
        since=first.since,
        standing=standing,
        title=first.step.title,
        description=" ".join(dict.fromkeys([_text(ask, pack) for ask in ordered])),
        priority=_priority(counting, thing),
        due=_due(counting, thing) or first.due,
        medium=first.act.medium,
        reply_within=first.act.reply_within,
        because=because,
        evidence=_evidence(because, triggers),
        trigger=triggers[-1] if triggers else None,
        details=tuple(detail for ask in ordered for name in _summaries(ask) for detail in details(name, ask.scene)),
        triggers=triggers,
        stated=tuple([stated(source, first.scene.record) for source in triggers]),
        covers=_covers(group, thing),
        plan=plans.of(group),
        points=plans.points(group) if first.act.kind is Kind.CARE_PLAN else (),
        activities=plans.activities(group) if first.act.kind is Kind.CARE_PLAN else (),
        episode=first.run.case if first.run.case.startswith("EpisodeOfCare/") else None,
        withdrawal=first.withdrawal,
        answer=settled.settled_by if settled else None,
        outcome=settled.answer.outcome if settled and settled.answer else None,
    )


def _due(counting: list[Ask], thing: Thing | None) -> datetime | None:
    """The earliest deadline of those that count, and the written one unless something else than time moves it."""
    dues = [due for ask in counting if (due := _asked_due(ask)) is not None]
    if thing is not None and thing.due is not None and not any(a.act.due_by or a.due_by_person for a in counting):
        dues.append(thing.due)
    return min(dues, default=None)


def _priority(counting: list[Ask], thing: Thing | None) -> str:
    priorities = [ask.act.priority for ask in counting] + ([thing.priority] if thing else [])
    return max(priorities, key=PRIORITIES.index)


def _covers(group: list[Ask], thing: Thing | None) -> tuple[str, ...]:
    """The identities of all asks that were ever joined into this one."""
    return tuple(dict.fromkeys((*(thing.covers if thing else ()), *[of_obligation(ask.key) for ask in group])))


def _asked_due(ask: Ask) -> datetime | None:
    """The deadline this ask contributes: of what is written already, the one that was written.

    But it moves with the appointment or the discharge that it is due by, and forward when the record turns out to begin
    earlier than was known.
    """
    if ask.thing is None:
        return ask.due
    unmoved = ask.since >= ask.thing.since and ask.act.due_by is None
    settled = ask.step.id in ask.thing.steps and unmoved
    return ask.thing.due if settled or ask.due_by_person else ask.due


def _evidence(because: tuple[Reason, ...], triggers: tuple[Source, ...]) -> tuple[Source, ...]:
    return tuple(dict.fromkeys((*triggers, *[source for reason in because for source in reason.sources])))


def _text(ask: Ask, pack: Pack) -> str:
    """The act's text, or the step's title, with the settings and the dates of this case put in."""
    return (ask.act.says or f"{ask.step.title}.").format_map(_Words(ask, pack)).strip()


class _Words(dict[str, str]):
    """What stands for each name in a text, found when the text asks for it."""

    def __init__(self, ask: Ask, pack: Pack) -> None:
        super().__init__()
        self._ask = ask
        self._pack = pack

    def __missing__(self, name: str) -> str:
        ask, calendar = self._ask, self._pack.calendar
        match name:
            case "missed":
                missed = [calendar.on_date(m.at) for m in _missed(ask)]
                return " and ".join((", ".join(missed[:-1]), missed[-1])) if len(missed) > 1 else "".join(missed)
            case "due":
                return calendar.at_time(ask.due) if ask.due else ""
            case "since":
                return calendar.at_time(ask.since)
            case _ if name in SUMMARIES:
                return told(details(name, ask.scene))
            case _ if name in self._pack.texts:
                return self._pack.texts[name]
            case _:
                return _spoken(self._pack.settings[name])


def _missed(ask: Ask) -> list[Miss]:
    """The missed appointments the text is about: of the run's spell, else those that stood when the case ended."""
    streak = ask.run.scope.streak
    if not streak and ask.run.scope.ended is not None:
        spells = ask.scene.around.spells
        streak = spells[-1].streak if spells else ()
    return [miss for miss in streak if miss.clock <= ask.since]


def _summaries(ask: Ask) -> list[str]:
    """The summaries of the record that the act's text calls for."""
    return [name for name in sorted(SUMMARIES) if f"{{{name}}}" in ask.act.says]


def _spoken(value: str | int) -> str:
    return spoken(value) if isinstance(value, str) else str(value)
