"""What the service itself did, as facts.

Everything the service decides to do is kept as an effect, in the order in which it was decided, and handed to `decide`
with the facts of the EPR. Folding the effects gives, for each identity, the `Thing` that was written and what has
become of it from the service's side. What staff made of it comes back from the EPR as a fact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.deliveries import Consignment, Recipient, Report, Said, Stage, said
from fhirbridge.core.facts import Source


class Kind(StrEnum):
    """The resource type of a thing the service writes."""

    TASK = "Task"
    COMMUNICATION = "Communication"
    FLAG = "Flag"
    CARE_PLAN = "CarePlan"


class Withdrawal(StrEnum):
    """Why something was withdrawn (code system `withdrawal`)."""

    RE_ENGAGED = "re-engaged"
    CORRECTED = "corrected"
    SUPERSEDED = "superseded"
    DISCHARGED = "discharged"
    DECEASED = "deceased"
    MERGED = "merged"
    NOT_NEEDED = "not-needed"


class Key(Struct, frozen=True, cache_hash=True):
    """What makes one obligation the same obligation, however often it is decided.

    `case` is the episode (or stand-in) it belongs to, `scope` what it is anchored on (the spell, the event or the
    signal period), `occurrence` counts recurrences from 1, `generation` how often its cause was taken back and
    asserted again.
    """

    patient: str
    case: str
    pack: str
    kind: Kind
    action: str
    role: str
    scope: str
    occurrence: int = 1
    generation: int = 0


class Point(Struct, frozen=True):
    """One point of a CarePlan; `state` is R4's: `not-started`, `in-progress`, `completed`, `stopped`."""

    name: str
    title: str
    state: str


class Mark(Struct, frozen=True, kw_only=True):
    """What a Communication says of its own delivery: R4's status, when it was sent and received, and `says` why not.

    `nobody`: no recipient has been found for it.
    """

    status: str
    sent: datetime | None = None
    received: datetime | None = None
    says: str = ""
    nobody: bool = False


class Effect(Struct, frozen=True, kw_only=True, tag_field="effect", tag=str.lower):
    """One thing the service did to the obligation `identity`, at `at`."""

    identity: str
    at: datetime


class Started(Effect, frozen=True, kw_only=True):
    """A run of a pathway began; `identity` is the run's. It keeps these versions until it is migrated."""

    pack: str
    version: str
    pathway: str
    case: str
    since: datetime
    triggers: tuple[Source, ...] = ()
    """The versions that set it off."""
    settings: dict[str, str | int] = {}
    """The settings of the pack that the run was started with, and keeps."""


class Migrated(Effect, frozen=True, kw_only=True):
    """A person moved the run to another version or other settings of its pack; `identity` is the run's."""

    version: str
    settings: dict[str, str | int] = {}


class Written(Effect, frozen=True, kw_only=True):
    """An obligation was decided and put into the outbox, to be created in the EPR."""

    key: Key
    run: str
    pathway: str
    steps: tuple[str, ...]
    since: datetime
    due: datetime | None = None
    priority: str = "routine"
    evidence: tuple[Source, ...] = ()
    covers: tuple[str, ...] = ()
    """Identities of every ask that was joined into this one obligation, its own among them."""
    triggers: tuple[Source, ...] = ()
    stated: tuple[str, ...] = ()
    """What set it off, and what each of these said then: when one says otherwise, it was never called for."""
    points: tuple[Point, ...] = ()
    activities: tuple[str, ...] = ()


class Amended(Effect, frozen=True, kw_only=True):
    """Another row asks for the same obligation: steps cited, due date or priority changed."""

    steps: tuple[str, ...]
    covers: tuple[str, ...] = ()
    due: datetime | None = None
    priority: str = "routine"
    evidence: tuple[Source, ...] = ()
    points: tuple[Point, ...] = ()
    activities: tuple[str, ...] = ()


class Withdrawn(Effect, frozen=True, kw_only=True):
    """The service took the obligation back."""

    reason: Withdrawal


class Held(Effect, frozen=True, kw_only=True):
    """The service held back a write, for it seems that another system answers each of its writes; `why` is a sentence.

    What stands stays as it is until `until`, or until a person releases it.
    """

    until: datetime
    why: str


class Released(Effect, frozen=True, kw_only=True):
    """A person let the service write again what it had held back."""


class Completed(Effect, frozen=True, kw_only=True):
    """The service closed its own obligation because the record answers it; `by` names the answer."""

    by: Source
    outcome: str | None = None


class Addressed(Effect, frozen=True, kw_only=True):
    """A Communication is to reach a recipient through a channel; see `deliveries.Consignment` for the words."""

    to: Recipient
    awaits: Stage
    within: str
    chase: str


class Unaddressed(Effect, frozen=True, kw_only=True):
    """Nobody was found whom a Communication could be sent to; `why` is a sentence, `chase` the period to find one."""

    why: str
    chase: str


class HandedOver(Effect, frozen=True, kw_only=True):
    """A Communication was handed to its channel (`sent`); to the EPR itself where it names no recipient."""

    recipient: str = ""


class Reported(Effect, frozen=True, kw_only=True):
    """A channel or a receiver said what became of a Communication; `happened` is their instant, `at` ours."""

    recipient: str
    report: Report
    happened: datetime
    code: str = ""
    says: str = ""


class Marked(Effect, frozen=True, kw_only=True):
    """The Communication in the EPR was brought up to what is known of its delivery."""

    mark: Mark


AnyEffect = (
    Started
    | Migrated
    | Written
    | Amended
    | Withdrawn
    | Completed
    | Addressed
    | Unaddressed
    | HandedOver
    | Reported
    | Marked
    | Held
    | Released
)


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


class Own(Struct, frozen=True):
    """All that the service did for one patient: things by identity, runs by identity."""

    things: Mapping[str, Thing]
    runs: Mapping[str, Started]


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
