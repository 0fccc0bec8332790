"""R4 rest-hook subscriptions (https://hl7.org/fhir/R4/subscription.html): one for all resources of each type.

An EPR that loses a notification says nothing of it, and numbers nothing: what it has missed shows only in the status of
the subscription, which EPRs set to `error` when they have given up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from fhirbridge.adapters.feeds.registering import Reader, Registrar, not_offered
from fhirbridge.fhir.capability import Capability, FeedKind
from fhirbridge.fhir.r4 import FHIR_JSON
from fhirbridge.ports import Epr, Event, Resource, Store, Watch

NEEDED = ("Appointment", "Encounter", "EpisodeOfCare")
"""Types without whose notifications the service is blind."""


class RestHookFeed:
    """`ports.Feed` by Subscriptions of R4. `endpoint` is the service's `…/fhir/notify/{epr}` as the EPR reaches it.

    `empty`: notifications say no more than that something of the type changed, and it has to be looked for.
    """

    kind = FeedKind.REST_HOOK

    def __init__(self, epr: Epr, store: Store, endpoint: str, *, reader: Reader, empty: bool = False) -> None:
        self._epr = epr
        self._reader = reader
        self._payload = {} if empty else {"payload": FHIR_JSON}
        self._registrar = Registrar(epr, store, endpoint, self.kind, self._channel)

    async def establish(self, types: Sequence[str], now: datetime) -> list[Watch]:
        """See to it that the EPR notifies of changes to these resource types.

        Raises:
            EprUnavailable, EprError: the EPR cannot be asked at present.
        """
        missing = not_offered(Capability.of(await self._epr.capability()), types)
        return [missing.get(one) or await self._registrar.see_to(one, f"{one}?", now) for one in types]

    async def look(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        """Everything that was changed since then, by reading it; see `ports.Feed`."""
        async for event in self._reader(resource_type, since, now):
            yield event

    def _channel(self, endpoint: str, header: str) -> Resource:
        return {"type": "rest-hook", "endpoint": endpoint, "header": [header]} | self._payload
