"""Nothing that was to be told ends in silence: what is sent is confirmed, or in somebody's hands.

Where a channel or a receiver says that a Communication did not arrive, or nobody has said anything when it should have
been confirmed, the team is asked to confirm it by other means; where nobody is known whom it could be sent to, to find
somebody. Both Tasks close by themselves when a later word, or the directory, settles the matter. What is known of the
delivery is written into the Communication.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.calendar import span
from fhirbridge.core.decision import MarkDelivery, Obligation, Reason, Standing
from fhirbridge.core.deliveries import Consignment, Stage
from fhirbridge.core.effects import Key, Kind, Mark, Withdrawal
from fhirbridge.core.facts import Task
from fhirbridge.core.findings import earliest
from fhirbridge.core.history import History
from fhirbridge.core.identity import of_obligation
from fhirbridge.core.own import Own, Thing
from fhirbridge.core.policy import Pack, Step
from fhirbridge.core.timeline import Record
from fhirbridge.core.vocabulary import ANSWERED, NOT_DONE, PRIORITIES

CONFIRM = "confirm-received"
RESOLVE = "resolve-recipient"
TEAM = "team-manager"
"""Who is asked: they know who in the team can ring."""

_CHASES = frozenset({CONFIRM, RESOLVE})


class Confirming(Struct, frozen=True):
    """Tasks owed for deliveries, what the Communications have to say of them, and when to look again."""

    obligations: tuple[Obligation, ...] = ()
    marks: tuple[MarkDelivery, ...] = ()
    wakes_at: datetime | None = None


def confirming(pack: Pack, record: Record, own: Own, now: datetime) -> Confirming:
    """What the deliveries of this pack's Communications call for, at this instant (UTC)."""
    concerned = [t for t in own.things.values() if t.consignments or t.unaddressed or t.mark or t.key.action in _CHASES]
    mine = [thing for thing in concerned if _is_ours(thing, pack, own)]
    chases = [thing for thing in mine if thing.key.action in _CHASES]
    sending = [thing for thing in mine if thing.key.action not in _CHASES]
    return _Desk(pack, record, own, now, chases).look(sending) if sending or chases else Confirming()


