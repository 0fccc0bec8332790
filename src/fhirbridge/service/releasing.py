"""What the brake holds at present, for a person to see, and letting it go on when a person says so."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from fhirbridge.core.effects import Released
from fhirbridge.core.own import fold
from fhirbridge.errors import NotKnown, Overtaken
from fhirbridge.ports import Clock, Store, Subject
from fhirbridge.service.loops import DAY


class Holding(Struct, frozen=True, kw_only=True):
    """Writes about one obligation that are held back: since when, until when at the latest, and why."""

    subject: Subject
    identity: str
    type: str
    action: str
    since: datetime
    until: datetime
    why: str


async def holdings(store: Store, now: datetime) -> list[Holding]:
    """Everything that is held back now, oldest first."""
    found = []
    for subject, held in await store.own.held(now - DAY):
        thing = fold((await store.load(subject)).effects).things.get(held.identity)
        if thing is None or thing.held_until != held.until or held.until <= now:
            continue
        found.append(
            Holding(
                subject=subject,
                identity=held.identity,
                type=thing.key.kind,
                action=thing.key.action,
                since=held.at,
                until=held.until,
                why=held.why,
            )
        )
    return found


async def release(store: Store, identity: str, clock: Clock) -> Holding:
    """Let the service write again what it held back about this obligation, and look at the patient at once.

    Raises:
        NotKnown: nothing is held back about it now.
        Overtaken: a worker is with the patient at this moment; try again.
    """
    now = clock.now()
    holding = next((one for one in await holdings(store, now) if one.identity == identity), None)
    if holding is None:
        raise NotKnown(f"nothing is held back about the obligation {identity[:60]!r}; see fhirbridge loops")
    async with store.lease(holding.subject, now) as held:
        if not held:
            raise Overtaken("a worker is with the patient at this moment; try again")
        known = await store.load(holding.subject)
        await store.commit(
            holding.subject,
            effects=[Released(identity=identity, at=now)],
            outgoing=(),
            wakes_at=now,
            decided_at=now,
            revision=known.revision,
        )
    return holding
