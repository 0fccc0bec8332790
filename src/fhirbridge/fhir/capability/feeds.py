"""How the service learns of changes to each type at an EPR.

A subscription where the EPR takes any; else asking again and again. Whether a subscription is accepted in the end, only
registering it shows: no statement says which criteria and topics an EPR lets this client have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from fhirbridge.fhir.canonical import BASE
from fhirbridge.fhir.capability.statement import Capability, Offer

DATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Appointment": ("date",),
        "Encounter": ("date",),
        "EpisodeOfCare": ("date",),
        "Task": ("period", "authored-on"),
        "Communication": ("sent",),
    }
)
"""Search parameters of R4 that tell when something took place, so that a window of them can be read again."""

_PATIENT = ("patient", "subject")


class FeedKind(StrEnum):
    """How the service learns of changes to one type, the best first."""

    BACKPORT = "backport"
    """A subscription to a topic of ours (Subscriptions R5 Backport): numbered events, heartbeats."""
    REST_HOOK = "rest-hook"
    """A Subscription of R4 with criteria."""
    LAST_UPDATED = "last-updated"
    """Searching again and again for what changed, by `_lastUpdated`."""
    HISTORY = "history"
    """Reading the type's `_history` since the last time."""
    DATE_WINDOW = "date-window"
    """Reading again all of a window of dates, and comparing."""
    RECORD = "record"
    """With the patient's record, before each decision."""
    NONE = "none"
    """Not at all."""


SUBSCRIBED = frozenset({FeedKind.BACKPORT, FeedKind.REST_HOOK})
"""Kinds where the EPR tells; the service still has to read what it was not told."""
POLLED = frozenset({FeedKind.LAST_UPDATED, FeedKind.HISTORY, FeedKind.DATE_WINDOW})
"""Kinds where the service asks again and again."""


class Feed(Struct, frozen=True, kw_only=True):
    """The feed of one type; `by` is the topic, or the search parameter that it goes by."""

    type: str
    kind: FeedKind
    by: str = ""


def topic(resource_type: str) -> str:
    """The canonical of our topic for every change to a type."""
    return f"{BASE}/SubscriptionTopic/{resource_type}"


def type_of(canonical: str) -> str:
    """The type that a topic of ours is about; empty for any other topic."""
    resource_type = canonical.partition("|")[0].removeprefix(topic(""))
    return resource_type if canonical.startswith(topic("")) else ""


def feeds_for(
    capability: Capability,
    types: Collection[str],
    eventful: Collection[str],
    *,
    subscribe: bool = True,
    wanted: FeedKind | None = None,
) -> tuple[Feed, ...]:
    """How the service learns of changes to each of these types at an EPR, in their order.

    `eventful` are those that say what happened: without a subscription, the EPR is asked for their changes again and
    again. The others say how things stand, and without a subscription are read with the patient's record. `subscribe`
    is False where the service shall not register anything. `wanted` is the best kind that shall be used; that an EPR
    has our topics is believed where they are wanted, for not every EPR lists them.
    """
    topics = capability.topics if subscribe and capability.subscribes else None
    if topics is not None and wanted is FeedKind.BACKPORT:
        topics = topics | {topic(one) for one in types}
    return tuple(_feed(capability, one, topics, polled=one in eventful, wanted=wanted) for one in types)


def _feed(
    capability: Capability,
    resource_type: str,
    topics: Collection[str] | None,
    *,
    polled: bool,
    wanted: FeedKind | None,
) -> Feed:
    offer = capability.offer(resource_type)
    kinds = _kinds(offer, topics) if offer.can("read") else iter(())
    every = list(FeedKind)
    allowed = frozenset(every[every.index(wanted) :] if wanted is not None else every)
    if not polled:
        allowed -= POLLED
    kind, by = next((found for found in kinds if found[0] in allowed), (FeedKind.NONE, ""))
    return Feed(type=resource_type, kind=kind, by=by)


def _kinds(offer: Offer, topics: Collection[str] | None) -> Iterator[tuple[FeedKind, str]]:
    """Every kind of feed that there could be for a type, and by what, the best first.

    `topics` are those that can be subscribed to, None where nothing can.
    """
    if topics is not None and (ours := topic(offer.type)) in topics:
        yield FeedKind.BACKPORT, ours
    if topics is not None:
        yield FeedKind.REST_HOOK, ""
    if by := offer.searches("_lastUpdated"):
        yield FeedKind.LAST_UPDATED, by
    if offer.can("history-type"):
        yield FeedKind.HISTORY, "_since"
    if by := offer.searches(*DATES.get(offer.type, ())):
        yield FeedKind.DATE_WINDOW, by
    if offer.type == "Patient":
        yield FeedKind.RECORD, ""
    if by := offer.searches(*_PATIENT):
        yield FeedKind.RECORD, by


def ways_of_asking(capability: Capability, resource_type: str) -> tuple[Feed, ...]:
    """Every way in which the EPR can be asked what changed of a type, the best first."""
    offer = capability.offer(resource_type)
    kinds = _kinds(offer, None) if offer.can("read") else iter(())
    return tuple(Feed(type=resource_type, kind=kind, by=by) for kind, by in kinds)
