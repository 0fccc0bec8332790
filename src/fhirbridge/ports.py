"""What the service needs from the world, as Protocols. Adapters implement them; tests have in-memory doubles.

The way of one event: a notification becomes `Event`s, `Store.accept` makes them durable, `Store.keep` turns them into
versions with facts and marks the patient as stale (a timer that is due), `Store.commit` records a decision with its
effects, its outbox and its next timer in one transaction, and `Store.delivered` records what the EPR made of it.
All instants are UTC. References are `Type/id`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from fhirbridge.channels import Channel as Channel
from fhirbridge.channels import Dispatch as Dispatch
from fhirbridge.channels import Dispatches as Dispatches
from fhirbridge.channels import Sent as Sent
from fhirbridge.channels import Told as Told
from fhirbridge.core.effects import AnyEffect, Held
from fhirbridge.core.facts import AnyFact
from fhirbridge.core.gaps import Gap as Gap
from fhirbridge.core.merging import Link
from fhirbridge.fhir.capability import FeedKind
from fhirbridge.fhir.notification import Event as Event
from fhirbridge.fhir.render.outgoing import Outgoing as Outgoing

Resource = dict[str, Any]
"""A FHIR resource as parsed JSON."""


Reading = Callable[[Resource], AnyFact | None]
"""How a mapping reads a resource: the fact it gives, None when there is no use for it."""


class Arrival(Struct, frozen=True, kw_only=True):
    """An `Event` in the inbox, not yet digested."""

    row: int
    epr: str
    event: Event
    received: datetime


class Version(Struct, frozen=True, kw_only=True):
    """One version of one resource with the fact it gives; unique by (epr, type, id, version).

    `confirms`: it is what the service itself wrote, and says nothing else; nobody is looked at again because of it.
    """

    fact: AnyFact
    resource: Resource
    confirms: bool = False


class Remapped(Struct, frozen=True, kw_only=True):
    """What another mapping made of the kept versions: how many there are, how many read differently, about how many."""

    versions: int = 0
    changed: int = 0
    subjects: int = 0


class Subject(Struct, frozen=True):
    """One patient of one EPR: the unit that is decided, leased and delivered as a whole. `patient` is `Patient/id`."""

    epr: str
    patient: str


class Delivery(Struct, frozen=True, kw_only=True):
    """An outbox row that waits to be delivered; `attempts` so far."""

    row: int
    subject: Subject
    outgoing: Outgoing
    attempts: int = 0


class There(Struct, frozen=True):
    """Where a thing is in the EPR: its identity, its `Type/id` and the version that was written."""

    identity: str
    reference: str
    version: str = ""


class Receipt(Struct, frozen=True, kw_only=True):
    """What the EPR made of one `Delivery`: the resource's reference and version there, or why it refused it.

    `outcome` is the OperationOutcome of the refusal, if there was one. What stands on the service's own worklist has
    its reference there; `also` is what was written in the EPR to tell of it.
    """

    row: int
    reference: str = ""
    version: str = ""
    refused: str = ""
    outcome: Resource | None = None
    also: tuple[There, ...] = ()


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A row of the outbox that the EPR refused for good: what was to be written, when that was decided, and why not.

    `reason` is what the EPR said, `outcome` its OperationOutcome if it sent one; both can hold a patient's data.
    """

    row: int
    subject: Subject
    outgoing: Outgoing
    decided_at: datetime
    refused_at: datetime
    attempts: int
    reason: str
    outcome: Resource | None = None


class Double(Struct, frozen=True, kw_only=True):
    """A thing that an EPR holds twice: `kept` is the reference of the one that stands, `double` that of the other.

    `withdrawn`: the other was marked as written in error. Not so where a person has ended it: what they did stays.
    """

    subject: Subject
    identity: str
    kept: str
    double: str
    withdrawn: bool
    found: datetime


