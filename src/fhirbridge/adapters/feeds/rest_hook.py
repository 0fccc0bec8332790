"""R4 rest-hook subscriptions (https://hl7.org/fhir/R4/subscription.html): registered, looked after, renewed.

The service keeps one Subscription for each resource type at each EPR and finds its own again by the endpoint and the
criteria, so that a crash between registering and remembering leaves nothing behind. The secret is kept before the EPR
is given it: a notification that comes early is known. Each renewal brings a new secret; the one before is as good
until the EPR is seen to use the new one, so that nothing that is under way meanwhile is turned away. An EPR stops a
subscription that it cannot deliver to; the time since it was last seen to stand is a gap, and has to be read from the
record.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.adapters.epr.entries import offered, reference_of
from fhirbridge.errors import EprRefused
from fhirbridge.fhir.canonical import ORIGIN
from fhirbridge.ports import Epr, Resource, Store, Subscribed

NEEDED = ("Appointment", "Encounter", "EpisodeOfCare")
"""Types without whose notifications the service is blind."""
WHERE_OFFERED = (
    "Task",
    "Communication",
    "Patient",
    "RelatedPerson",
    "ServiceRequest",
    "Flag",
    "Condition",
    "Consent",
    "CareTeam",
    "CarePlan",
)
"""Types whose notifications save reading them."""

_STOPPED = frozenset({"error", "off"})


class Standing(StrEnum):
    """How one subscription stands."""

    ACTIVE = "active"
    """The EPR says that it delivers."""
    PENDING = "pending"
    """Registered; the EPR has not activated it yet."""
    NOT_OFFERED = "not-offered"
    """The EPR has no Subscription, or not this type: it has to be read instead."""
    REFUSED = "refused"
    """The EPR refused to register it; see `why`."""


class Watch(Struct, frozen=True, kw_only=True):
    """The subscription to one resource type, as `ensure` left it.

    `gap_since`: changes from that instant on may not have been notified, and have to be read from the record. With a
    new subscription that is when it was first asked for: what was there before is for the initial load. It is given
    as long as the subscription is not ACTIVE, and once more when it has become so; a read after that closes the gap.
    """

    type: str
    standing: Standing
    reference: str = ""
    gap_since: datetime | None = None
    why: str = ""


async def ensure(epr: Epr, store: Store, endpoint: str, types: Sequence[str], now: datetime) -> list[Watch]:
    """See to it that the EPR notifies `endpoint` of changes to these resource types. Safe to call again at any time.

    `endpoint` is the service's `…/fhir/notify/{epr}` as the EPR reaches it; `types` usually `NEEDED + WHERE_OFFERED`.
    What it keeps of a subscription: `Subscribed.since` is when it was last seen to be active, so that it bounds a later
    gap, and `Subscribed.reference` is empty while it is not.

    Raises:
        EprUnavailable, EprError: the EPR cannot be asked at present.
    """
    types_offered = offered(await epr.capability())
    if "Subscription" not in types_offered:
        return [Watch(type=one, standing=Standing.NOT_OFFERED, why="the EPR offers no Subscription") for one in types]
    kept = {subscribed.criteria: subscribed for subscribed in await store.subscriptions(epr.name)}
    watches = []
    for one in types:
        if one not in types_offered:
            watches.append(Watch(type=one, standing=Standing.NOT_OFFERED, why=f"the EPR offers no {one}"))
            continue
        try:
            watches.append(await _ensure_one(epr, store, endpoint, one, kept.get(_criteria(one)), now))
        except EprRefused as refusal:
            watches.append(Watch(type=one, standing=Standing.REFUSED, why=str(refusal)))
    return watches


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


async def _ensure_one(
    epr: Epr, store: Store, endpoint: str, resource_type: str, kept: Subscribed | None, now: datetime
) -> Watch:
    if kept is None:
        secret = secrets.token_urlsafe(32)
        kept = Subscribed(epr=epr.name, criteria=_criteria(resource_type), reference="", secret=secret, since=now)
        await store.subscribed(kept)
    current = await _current(epr, endpoint, kept)
    why = _fault(current, endpoint, kept)
    if current is None or why:
        kept = await _with_new_secret(store, kept)
        current = await _renewed(epr, endpoint, kept, current)
    reference = reference_of(current)
    active = current["status"] == "active"
    stood = active and not why and kept.reference == reference and not kept.former
    gap_since = None if stood else kept.since
    seen = replace(kept, reference=reference, since=now, former="") if active else replace(kept, reference="")
    if seen != kept:
        await store.subscribed(seen)
    standing = Standing.ACTIVE if active else Standing.PENDING
    return Watch(type=resource_type, standing=standing, reference=reference, gap_since=gap_since, why=why)


async def _with_new_secret(store: Store, kept: Subscribed) -> Subscribed:
    """A new secret for a renewal, kept before the EPR is given it.

    One that the EPR was not seen to use is not passed over: after a crash, the EPR may have that or the former.
    """
    if not kept.reference or kept.former:
        return kept
    renewed = replace(kept, secret=secrets.token_urlsafe(32), former=kept.secret)
    await store.subscribed(renewed)
    return renewed


async def _current(epr: Epr, endpoint: str, kept: Subscribed) -> Resource | None:
    """The service's own Subscription at the EPR; if there are several, the others are turned off."""
    if kept.reference:
        return await epr.read(kept.reference)
    same = [one async for one in epr.search("Subscription", {"url": endpoint}) if one.get("criteria") == kept.criteria]
    same.sort(key=lambda one: (one["status"] in _STOPPED, one["meta"]["lastUpdated"], one["id"]))
    for double in same[1:]:
        if double["status"] != "off":
            await epr.update({**double, "status": "off"})
    return next(iter(same), None)


def _fault(current: Resource | None, endpoint: str, kept: Subscribed) -> str:
    """Why a Subscription does not serve as it is; empty if it does.

    The secret is compared where the Subscription was not seen active with it before; an EPR may hide it later.
    """
    if current is None:
        return "it was gone from the EPR" if kept.reference else "it was new"
    if current["status"] in _STOPPED:
        return f"the EPR had stopped it: {current.get('error') or current['status']}"
    if current["channel"].get("endpoint") != endpoint:
        return "it led to another endpoint"
    if (not kept.reference or kept.former) and _header(kept.secret) not in current["channel"].get("header", []):
        return "it had another secret"
    return ""


async def _renewed(epr: Epr, endpoint: str, kept: Subscribed, current: Resource | None) -> Resource:
    """Register the Subscription, or put it right, and read how it stands now: many EPRs activate it at once."""
    wanted: Resource = {
        "resourceType": "Subscription",
        "meta": {"tag": [{"system": ORIGIN, "code": "fhirbridge"}]},
        "status": "requested",
        "reason": "fhirbridge follows missed appointments and ending care",
        "criteria": kept.criteria,
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "header": [_header(kept.secret)],
        },
    }
    stored = await (epr.update({**wanted, "id": current["id"]}) if current else epr.create(wanted))
    return await epr.read(reference_of(stored)) or stored


def _criteria(resource_type: str) -> str:
    """All resources of the type. The question mark is part of R4's form of criteria, and some EPRs insist on it."""
    return f"{resource_type}?"


def _header(secret: str) -> str:
    return f"Authorization: Bearer {secret}"
