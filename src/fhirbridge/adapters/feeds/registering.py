"""One Subscription at an EPR: registered, looked after, renewed; whatever kind of subscription it is.

The service keeps one Subscription for each criteria at each EPR and finds its own again by the endpoint and the
criteria, so that a crash between registering and remembering leaves nothing behind. The secret is kept before the EPR
is given it: a notification that comes early is known. Each renewal brings a new secret; the one before is as good
until the EPR is seen to use the new one, so that nothing that is under way meanwhile is turned away.

An EPR stops a subscription that it cannot deliver to. What it did since the subscription was last seen to stand is a
gap, and that is made durable before anything is put right: a crash in between forgets nothing.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.adapters.epr.entries import reference_of
from fhirbridge.core.gaps import Cause, Gap
from fhirbridge.errors import EprRefused
from fhirbridge.fhir.canonical import ORIGIN
from fhirbridge.fhir.capability import Capability, FeedKind
from fhirbridge.ports import Epr, Event, Resource, Standing, Store, Subscribed, Watch
from fhirbridge.service import Pauses

Channel = Callable[[str, str], Resource]
"""The channel of a Subscription, from its endpoint and its `Authorization` header."""

Reader = Callable[[str, datetime, datetime], AsyncIterator[Event]]
"""Reads what changed of a type since an instant, as `ports.Feed.look` does; subscriptions cannot do so themselves."""

_STOPPED = {"error": Cause.ERROR, "off": Cause.OFF}


class Fault(Struct, frozen=True):
    """Why a Subscription does not serve as it is; `since` if that is known to be longer than it was last looked at."""

    cause: Cause
    says: str
    since: datetime | None = None


class Registrar:
    """Registers the subscriptions of one kind at one EPR. Those that fail are renewed ever more seldom."""

    def __init__(
        self, epr: Epr, store: Store, endpoint: str, kind: FeedKind, channel: Channel, *, profile: str = ""
    ) -> None:
        self._epr = epr
        self._store = store
        self._endpoint = endpoint
        self._kind = kind
        self._channel = channel
        self._claims = {"profile": [profile]} if profile else {}
        self._pauses = Pauses()

    async def see_to(self, resource_type: str, criteria: str, now: datetime, *, besides: Fault | None = None) -> Watch:
        """See to it that this subscription stands; `besides` is a fault that the EPR itself does not show.

        `Subscribed.since` becomes the instant at which it was last seen to be active, which bounds a later gap;
        `Subscribed.reference` is empty while it is not.

        Raises:
            EprUnavailable, EprError: the EPR cannot be asked at present.
        """
        kept = await self._kept(criteria, now)
        current = await self._current(kept)
        if current is None:
            fault = Fault(Cause.LOST, "it was gone from the EPR") if kept.reference else Fault(Cause.NEW, "it was new")
        else:
            found = self._fault(current, kept) or besides
            if found is None:
                return await self._seen(resource_type, kept, current, None, now)
            fault = found
        await self._open(resource_type, fault.cause, min(kept.since, fault.since or kept.since), now)
        if (until := self._pauses.until(criteria, now)) is not None:
            why = f"{fault.says}; it is renewed at {until:%H:%M:%S} UTC"
            return Watch(type=resource_type, standing=Standing.PENDING, why=why)
        self._pauses.failed(criteria, now)
        kept = await self._with_new_secret(kept)
        try:
            current = await self._renewed(kept, current)
        except EprRefused as refusal:
            return Watch(type=resource_type, standing=Standing.REFUSED, why=str(refusal))
        return await self._seen(resource_type, kept, current, fault, now)

    async def _kept(self, criteria: str, now: datetime) -> Subscribed:
        found = {one.criteria: one for one in await self._store.subscriptions(self._epr.name)}
        if criteria in found:
            return found[criteria]
        secret = secrets.token_urlsafe(32)
        kept = Subscribed(epr=self._epr.name, criteria=criteria, reference="", secret=secret, since=now)
        await self._store.subscribed(kept)
        return kept

    async def _seen(
        self, resource_type: str, kept: Subscribed, current: Resource, fault: Fault | None, now: datetime
    ) -> Watch:
        """Remember how it stands."""
        reference = reference_of(current)
        active = current["status"] == "active"
        stood = active and fault is None and kept.reference == reference and not kept.former
        if stood:
            self._pauses.succeeded(kept.criteria)
        elif fault is None:
            await self._open(resource_type, Cause.LOST, kept.since, now)
        seen = replace(kept, reference=reference, since=now, former="") if active else replace(kept, reference="")
        if seen != kept:
            await self._store.subscribed(seen)
        standing = Standing.ACTIVE if active else Standing.PENDING
        return Watch(type=resource_type, standing=standing, reference=reference, why=fault.says if fault else "")

    async def _open(self, resource_type: str, cause: Cause, since: datetime, now: datetime) -> None:
        gaps = self._store.gaps
        if cause is Cause.LOST and any(gap.type == resource_type for gap in await gaps.open(self._epr.name)):
            return  # it waits to be activated; why it had to be is known already
        await gaps.found(
            Gap(epr=self._epr.name, type=resource_type, feed=self._kind.value, cause=cause, since=since, until=now)
        )

    async def _with_new_secret(self, kept: Subscribed) -> Subscribed:
        """A new secret for a renewal, kept before the EPR is given it.

        One that the EPR was not seen to use is not passed over: after a crash, the EPR may have that or the former.
        """
        if not kept.reference or kept.former:
            return kept
        renewed = replace(kept, secret=secrets.token_urlsafe(32), former=kept.secret)
        await self._store.subscribed(renewed)
        return renewed

    async def _current(self, kept: Subscribed) -> Resource | None:
        """The service's own Subscription at the EPR; if there are several, the others are turned off."""
        if kept.reference:
            return await self._epr.read(kept.reference)
        found = self._epr.search("Subscription", {"url": self._endpoint})
        same = [one async for one in found if one.get("criteria") == kept.criteria]
        same.sort(key=lambda one: (one["status"] in _STOPPED, one["meta"]["lastUpdated"], one["id"]))
        for double in same[1:]:
            if double["status"] != "off":
                await self._epr.update({**double, "status": "off"})
        return next(iter(same), None)

    def _fault(self, current: Resource, kept: Subscribed) -> Fault | None:
        """Why a Subscription does not serve as it is; None if it does.

        The secret is compared where the Subscription was not seen active with it before; an EPR may hide it later.
        """
        status = current["status"]
        if status in _STOPPED:
            return Fault(_STOPPED[status], f"the EPR had stopped it: {current.get('error') or status}")
        if current["channel"].get("endpoint") != self._endpoint:
            return Fault(Cause.LOST, "it led to another endpoint")
        unseen = not kept.reference or kept.former
        if unseen and _header(kept.secret) not in current["channel"].get("header", []):
            return Fault(Cause.LOST, "it had another secret")
        return None

    async def _renewed(self, kept: Subscribed, current: Resource | None) -> Resource:
        """Register the Subscription, or put it right, and read how it stands now: many EPRs activate it at once."""
        wanted: Resource = {
            "resourceType": "Subscription",
            "meta": {"tag": [{"system": ORIGIN, "code": "fhirbridge"}]} | self._claims,
            "status": "requested",
            "reason": "fhirbridge follows missed appointments and ending care",
            "criteria": kept.criteria,
            "channel": self._channel(self._endpoint, _header(kept.secret)),
        }
        stored = await (self._epr.update({**wanted, "id": current["id"]}) if current else self._epr.create(wanted))
        return await self._epr.read(reference_of(stored)) or stored