class Revision(Struct, frozen=True, kw_only=True):
    """How far a subject had come when it was loaded; a decision made on that basis is committed with it.

    `news` counts the times that new versions were kept, `turn` the leases and commits.
    """

    news: int = 0
    turn: int = 0


class Known(Struct, frozen=True, kw_only=True):
    """All that is known about a subject: facts of the EPR (every kept version) and our own effects, oldest first.

    `references` gives for each identity that was delivered its `Type/id` in the EPR, `gaps` those open at its EPR.
    `links` are those that name this very record; `replaced_by` is the patient (`Patient/id`) whose record goes on in
    place of this one, in the end: `Store.load` does not look for that.
    """

    facts: tuple[AnyFact, ...]
    effects: tuple[AnyEffect, ...]
    references: dict[str, str]
    revision: Revision = Revision()
    gaps: tuple[Gap, ...] = ()
    links: frozenset[Link] = frozenset()
    replaced_by: str | None = None


class Subscribed(Struct, frozen=True, kw_only=True):
    """A subscription that the service registered at an EPR, and the secret its notifications must carry.

    `former` is the secret before a renewal: as good as the new one until the EPR is known to use that; then empty.
    """

    epr: str
    criteria: str
    reference: str
    secret: str
    since: datetime
    former: str = ""

    @property
    def type(self) -> str:
        """The resource type it is about: criteria are `Type?`, or the canonical of our topic for the type."""
        return self.criteria.partition("?")[0].rpartition("/")[2]


class Standing(StrEnum):
    """How the feed of one type stands."""

    ACTIVE = "active"
    """Changes are told of, or can be asked for."""
    PENDING = "pending"
    """Registered; the EPR has not activated it yet."""
    NOT_OFFERED = "not-offered"
    """The EPR does not have this kind of feed, or not for this type."""
    REFUSED = "refused"
    """The EPR refused it; see `Watch.why`."""


class Watch(Struct, frozen=True, kw_only=True):
    """The feed of one resource type, as `Feed.establish` left it; `reference` is its subscription, if it has one."""

    type: str
    standing: Standing
    reference: str = ""
    why: str = ""


class Listed(Struct, frozen=True, kw_only=True):
    """One version of a resource on the service's own worklist, where stands what an EPR does not take as itself.

    `resource` is what the EPR would hold: its id is the service's own and unique over all EPRs, `meta.versionId` counts
    from 1, references are those of the EPR, or `Type/id` of the worklist for what stands there too. `way` says how the
    EPR is told of it (`fhirbridge.fhir.capability.Way`), `notice` the identity of what told of it last there, itself
    perhaps, and `told` the reference that this has there, once it was delivered. `by` is who made this version, empty
    for the service itself; `write` the code of its write then. `row` grows with every version of anything; `current` is
    the newest of its resource.
    """

    row: int
    subject: Subject
    identity: str
    resource: Resource
    way: str
    updated: datetime
    notice: str = ""
    told: str = ""
    by: str = ""
    write: str = ""
    current: bool = True

    @property
    def reference(self) -> str:
        """`Type/id` on the worklist."""
        return f"{self.resource['resourceType']}/{self.resource['id']}"

    @property
    def version(self) -> int:
        """The number of this version, from 1."""
        return int(self.resource["meta"]["versionId"])


class Placing(Struct, frozen=True, kw_only=True):
    """A version to put on the worklist, in place of the one numbered `based_on`; 0 where there is none yet.

    `resource` needs type, and `meta` without version and time. `write` is the code of the service's write, by which it
    is found to have been placed; empty for a version that staff make. For `way`, `notice` and `by` see `Listed`.
    """

    identity: str
    resource: Resource
    based_on: int = 0
    way: str = "own"
    write: str = ""
    notice: str = ""
    by: str = ""


