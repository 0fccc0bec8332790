"""What the service itself did, as facts.

Everything the service decides to do is kept as an effect, in the order in which it was decided, and handed to `decide`
with the facts of the EPR. Folding the effects gives, for each identity, the `Thing` that was written and what has
become of it from the service's side. What staff made of it comes back from the EPR as a fact.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from fhirbridge.core.deliveries import Recipient, Report, Stage
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