class _Desk:
    """One look at everything that is under way."""

    def __init__(self, pack: Pack, record: Record, own: Own, now: datetime, chases: Iterable[Thing]) -> None:
        self._pack = pack
        self._own = own
        self._now = now
        self._chases: dict[tuple[str, str], list[Thing]] = {}
        for thing in sorted(chases, key=lambda thing: thing.key.generation):
            self._chases.setdefault((thing.key.case, thing.key.scope), []).append(thing)
        self._tasks: dict[str, History[Task]] = {h.latest.obligation: h for h in record.tasks if h.latest.obligation}

    def look(self, sending: list[Thing]) -> Confirming:
        looked = [self._delivery(thing) for thing in sorted(sending, key=lambda t: (t.written, t.identity))]
        return Confirming(
            obligations=(
                *(each for one in looked for each in one.obligations),
                *self._nobody([thing for thing in sending if thing.unaddressed is not None and thing.open]),
            ),
            marks=tuple(each for one in looked for each in one.marks),
            wakes_at=earliest(one.wakes_at for one in looked),
        )

    def _delivery(self, thing: Thing) -> Confirming:
        """The chase of one Communication, and what it says of itself."""
        scope = f"confirm:{thing.identity}"
        by_hand = self._confirmed_by_hand(self._chases.get((thing.key.case, scope), ()))
        waiting = [each for each in thing.consignments if each.received is None]
        if by_hand is not None or not thing.open:
            waiting = []
        wrong = [(each, at) for each in waiting if (at := self._wrong_since(each)) is not None]
        because = tuple(Reason(self._what_is_wrong(each)) for each, _ in wrong)
        chase = None
        if thing.consignments:
            asked = self._asked(thing, scope, CONFIRM, [thing], because, min((at for _, at in wrong), default=None))
            telephones = [f"{each.to.shown}: {each.to.telephone or 'no telephone number known'}" for each, _ in wrong]
            chase = asked and replace(asked, description=" ".join((asked.description, *_ring(telephones))))
        mark = self._mark(thing, because, by_hand) if thing.open else None
        return Confirming(
            obligations=(chase,) if chase else (),
            marks=(MarkDelivery(thing, mark, because),) if mark is not None and mark != thing.mark else (),
            wakes_at=earliest(self._deadline(each) for each in waiting if self._wrong_since(each) is None),
        )

    def _nobody(self, things: list[Thing]) -> Iterator[Obligation]:
        """For each case and role that nobody stands behind, one Task to find somebody."""
        groups: dict[tuple[str, str], list[Thing]] = {
            (case, scope): [] for case, scope in self._chases if scope.startswith("resolve:")
        }
        for thing in sorted(things, key=lambda t: (t.written, t.identity)):
            groups.setdefault((thing.key.case, f"resolve:{thing.key.role}"), []).append(thing)
        for (_, scope), group in groups.items():
            whys = dict.fromkeys(thing.unaddressed.why for thing in group if thing.unaddressed is not None)
            because = tuple(map(Reason, whys))
            since = min((t.unaddressed.at for t in group if t.unaddressed is not None), default=None)
            asked = self._asked(group[0] if group else None, scope, RESOLVE, group, because, since)
            if asked is not None:
                yield asked

    def _asked(
        self,
        first: Thing | None,
        scope: str,
        action: str,
        about: list[Thing],
        because: tuple[Reason, ...],
        since: datetime | None,
    ) -> Obligation | None:
        """The Task about these, if there is or has to be one: what the last one came to decides on the next."""
        before = [t for (_, s), ts in self._chases.items() if s == scope for t in ts]
        last = before[-1] if before else None
        if last is not None and last.open and not (because and self._left_it(last, about)):
            return self._standing(last, about, because)
        if first is None or since is None or not because:
            return None
        key = Key(
            patient=first.key.patient,
            case=first.key.case,
            pack=self._pack.name,
            kind=Kind.TASK,
            action=action,
            role=TEAM,
            scope=scope,
            generation=last.key.generation + 1 if last is not None else 0,
        )
        return self._new(key, first, about, because, since)

    def _left_it(self, chase: Thing, about: list[Thing]) -> bool:
        """Whether people closed the Task before the Communications came up that it does not cover."""
        task = self._tasks.get(chase.identity)
        closed = task is not None and task.latest.status in ANSWERED | {"cancelled", "entered-in-error"}
        return closed and any(thing.identity not in chase.covers for thing in about)

    def _new(
        self, key: Key, first: Thing, about: list[Thing], because: tuple[Reason, ...], since: datetime
    ) -> Obligation:
        chase = first.unaddressed.chase if first.unaddressed is not None else first.consignments[0].chase
        steps = tuple(dict.fromkeys(step for thing in about for step in _steps(self._pack, thing)))
        return Obligation(
            identity=of_obligation(key),
            key=key,
            run=first.run,
            pathway=first.pathway,
            canonical=self._pack.canonical,
            steps=tuple(step.id for step in steps) or first.steps,
            clauses=tuple(dict.fromkeys(step.row for step in steps)) or first.steps,
            since=since,
            standing=Standing.OPEN,
            title=_TITLES[key.action],
            description=f"It is about {', '.join(self._named(thing) for thing in about)}.",
            priority=max((thing.priority for thing in about), key=PRIORITIES.index),
            due=self._pack.calendar.after(since, span(chase)),
            because=because,
            evidence=tuple(dict.fromkeys(source for thing in about for source in thing.evidence)),
            trigger=first.triggers[-1] if first.triggers else None,
            triggers=first.triggers,
            stated=first.stated,
            covers=(of_obligation(key), *(thing.identity for thing in about)),
            episode=first.key.case if first.key.case.startswith("EpisodeOfCare/") else None,
        )

    def _standing(self, chase: Thing, about: list[Thing], because: tuple[Reason, ...]) -> Obligation:
        """The Task that is there: open while there is a reason for it, else answered, or pointless."""
        settled = Standing.ENDED if self._taken_back(chase) else Standing.ANSWERED
        steps = [step for thing in (chase, *about) for step in _steps(self._pack, thing)]
        return Obligation(
            identity=chase.identity,
            key=chase.key,
            run=chase.run,
            pathway=chase.pathway,
            canonical=self._pack.canonical,
            steps=tuple(dict.fromkeys((*chase.steps, *(step.id for step in steps)))),
            clauses=tuple(dict.fromkeys(step.row for step in steps)) or chase.steps,
            since=chase.since,
            standing=Standing.OPEN if because else settled,
            withdrawal=Withdrawal.NOT_NEEDED,
            title=_TITLES[chase.key.action],
            description=f"It is about {', '.join(self._named(thing) for thing in about)}." if about else "",
            priority=chase.priority,
            due=chase.due,
            because=because or (Reason(_SETTLED[chase.key.action]),),
            evidence=chase.evidence,
            covers=tuple(dict.fromkeys((*chase.covers, *(thing.identity for thing in about if because)))),
            outcome=None if because else "done",
        )

    def _taken_back(self, chase: Thing) -> bool:
        """Whether everything the Task is about has been taken back before it was sent."""
        about = (self._own.things.get(identity) for identity in chase.covers if identity != chase.identity)
        return all(thing is None or thing.withdrawn is not None for thing in about)

    def _confirmed_by_hand(self, chases: Iterable[Thing]) -> datetime | None:
        """When somebody completed a Task to confirm it, and not in vain."""
        for chase in chases:
            task = self._tasks.get(chase.identity)
            if task is None or chase.completed is not None or task.latest.status != "completed":
                continue
            if task.latest.outcome not in NOT_DONE:
                return task.latest.happened or task.since
        return None

    def _wrong_since(self, each: Consignment) -> datetime | None:
        deadline = self._deadline(each)
        if each.failed:
            return each.standing.since
        return deadline if deadline <= self._now else None

    def _deadline(self, each: Consignment) -> datetime:
        return self._pack.calendar.after(each.sent or each.addressed, span(each.within))

    def _what_is_wrong(self, each: Consignment) -> str:
        last = each.standing.last
        told = f" ({', '.join(filter(None, (last.code, last.says)))})" if last and (last.code or last.says) else ""
        match each.standing.stage:
            case Stage.UNDELIVERED:
                return f"It could not be delivered to {each.to.shown}{told}."
            case Stage.REJECTED:
                return f"The system of {each.to.shown} could not take it in{told}."
            case Stage.REFUSED:
                return f"{each.to.shown} does not take it: the patient is not known there, or not theirs{told}."
            case Stage.DECEASED:
                return f"{each.to.shown} says that the patient has died{told}."
            case Stage.WAITING:
                by = self._pack.calendar.at_time(self._deadline(each))
                return f"It could not be handed over for {each.to.shown} by {by}."
            case _:
                by = self._pack.calendar.at_time(self._deadline(each))
                return f"{each.to.shown} had not confirmed by {by} that it arrived."

    def _mark(self, thing: Thing, because: tuple[Reason, ...], by_hand: datetime | None) -> Mark | None:
        """What the Communication has to say of its delivery; None where it has said so from the beginning."""
        if thing.unaddressed is not None:
            return Mark(status="preparation", says=thing.unaddressed.why, nobody=True)
        says = " ".join(reason.says for reason in because)
        if not says and thing.mark is not None and thing.mark.says:
            kept = thing.mark.says in _SETTLED.values()
            says = thing.mark.says if kept else _SETTLED[RESOLVE if thing.mark.nobody else CONFIRM]
        times = [each.received for each in thing.consignments]
        received = max((at for at in times if at is not None), default=None)
        if all(at is not None for at in times):
            return Mark(status="completed", sent=thing.sent, received=received, says=says)
        if by_hand is not None:
            return Mark(status="completed", sent=thing.sent, received=by_hand, says=says)
        if thing.sent is None and not says:
            return thing.mark
        return Mark(status="in-progress" if thing.sent else "preparation", sent=thing.sent, says=says)

    def _named(self, thing: Thing) -> str:
        titles = " and ".join(f"“{step.title}”" for step in _steps(self._pack, thing)) or thing.key.action
        return f"{titles} of {self._pack.calendar.on_date(thing.written)}"


_TITLES = {
    CONFIRM: "Confirm by telephone that a letter or notice has arrived",
    RESOLVE: "Find out whom a letter or notice has to go to, and enter them in the record or the directory",
}
_SETTLED = {CONFIRM: "It has been confirmed after all.", RESOLVE: "Its recipient has been found."}
"""What is said once the matter is settled."""


def _is_ours(thing: Thing, pack: Pack, own: Own) -> bool:
    started = own.runs.get(thing.run)
    return thing.key.pack == pack.name and (started is None or pack.is_edition(started))


def _steps(pack: Pack, thing: Thing) -> tuple[Step, ...]:
    return tuple(step for pathway in pack.pathways for step in pathway.steps if step.id in thing.steps)


def _ring(telephones: list[str]) -> list[str]:
    return [f"Ring {'; '.join(telephones)}."] if telephones else []