class Wanted(Struct, frozen=True, kw_only=True):
    """What to look for on the worklist; what is empty asks nothing, several values are alternatives.

    `ids` are logical ids, `codes` codes of the action system (`Task.code`, `Flag.code`, `category` of the others),
    `patients` are `Patient/id`. `since` is inclusive, `until` is not; both are about `meta.lastUpdated`.
    """

    types: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    eprs: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


class Worklist(Protocol):
    """What the service keeps itself because an EPR does not take it as itself: every version of it, none ever lost."""

    async def search(self, wanted: Wanted, *, after: int = 0, limit: int = 50) -> list[Listed]:
        """Current versions with a row above `after`, by row: what changes meanwhile comes again, nothing is missed."""
        ...

    async def count(self, wanted: Wanted) -> int:
        """How many current versions there are."""
        ...

    async def read(self, reference: str) -> Listed | None:
        """The current version of `Type/id`; None for what is not on the worklist."""
        ...

    async def history(self, reference: str) -> list[Listed]:
        """Every version of `Type/id`, oldest first."""
        ...

    async def standing(self, subject: Subject) -> dict[str, Listed]:
        """Everything of a patient that is on the worklist, by identity."""
        ...

    async def place(self, subject: Subject, placings: Sequence[Placing], now: datetime) -> dict[str, Listed]:
        """Put versions of the service's own writes on the worklist, all or none; what stands then, by identity.

        Raises:
            Overtaken: one is based on a version that is no longer current; read again.
        """
        ...

    async def complete(self, reference: str, placing: Placing, now: datetime) -> Listed:
        """Put a version that staff made on the worklist, and an event that tells of it into the inbox.

        From there it comes in as if the EPR had told of it. `fhirbridge.service.completing` makes the version.

        Raises:
            Overtaken: it is based on a version that is no longer current, or nothing is there.
        """
        ...


class Audit(Protocol):
    """Who looked at what about whom: AuditEvents, appended and never changed."""

    async def record(self, events: Sequence[Resource]) -> None:
        """Append R4 AuditEvents; when this returns, they are durable.

        Raises:
            StoreUnavailable: none of them is; what they tell of must not be shown.
        """
        ...

    def recorded(self, since: datetime, until: datetime) -> AsyncIterator[Resource]:
        """Those recorded at or after `since` and before `until`, in the order in which they were appended."""
        ...


class Doubles(Protocol):
    """What EPRs may hold twice, because conditional creates can race there, and what was found to be there twice."""

    async def unaudited(self, epr: str, before: datetime, limit: int) -> list[tuple[Subject, There]]:
        """What was delivered up to then and not looked for again, the oldest first."""
        ...

    async def audited(self, epr: str, identities: Collection[str]) -> None:
        """These have been looked for."""
        ...

    async def note(self, double: Double) -> bool:
        """Remember one; whether it is new."""
        ...

    async def of(self, subject: Subject) -> list[Double]:
        """Those found of a patient, oldest first."""
        ...


class Retention(Protocol):
    """Letting go of rows that nobody needs any more."""

    async def purge(self, before: datetime, limit: int) -> int:
        """Delete at most `limit` rows each of inbox and outbox that were settled before then; how many went.

        Never what keeps anything from being done twice, a dead letter, or what a channel may still ask for.
        """
        ...


class DeadLetters(Protocol):
    """Rows of the outbox that an EPR refused, until somebody has them tried again."""

    async def search(
        self,
        *,
        eprs: Collection[str] = (),
        subjects: Collection[Subject] = (),
        rows: Collection[int] = (),
        after: int = 0,
        limit: int = 100,
    ) -> list[DeadLetter]:
        """Those with a row above `after`, by row; what is empty asks nothing."""
        ...

    async def count(self) -> dict[str, int]:
        """How many there are, by EPR."""
        ...

    async def revive(self, again: Mapping[int, Outgoing], now: datetime) -> int:
        """Have rows tried again, each with what is to be sent now; how many of them were dead."""
        ...


