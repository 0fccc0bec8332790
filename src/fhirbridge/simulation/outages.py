"""Times in which an EPR told of nothing, in a dry run: gaps in what is known, which a reading closes at their end.

What the EPR stored meanwhile becomes known to the service when the gap has been read, at its end; it counts from when
the EPR stored it, as with every reading of a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.facts import AnyFact
from fhirbridge.core.gaps import Cause, Gap


class Outage(Struct, frozen=True, kw_only=True):
    """From `since` on until just before `until` (UTC) the EPR could not be reached for resources of these types."""

    since: datetime
    until: datetime
    types: tuple[str, ...]


def arrival(fact: AnyFact, outages: Iterable[Outage]) -> datetime:
    """When the service learns of a fact: when the EPR stored it, or at the end of the outages that hide it."""
    at = fact.known
    for one in sorted(outages, key=lambda one: one.since):
        if fact.source.type in one.types and one.since <= at < one.until:
            at = one.until
    return at


def open_gaps(outages: Iterable[Outage], now: datetime) -> tuple[Gap, ...]:
    """The gaps that are open at an instant, the oldest first."""
    return tuple(
        Gap(epr="", type=kind, feed="", cause=Cause.UNREACHABLE, since=one.since, until=one.since)
        for one in sorted(outages, key=lambda one: one.since)
        if one.since <= now < one.until
        for kind in one.types
    )


def turns(outages: Sequence[Outage]) -> list[datetime]:
    """The instants at which a gap opens or closes."""
    return [at for one in outages for at in (one.since, one.until)]
