"""What `decide` answers: which obligations exist, in which state, why, and when to look again; and the writes that
`reconcile` makes of it. Plain values: nothing here decides anything.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from fhirbridge.core.effects import Key, Kind, Mark, Point, Started, Withdrawal
from fhirbridge.core.facts import Source
from fhirbridge.core.own import Thing


class Reason(Struct, frozen=True, cache_hash=True):
    """One thing that counts for or against an obligation: a sentence in plain English and the versions behind it."""

    says: str
    sources: tuple[Source, ...] = ()


class Detail(Struct, frozen=True):
    """What the record holds under one heading that a Task has to carry."""

    heading: str
    says: str
    sources: tuple[Source, ...] = ()


class Standing(StrEnum):
    """Where an obligation stands according to the record."""

    OPEN = "open"
    """It should exist, and nothing has answered it."""
    ANSWERED = "answered"
    """The record holds its answer."""
    ENDED = "ended"
    """It no longer should exist: see `Obligation.withdrawal`."""


class Obligation(Struct, frozen=True, kw_only=True):
    """Something the policy asks for in this case.

    `identity` is opaque and derived from `key` alone. `role` is who has to act or be told ("" for Flag and CarePlan).
    `steps` are the ids of the pack's steps that ask for it and `clauses` the ledger rows they implement, both in the
    order of the pack. `since` is the instant its deadline counts from, `due` the deadline. `trigger` is the resource
    version that set it off, `evidence` every version that counts, `plan` the identity of the CarePlan it belongs to.
    """

    identity: str
    key: Key
    run: str
    """Identity of the run that asks for it (the oldest, where several ask)."""
    pathway: str
    canonical: str
    """`{base}/PlanDefinition/{pack}|version` of the policy in force for this run."""
    steps: tuple[str, ...]
    clauses: tuple[str, ...]
    since: datetime
    standing: Standing
    title: str
    description: str
    priority: str = "routine"
    due: datetime | None = None
    medium: str | None = None
    reply_within: str | None = None
    because: tuple[Reason, ...] = ()
    evidence: tuple[Source, ...] = ()
    trigger: Source | None = None
    details: tuple[Detail, ...] = ()
    triggers: tuple[Source, ...] = ()
    stated: tuple[str, ...] = ()
    """What set it off, and what each of these says."""
    covers: tuple[str, ...] = ()
    """Identities of every ask joined into it, its own among them."""
    plan: str | None = None
    points: tuple[Point, ...] = ()
    activities: tuple[str, ...] = ()
    """Of a CarePlan: its points, and the identities of its Tasks."""
    episode: str | None = None
    """`EpisodeOfCare/id`, where the case is one."""
    withdrawal: Withdrawal | None = None
    """Why it ended, when `standing` is ENDED."""
    answer: Source | None = None
    """The resource version that answered it, when ANSWERED by something other than itself."""
    outcome: str | None = None

    @property
    def kind(self) -> Kind:
        """The resource type it is written as."""
        return self.key.kind

    @property
    def action(self) -> str:
        """Its code in the action system."""
        return self.key.action

    @property
    def role(self) -> str:
        """Who has to act or be told, in the role system."""
        return self.key.role


class Unfounded(Struct, frozen=True):
    """Something the service wrote that nothing asks for any more, and why that is so."""

    thing: Thing
    reason: Withdrawal


class Decision(Struct, frozen=True, kw_only=True):
    """The whole answer for one patient under one pack at one instant.

    `wakes_at` is the first instant at which the answer changes if nothing new is learnt; None if it never does.
    """

    obligations: tuple[Obligation, ...] = ()
    started: tuple[Started, ...] = ()
    """Runs that stand now; those not yet in the effects are to be recorded."""
    endings: tuple[tuple[str, str], ...] = ()
    """Actions of Flags that steps say have ended, each with the ledger row that says so."""
    unfounded: tuple[Unfounded, ...] = ()
    marks: tuple[MarkDelivery, ...] = ()
    """What Communications have to say of their delivery, where it is not what they say already."""
    held: tuple[str, ...] = ()
    """Ids of steps that would ask for something, and wait until gaps in what is known of the EPR have been closed."""
    wakes_at: datetime | None = None


class Create(Struct, frozen=True, tag="create"):
    """Write a new resource for the obligation."""

    obligation: Obligation


class Amend(Struct, frozen=True, tag="amend"):
    """Another row asks for the same thing now: cite it, and tighten due date and priority."""

    thing: Thing
    obligation: Obligation


class Complete(Struct, frozen=True, tag="complete"):
    """Close our own resource, naming in its output what answered it."""

    thing: Thing
    obligation: Obligation


class Withdraw(Struct, frozen=True, tag="withdraw"):
    """Take our own resource back, saying why."""

    thing: Thing
    reason: Withdrawal
    because: tuple[Reason, ...] = ()
    evidence: tuple[Source, ...] = ()
    clauses: tuple[str, ...] = ()
    """Ledger rows that call for the ending, besides those that called for the thing."""


class MarkDelivery(Struct, frozen=True, tag="mark"):
    """Say in our own Communication what is known of its delivery, and why it is not more."""

    thing: Thing
    mark: Mark
    because: tuple[Reason, ...] = ()


Write = Create | Amend | Complete | Withdraw | MarkDelivery