class Clock(Protocol):
    """Where the edges get the time from; the core is given it."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        ...


class Merges(Protocol):
    """The durable truth about records of patients that were merged: who says that which is replaced by which."""

    async def claim(self, subject: Subject, links: Collection[Link], now: datetime) -> None:
        """What this patient's record says now, in place of what it said before.

        Whoever else is named by what was not said before, or is no longer said, is due now.
        """
        ...

    async def linked(self, subject: Subject) -> frozenset[Link]:
        """Everything said about this record and those linked to it, at one remove or more."""
        ...

    async def wake(self, subject: Subject, now: datetime) -> None:
        """Make the patient due now: something was learnt about a record that theirs replaces."""
        ...


class Store(Protocol):
    """The durable truth: inbox, versions, timers, effects, outbox, subscriptions, and the service's own worklist."""

    @property
    def gaps(self) -> Gaps:
        """What may be unknown, and how far the feeds have come."""
        ...

    @property
    def merges(self) -> Merges:
        """Which records replace which."""
        ...

    @property
    def doubles(self) -> Doubles:
        """What EPRs may hold twice."""
        ...

    @property
    def retention(self) -> Retention:
        """What can go."""
        ...

    @property
    def dead_letters(self) -> DeadLetters:
        """What EPRs refused."""
        ...

    @property
    def worklist(self) -> Worklist:
        """What EPRs do not take as itself."""
        ...

    @property
    def audit(self) -> Audit:
        """Who looked at what."""
        ...

    @property
    def own(self) -> OwnWrites:
        """What the service wrote."""
        ...

    @property
    def kept(self) -> Kept:
        """What is kept of the EPRs' resources."""
        ...

    @property
    def dispatches(self) -> Dispatches:
        """What has to reach people through channels."""
        ...

    async def accept(self, epr: str, events: Sequence[Event], received: datetime) -> None:
        """Make events durable; when this returns, they survive a crash."""
        ...

    async def waiting(self, limit: int, eprs: Collection[str] | None = None) -> list[Arrival]:
        """The oldest events not yet digested; of these EPRs alone where any are named, so that none blocks another."""
        ...

    async def keep(self, epr: str, versions: Sequence[Version], digested: Sequence[int], now: datetime) -> None:
        """In one transaction: keep versions that are new, make their patients due now, close the inbox rows.

        A version without an id of its own is new when its content differs from what was known just before it. One
        without a patient makes nobody due.
        """
        ...

    async def last(self, epr: str, reference: str) -> Version | None:
        """The version of `Type/id` that became known last, of those kept; None when it was never heard of."""
        ...

    async def remap(self, epr: str, reading: Reading, now: datetime) -> Remapped:
        """Read every kept version of the EPR again, and make those due now about whom it says something else.

        In batches, each a transaction: stopped in between, it can be done again, and does what is left.
        """
        ...

    async def has_seen(self, subject: Subject) -> bool:
        """Whether any version about this patient has been kept."""
        ...

    async def due(self, now: datetime, limit: int, eprs: Collection[str] | None = None) -> list[Subject]:
        """Subjects whose timer is due and that nobody holds, longest overdue first; of these EPRs if any are named."""
        ...

    async def next_due(self) -> datetime | None:
        """When `due` has something to give: the earliest timer, for a held subject not before its lease expires."""
        ...

    def lease(self, subject: Subject, now: datetime) -> AbstractAsyncContextManager[bool]:
        """Hold the subject for oneself; False when another worker holds it. Ends with the block, or when it expires.

        `load` inside the block: a `commit` of what was loaded before somebody's lease is refused.
        """
        ...

    async def load(self, subject: Subject) -> Known:
        """Everything known about the subject, as of one moment."""
        ...

    async def commit(
        self,
        subject: Subject,
        *,
        effects: Sequence[AnyEffect],
        outgoing: Sequence[Outgoing],
        wakes_at: datetime | None,
        decided_at: datetime,
        revision: Revision,
    ) -> None:
        """In one transaction: append effects, fill the outbox, set the timer. `revision` is the loaded `Known`'s.

        Dispatches are made for what was addressed, and stopped for what was withdrawn before anybody claimed it.

        A timer that new versions made due since the load stays due.

        Raises:
            Overtaken: another worker took the subject since it was loaded; nothing was changed.
        """
        ...

    async def undelivered(self, now: datetime, limit: int, eprs: Collection[str] | None = None) -> list[Delivery]:
        """Outbox rows that may be tried now, in the order they were decided; of these EPRs where any are named.

        No row of a subject passes a postponed one before it, and the rows of one subject are never torn apart: the
        answer exceeds `limit` where one subject alone does.
        """
        ...

    async def delivered(self, receipts: Sequence[Receipt], now: datetime) -> None:
        """Record what the EPR made of them; refused ones become dead letters. Rows already settled stay as they are."""
        ...

    async def postpone(self, rows: Sequence[int], until: datetime, why: str) -> None:
        """Try these rows again not before `until`; counts one attempt more."""
        ...

    async def subscriptions(self, epr: str) -> list[Subscribed]:
        """What the service has registered at this EPR."""
        ...

    async def subscribed(self, subscription: Subscribed) -> None:
        """Remember a registration; replaces the one with the same EPR and criteria."""
        ...


