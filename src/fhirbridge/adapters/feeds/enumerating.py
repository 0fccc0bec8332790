"""Finding the patients of an EPR by what took place, for the initial load: their records are then read as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from fhirbridge.adapters.feeds.polling import Demands, combinations
from fhirbridge.errors import EprRefused
from fhirbridge.fhir.capability import Capability, Feed, FeedKind, ways_of_asking
from fhirbridge.ports import Clock
from fhirbridge.service import Site
from fhirbridge.service.versions import facts_in
from fhirbridge.service.windows import Span

TYPES = ("Appointment", "Encounter", "EpisodeOfCare")
"""Types by which a patient of the services is known."""

_BOUNDED = (FeedKind.DATE_WINDOW, FeedKind.LAST_UPDATED)


class Enumeration:
    """Who has anything in a stretch of time. `ways` are the searches that the EPR offers for it, one a type."""

    def __init__(self, site: Site, ways: Sequence[Feed], demands: Demands, clock: Clock) -> None:
        self._site = site
        self._ways = ways
        self._demands = demands
        self._clock = clock

    @classmethod
    async def at(cls, site: Site, demands: Demands, clock: Clock) -> Enumeration:
        """For this EPR.

        Raises:
            EprRefused: it offers no search by time for any type that would do.
            EprUnavailable, EprError: it does not say what it can do.
        """
        capability = Capability.of(await site.epr.capability())
        ways = [_bounded(capability, kind) for kind in TYPES if kind in site.mapping.resource_types]
        found = [way for way in ways if way is not None]
        if not found:
            raise EprRefused(
                f"{site.epr.name}: it can be searched neither by date nor by _lastUpdated for {', '.join(TYPES)}; "
                "have the vendor export them, and load the files"
            )
        return cls(site, found, demands, clock)

    async def patients(self, span: Span) -> set[str]:
        """`Patient/id` of everybody with something in the span."""
        about: set[str] = set()
        for way in self._ways:
            for demanded in combinations(self._demands.get(way.type, {})):
                found = [one async for one in self._site.epr.search(way.type, {way.by: span.bounds, **demanded})]
                about |= {version.fact.patient for version in facts_in(self._site, found, self._clock.now())}
        return about - {""}


def _bounded(capability: Capability, resource_type: str) -> Feed | None:
    ways = {way.kind: way for way in ways_of_asking(capability, resource_type)}
    return next((ways[kind] for kind in _BOUNDED if kind in ways), None)
