"""Subscriptions R5 Backport for R4 (http://hl7.org/fhir/uv/subscriptions-backport): a topic of ours for each type.

The EPR opens with a handshake, numbers the events, and is heard of at least every heartbeat. So a loss shows: in a
number that was skipped, in a count that is ahead of what came or behind it, in silence. Each opens a gap, and silence a
renewal too, because a server that was restarted may have forgotten to go on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from fhirbridge.adapters.feeds.hearing import Ear
from fhirbridge.adapters.feeds.registering import Fault, Reader, Registrar, not_offered
from fhirbridge.core.gaps import Cause
from fhirbridge.errors import EprError, EprRefused, SenderError
from fhirbridge.fhir import notification
from fhirbridge.fhir.capability import Capability, FeedKind, topic
from fhirbridge.fhir.capability.statement import BACKPORT, BACKPORT_PROFILE
from fhirbridge.fhir.notification import Notification
from fhirbridge.fhir.r4 import FHIR_JSON
from fhirbridge.ports import Epr, Event, Hearing, Resource, Standing, Store, Watch

MISSED_BEATS = 2.5
"""After so many heartbeat periods without a sign of life, something is wrong."""


class BackportFeed:
    """`ports.Feed` by subscriptions to topics. `endpoint` is the service's `…/fhir/notify/{epr}` as the EPR reaches it.

    `payload` is `empty`, `id-only` or `full-resource`; `heartbeat` how often the EPR shall be heard of, zero where it
    need not.
    """

    kind = FeedKind.BACKPORT

    def __init__(
        self,
        epr: Epr,
        store: Store,
        endpoint: str,
        *,
        ear: Ear,
        reader: Reader,
        payload: str,
        heartbeat: timedelta,
    ) -> None:
        self._epr = epr
        self._store = store
        self._ear = ear
        self._reader = reader
        self._payload = payload
        self._heartbeat = heartbeat
        self._registrar = Registrar(epr, store, endpoint, self.kind, self._channel, profile=BACKPORT_PROFILE)

    async def establish(self, types: Sequence[str], now: datetime) -> list[Watch]:
        """See to it that the EPR notifies of changes to these resource types, and that nothing was lost of them.

        Raises:
            EprUnavailable, EprError: the EPR cannot be asked at present.
        """
        capability = Capability.of(await self._epr.capability())
        missing = not_offered(capability, types)
        operations = capability.offer("Subscription").operations
        return [missing.get(one) or await self._see_to(one, now, operations) for one in types]

    async def look(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        """Everything of the type since then: by reading it, or where that cannot be, by asking for the events again."""
        try:
            async for event in self._reader(resource_type, since, now):
                yield event
        except EprRefused:
            if "events" not in Capability.of(await self._epr.capability()).offer("Subscription").operations:
                raise
            for event in await self._events(resource_type):
                yield event

    async def _see_to(self, resource_type: str, now: datetime, operations: frozenset[str]) -> Watch:
        hearing = await self._store.gaps.hearing(self._epr.name, resource_type)
        watch = await self._registrar.see_to(
            resource_type, topic(resource_type), now, besides=self._silence(hearing, now)
        )
        if watch.standing is not Standing.ACTIVE:
            return watch
        so_far = await self._so_far(watch.reference) if "status" in operations else None
        if hearing is None or watch.why:
            await self._ear.begin(self._epr.name, resource_type, so_far, now)
        else:
            await self._ear.check(hearing, so_far, now)
        return watch

    def _silence(self, hearing: Hearing | None, now: datetime) -> Fault | None:
        if hearing is None or not self._heartbeat or now - hearing.heard <= MISSED_BEATS * self._heartbeat:
            return None
        return Fault(Cause.SILENCE, f"nothing was heard of it since {hearing.heard:%H:%M:%S} UTC", hearing.heard)

    async def _so_far(self, reference: str) -> int | None:
        """How many events there have been, by `$status`."""
        return (await self._asked(f"{reference}/$status")).so_far

    async def _events(self, resource_type: str) -> list[Event]:
        """The events that the EPR still has, by `$events`: all that it has."""
        kept = {one.criteria: one for one in await self._store.subscriptions(self._epr.name)}
        return list((await self._asked(f"{kept[topic(resource_type)].reference}/$events")).events)

    async def _asked(self, operation: str) -> Notification:
        answer = await self._epr.invoke(operation)
        try:
            return notification.bundled(answer)
        except SenderError as flaw:
            raise EprError(f"{self._epr.name}: the answer to {operation.rpartition('/')[2]}: {flaw}") from None

    def _channel(self, endpoint: str, header: str) -> Resource:
        content = {"url": f"{BACKPORT}backport-payload-content", "valueCode": self._payload}
        channel: Resource = {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": FHIR_JSON,
            "_payload": {"extension": [content]},
            "header": [header],
        }
        if self._heartbeat:
            seconds = max(1, round(self._heartbeat.total_seconds()))
            channel["extension"] = [{"url": f"{BACKPORT}backport-heartbeat-period", "valueUnsignedInt": seconds}]
        return channel