class OwnWrites(Protocol):
    """What the service wrote: where it stands in the EPRs, and what of it is held back."""

    async def at(self, epr: str, references: Collection[str]) -> dict[str, There]:
        """Which of these resources (`Type/id`) the service wrote, by reference, as of the last receipt for each."""
        ...

    async def held(self, since: datetime) -> list[tuple[Subject, Held]]:
        """Each time that writes were held back from that instant on, oldest first."""
        ...


class Kept(Protocol):
    """What is kept of an EPR's resources, to compare it with what the EPR has now."""

    async def latest(self, epr: str, resource_type: str, ids: Collection[str]) -> dict[str, Version]:
        """For each of these ids that anything is kept of, the version that became known last."""
        ...

    async def expected(
        self, epr: str, resource_type: str, *, start: datetime | None, end: datetime | None, patient: str = ""
    ) -> set[str]:
        """Ids of resources that, as last known, are there and took place from `start` to before `end`.

        Without bounds, whenever that was; with `patient` (`Patient/id`), of that patient alone.
        """
        ...

    async def unknown(self, epr: str, versions: Sequence[Version]) -> list[Version]:
        """Those of these versions that are not kept, each once; without an id, those that say something new."""
        ...

    async def patients(self, epr: str, *, after: str, limit: int) -> list[str]:
        """Patients of this EPR about whom anything is kept, as `Patient/id` in order, those past `after`."""
        ...


class Hearing(Struct, frozen=True, kw_only=True):
    """What was last heard of a feed that numbers its events, and at `heard` at all (heartbeats too).

    `top` is the highest number that came, at `at`; None where it is not known yet from which to count. `promised` is
    the number that the EPR said at `promised_at` to have come to. `doubtful`: a lower number came after a higher one.
    """

    epr: str
    type: str
    heard: datetime
    at: datetime
    top: int | None = None
    promised: int = 0
    promised_at: datetime | None = None
    doubtful: bool = False