async def retire(epr: Epr, store: Store, wanted: Collection[str]) -> None:
    """Turn off what the service registered with other criteria than these: another kind of feed has taken its place.

    Raises:
        EprUnavailable, EprError: the EPR cannot be asked at present.
    """
    for kept in await store.subscriptions(epr.name):
        if kept.criteria in wanted or not kept.reference:
            continue
        current = await epr.read(kept.reference)
        if current is not None and current["status"] != "off":
            await epr.update({**current, "status": "off"})
        await store.subscribed(replace(kept, reference=""))


def not_offered(capability: Capability, types: Sequence[str]) -> dict[str, Watch]:
    """Those of the types that the EPR takes no Subscription for."""
    if "Subscription" not in capability.offers:
        why = dict.fromkeys(types, "the EPR offers no Subscription")
    else:
        why = {one: f"the EPR offers no {one}" for one in types if one not in capability.offers}
    return {one: Watch(type=one, standing=Standing.NOT_OFFERED, why=says) for one, says in why.items()}


def secret_matches(authorization: str, subscriptions: Iterable[Subscribed]) -> bool:
    """Whether the `Authorization` header of a notification carries the secret of one of these subscriptions.

    While one is being renewed, its former secret will do too. It takes the same time whichever it is, and whether it
    is one.
    """
    scheme, _, presented = authorization.partition(" ")
    found = False
    for subscribed in subscriptions:
        for secret in (subscribed.secret, subscribed.former):
            found |= bool(secret) & hmac.compare_digest(presented.strip().encode(), secret.encode())
    return found and scheme.lower() == "bearer"


def _header(secret: str) -> str:
    return f"Authorization: Bearer {secret}"
