"""Trying the searches that polling will make: a CapabilityStatement does not say which parameters need one another.

Each is tried for a day on which nothing took place, so that no patient's data comes back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from fhirbridge.doctor.findings import Finding, Level
from fhirbridge.errors import EprError
from fhirbridge.fhir.capability import Feed, FeedKind
from fhirbridge.ports import Resource

NO_DAY = ("ge1900-01-01T00:00:00Z", "lt1900-01-02T00:00:00Z")

_BY_TIME = {FeedKind.DATE_WINDOW: "date", FeedKind.LAST_UPDATED: "last change"}


class Searched(Protocol):
    """As much of an EPR as the trial needs."""

    name: str

    def search(self, resource_type: str, parameters: Mapping[str, str | Sequence[str]]) -> AsyncIterator[Resource]:
        """All matches."""
        ...


async def try_searches(
    epr: Searched, feeds: Sequence[Feed], demands: Mapping[str, Mapping[str, Sequence[str]]]
) -> list[Finding]:
    """For each type that will be asked for by time, whether the EPR takes that search, with what it insists on."""
    found = []
    for feed in feeds:
        if feed.kind in _BY_TIME and (refusal := await _refusal(epr, feed, demands.get(feed.type, {}))):
            found.append(_refused(epr.name, feed, refusal))
    return found


async def _refusal(epr: Searched, feed: Feed, demanded: Mapping[str, Sequence[str]]) -> str:
    """What the EPR says against the search; empty if it takes it."""
    named = {name: values[0] for name, values in demanded.items()}
    try:
        async for _ in epr.search(feed.type, {feed.by: NO_DAY, **named}):
            break
    except EprError as error:
        return str(error).removeprefix(f"{epr.name}: ")
    return ""


def _refused(epr: str, feed: Feed, refusal: str) -> Finding:
    return Finding(
        area="reads",
        checked=f"{feed.type} by {_BY_TIME[feed.kind]}",
        found=refusal,
        level=Level.LACKING if feed.type == "Appointment" else Level.ATTENTION,
        remedy=f"name what the EPR insists on in eprs.{epr}.polling.demands, or have it take the search",
    )
