"""A worker in small, for the crash tests: takes events through the whole store and says what it was told is durable.

Run as a program, `store_writer.py URL ROUND`, it goes on until it is killed. Each line on standard output names what
the store has acknowledged: `accepted`, `kept`, `decided` or `delivered`, and an id.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fhirbridge.adapters.store import open_store
from fhirbridge.core.effects import Key, Kind, Written
from fhirbridge.core.facts import AnyFact, Appointment, AppointmentState, Source
from fhirbridge.ports import Arrival, Event, Outgoing, Receipt, Store, Subject, Version

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PATIENTS = 5

Say = Callable[[str, str], None]


def instant(round_number: int) -> datetime:
    """The time of a round; by then the leases of the round before have expired."""
    return NOON + timedelta(days=round_number)


async def take_in(store: Store, ids: list[str], now: datetime, say: Say) -> None:
    async def one(event_id: str) -> None:
        await store.accept("epr", [Event(type="Appointment", id=event_id, version="1")], now)
        say("accepted", event_id)

    await asyncio.gather(*(one(event_id) for event_id in ids))


def read(arrival: Arrival) -> Version:
    event = arrival.event
    fact = Appointment(
        source=Source(event.type, event.id, event.version),
        known=arrival.received,
        patient=f"Patient/p{int(event.id.partition('-')[2]) % PATIENTS}",
        state=AppointmentState.MISSED,
    )
    return Version(fact=fact, resource={"resourceType": event.type, "id": event.id})


async def digest(store: Store, now: datetime, say: Say) -> bool:
    arrivals = await store.waiting(10)
    await store.keep("epr", [read(arrival) for arrival in arrivals], [arrival.row for arrival in arrivals], now)
    for arrival in arrivals:
        say("kept", arrival.event.id)
    return bool(arrivals)


def written(subject: Subject, fact: AnyFact, now: datetime) -> Written:
    key = Key(subject.patient, "e", "pack", Kind.TASK, "contact-patient", "lead-professional", fact.source.id)
    return Written(identity=fact.source.id, at=now, key=key, run="r", pathway="p", steps=("s",), since=now)


def create(effect: Written) -> Outgoing:
    return Outgoing(identity=effect.identity, type="Task", verb="create", resource={}, provenance={})


async def decide(store: Store, now: datetime, say: Say) -> bool:
    subjects = await store.due(now, 2)
    for subject in subjects:
        async with store.lease(subject, now) as held:
            if not held:
                continue
            known = await store.load(subject)
            done = {effect.identity for effect in known.effects}
            effects = [written(subject, fact, now) for fact in known.facts if fact.source.id not in done]
            outgoing = [create(effect) for effect in effects]
            await store.commit(
                subject,
                effects=effects,
                outgoing=outgoing,
                wakes_at=None,
                decided_at=now,
                revision=known.revision,
            )
            for effect in effects:
                say("decided", effect.identity)
    return bool(subjects)


async def deliver(store: Store, now: datetime, say: Say) -> bool:
    rows = await store.undelivered(now, 5)
    await store.delivered([Receipt(row=row.row, reference=f"Task/{row.outgoing.identity}") for row in rows], now)
    for row in rows:
        say("delivered", row.outgoing.identity)
    return bool(rows)


async def run(url: str, round_number: int) -> None:
    def say(what: str, which: str) -> None:
        sys.stdout.write(f"{what} {which}\n")
        sys.stdout.flush()

    store = await open_store(url)
    now = instant(round_number)
    number = 0
    while True:
        await take_in(store, [f"r{round_number}-{number + extra}" for extra in range(3)], now, say)
        number += 3
        await digest(store, now, say)
        await decide(store, now, say)
        await deliver(store, now, say)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