class Gaps(Protocol):
    """The durable truth about gaps, and how far each feed has come."""

    async def found(self, gap: Gap) -> bool:
        """Open it; whether it is new. One that is open takes its place: the earlier `since`, the later `until`."""
        ...

    async def open(self, epr: str | None = None) -> list[Gap]:
        """Those that are open, of this EPR or of all, oldest first."""
        ...

    async def covered(self, epr: str, resource_type: str, since: datetime, began: datetime, ended: datetime) -> None:
        """Changes since `since` were read, from `began` on, and accepted by `ended`: note it on what that covers."""
        ...

    async def close(self, epr: str, now: datetime) -> list[Gap]:
        """Close what was covered, once all that was accepted by then is digested; those that closed.

        With the last of an EPR, the patients who were held back are due.
        """
        ...

    async def hold(self, subject: Subject) -> bool:
        """Look at the patient again when the gaps of their EPR have closed; False where none is open any more."""
        ...

    async def heard(self, hearing: Hearing) -> None:
        """Remember what was last heard of a feed; replaces what was there of the same EPR and type."""
        ...

    async def hearing(self, epr: str, resource_type: str) -> Hearing | None:
        """What was last heard; None if nothing was."""
        ...

    async def mark(self, epr: str, of: str, at: datetime) -> None:
        """Note how far something has come: a resource type's reading, or the service itself (`alive`)."""
        ...

    async def marked(self, epr: str, of: str) -> datetime | None:
        """The instant last noted; None if there is none."""
        ...


class Feed(Protocol):
    """One way to learn of changes at one EPR: a kind of subscription, or a kind of polling.

    Whoever drives it calls `establish` every so often, and `look` for each open gap, and for a feed that only polls
    from where it last came to. What `look` gives is accepted into the inbox before anything is noted as read.
    """

    @property
    def kind(self) -> FeedKind:
        """Which way this is."""
        ...

    async def establish(self, types: Sequence[str], now: datetime) -> Sequence[Watch]:
        """See to it that changes to these types are told of, or can be asked for; opens gaps where that was not so.

        Safe to call again at any time. Raises EprUnavailable, EprError when the EPR cannot be asked at present.
        """
        ...

    def look(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        """Events for everything of the type that changed since then, overlap already taken off.

        Raises:
            EprRefused: the EPR cannot say, in this way.
            EprUnavailable, EprError: it cannot be asked at present.
        """
        ...


class Epr(Protocol):
    """One EPR over FHIR R4. Errors: `EprUnavailable`, `EprConflict`, `EprRefused`, `EprError`."""

    name: str

    async def capability(self) -> Resource:
        """Its CapabilityStatement (`GET /metadata`)."""
        ...

    async def read(self, reference: str) -> Resource | None:
        """The current version of `Type/id`; None when deleted or unknown (404, 410)."""
        ...

    async def history(self, reference: str) -> list[Resource]:
        """Every version of `Type/id` the EPR still has, oldest first; empty where it keeps none."""
        ...

    async def invoke(self, path: str) -> Resource:
        """The answer of an operation that changes nothing, `Type/id/$name?parameters` (`$status`, `$events`)."""
        ...

    def search(self, resource_type: str, parameters: Mapping[str, str | Sequence[str]]) -> AsyncIterator[Resource]:
        """All matches, over all pages; pages are followed only inside the EPR's own base URL.

        A parameter with several values has to match each of them. Where the answer has several pages, it is read until
        nothing new comes: a match that slipped from one page to another meanwhile is not lost.
        """
        ...

    def changes(self, resource_type: str, since: datetime) -> AsyncIterator[Event]:
        """Every version of any resource of the type committed since then, deletions too (type-level `_history`).

        Raises:
            EprRefused: the EPR does not offer that.
        """
        ...

    async def deliver(self, deliveries: Sequence[Delivery], references: dict[str, str]) -> list[Receipt]:
        """Carry out the rows of one subject in one transaction; conditional creates, If-Match on changes."""
        ...

    async def create(self, resource: Resource) -> Resource:
        """Plain create; the stored resource (used for subscriptions)."""
        ...

    async def update(self, resource: Resource) -> Resource:
        """Plain update by id; the stored resource."""
        ...


class Queue(Protocol):
    """Wakes workers. Messages may be lost, doubled or late at no cost: the rows are the truth."""

    async def wake(self, subjects: Sequence[Subject]) -> None:
        """Suggest that these subjects be advanced now."""
        ...
