"""What stands of the service's own doing: its effects, folded into one thing for each identity.

What was written, amended, withdrawn, sent or acknowledged, in the order in which it was decided. What staff made of it
comes back from the EPR as a fact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.deliveries import Consignment, Report, Said, said
from fhirbridge.core.effects import (
    Addressed,
    Amended,
    AnyEffect,
    Completed,
    HandedOver,
    Held,
    Key,
    Mark,
    Marked,
    Migrated,
    Point,
    Released,
    Reported,
    Started,
    Unaddressed,
    Withdrawal,
    Withdrawn,
    Written,
)
from fhirbridge.core.facts import Source

CORRECTION = "correction-notice"
"""What those are sent who were told what the record has taken back."""


class Thing(Struct, frozen=True, kw_only=True):
    """One obligation the service wrote, folded from its effects."""

    identity: str
    key: Key
    run: str
    pathway: str
    steps: tuple[str, ...]
    since: datetime
    due: datetime | None
    priority: str
    written: datetime
    evidence: tuple[Source, ...] = ()
    covers: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    activities: tuple[str, ...] = ()
    """Of a CarePlan: its points, and the identities of its Tasks, as last written."""
    triggers: tuple[Source, ...] = ()
    stated: tuple[str, ...] = ()
    dues: tuple[datetime, ...] = ()
    """Every due date the service has written for it: any other that the EPR shows was set by a person."""
    withdrawn: datetime | None = None
    reason: Withdrawal | None = None
    completed: datetime | None = None
    sent: datetime | None = None
    """When it was first handed over, to whichever of its recipients."""
    consignments: tuple[Consignment, ...] = ()
    """Of a Communication: its ways to those it reaches through a channel."""
    unaddressed: Unaddressed | None = None
    mark: Mark | None = None
    marks: int = 0
    """How often its delivery was marked."""
    amended: tuple[datetime, ...] = ()
    """When it was amended."""
    held_until: datetime | None = None
    """Until when further writes are held back, as last said."""
    released: datetime | None = None
    """When a person last let the service write again."""

    @property
    def open(self) -> bool:
        """Neither withdrawn nor completed by the service itself (staff may still have closed it in the EPR)."""
        return self.withdrawn is None and self.completed is None


class Own(Struct, frozen=True, dict=True):
    """All that the service did for one patient: things by identity, runs by identity."""

    things: Mapping[str, Thing]
    runs: Mapping[str, Started]

    @cached_property
    def corrected(self) -> frozenset[str]:
        """Identities of everything that has been corrected already."""
        notices = (thing for thing in self.things.values() if thing.key.action == CORRECTION)
        return frozenset(identity for notice in notices for identity in notice.covers)

    @cached_property
    def cases(self) -> frozenset[str]:
        """The names of the cases in which anything was written."""
        return frozenset(thing.key.case for thing in self.things.values())

    @cached_property
    def alike(self) -> Mapping[Logical, tuple[Thing, ...]]:
        """The things that were written for the same act in the same case."""
        found: dict[Logical, list[Thing]] = defaultdict(list)
        for thing in self.things.values():
            found[logical(thing.key)].append(thing)
        return {name: tuple(things) for name, things in found.items()}


Logical = tuple[str, str, str, str, str]
"""What two things share that were written for the same act in the same case."""


def logical(key: Key) -> Logical:
    """What a thing with this key shares with those that were written for the same act in the same case."""
    return key.pack, key.case, key.kind, key.action, key.role


NOTHING = Own(things={}, runs={})


def fold(effects: Iterable[AnyEffect], onto: Own = NOTHING) -> Own:
    """Fold effects, in the order in which they were decided, into what stands now.

    An effect on an identity that was never written is ignored: its `Written` was rolled back with it.
    """
    things = dict(onto.things)
    runs = dict(onto.runs)
    for effect in effects:
        if isinstance(effect, Started):
            runs.setdefault(effect.identity, effect)
        elif isinstance(effect, Migrated):
            if effect.identity in runs:
                moved = replace(runs[effect.identity], version=effect.version, settings=effect.settings)
                runs[effect.identity] = moved
        elif isinstance(effect, Written):
            things.setdefault(effect.identity, _thing(effect))
        elif effect.identity in things:
            things[effect.identity] = _apply(things[effect.identity], effect)
    return Own(things=things, runs=runs)


def _thing(effect: Written) -> Thing:
    return Thing(
        identity=effect.identity,
        key=effect.key,
        run=effect.run,
        pathway=effect.pathway,
        steps=effect.steps,
        since=effect.since,
        due=effect.due,
        priority=effect.priority,
        written=effect.at,
        evidence=effect.evidence,
        covers=effect.covers,
        points=effect.points,
        activities=effect.activities,
        triggers=effect.triggers,
        stated=effect.stated,
        dues=(effect.due,) if effect.due is not None else (),
    )


def _apply(thing: Thing, effect: AnyEffect) -> Thing:
    match effect:
        case Amended():
            return _amended(thing, effect)
        case Withdrawn(at=at, reason=reason):
            return replace(thing, withdrawn=at, reason=reason)
        case Completed(at=at):
            return replace(thing, completed=at)
        case Marked(mark=mark):
            return replace(thing, mark=mark, marks=thing.marks + 1)
        case Held(until=until):
            return replace(thing, held_until=until)
        case Released(at=at):
            return replace(thing, held_until=None, released=at)
        case _:
            return _carried(thing, effect)


def _carried(thing: Thing, effect: AnyEffect) -> Thing:
    """With what the effect says of its delivery."""
    match effect:
        case Unaddressed():
            return replace(thing, unaddressed=effect)
        case Addressed():
            known = any(each.to.name == effect.to.name for each in thing.consignments)
            more = () if known else (_consignment(effect),)
            return replace(thing, unaddressed=None, consignments=(*thing.consignments, *more))
        case HandedOver(at=at, recipient=recipient):
            reported = _reported(thing, recipient, said(Report.HANDED_OVER, at)) if recipient else thing
            return replace(reported, unaddressed=None, sent=thing.sent or at)
        case Reported(recipient=recipient, report=report, happened=happened, code=code, says=says):
            reported = _reported(thing, recipient, said(report, happened, code, says))
            left = thing.sent or min((c.sent for c in reported.consignments if c.sent is not None), default=None)
            return replace(reported, sent=left)
        case _:
            return thing


def _consignment(effect: Addressed) -> Consignment:
    return Consignment(
        to=effect.to, awaits=effect.awaits, within=effect.within, chase=effect.chase, addressed=effect.at
    )


def _reported(thing: Thing, recipient: str, report: Said) -> Thing:
    consignments = tuple(
        replace(each, reports=(*each.reports, report))
        if each.to.name == recipient and report not in each.reports
        else each
        for each in thing.consignments
    )
    return replace(thing, consignments=consignments)


def _amended(thing: Thing, effect: Amended) -> Thing:
    known = effect.due is None or effect.due in thing.dues
    return replace(
        thing,
        steps=effect.steps,
        due=effect.due,
        priority=effect.priority,
        evidence=effect.evidence,
        covers=effect.covers,
        points=effect.points,
        activities=effect.activities,
        dues=thing.dues if known or effect.due is None else (*thing.dues, effect.due),
        amended=(*thing.amended, effect.at),
    )
