"""The way of the notifications: bytes, as an EPR sends them, with everything that can happen to them on the way.

An EPR repeats a notification that was not taken, for a while, and then it gives up. Each seed has one form of
notification, for an EPR has one, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson
from msgspec import Struct

from fhirbridge.errors import FhirbridgeError
from fhirbridge.fhir import notification
from fhirbridge.fhir.notification import Notification
from fhirbridge.ports import Clock, Event, Resource
from tests.faults.dice import Dice
from tests.faults.feeding import Feed
from tests.faults.weather import Fault, Weather

Ingest = Callable[[Notification], Awaitable[int]]

TRIES = 4


class Form(StrEnum):
    """What a notification looks like."""

    EMPTY = "rest-hook, empty"
    PAYLOAD = "rest-hook, with the resource"
    ID_ONLY = "backport, id-only"
    FULL = "backport, full-resource"


class Message(Struct, frozen=True):
    """One notification on its way; `tries` so far."""

    name: str
    event: Event
    body: bytes
    due: datetime
    tries: int = 0


class Wire:
    """Takes what was committed, and brings it to the service, or not."""

    def __init__(self, clock: Clock, weather: Weather) -> None:
        # An empty notification says that something changed lately; only reading again tells what changed before that.
        self._relied_on = weather.feed is Feed.RELIED_ON
        forms = [form for form in Form if form is not Form.EMPTY or not self._relied_on]
        self.form = Dice(weather.dice.seed).one_of("form", forms)
        self._clock = clock
        self._weather = weather
        self._number = 0
        self._on_the_way: list[Message] = []
        self._outdated: dict[str, Resource] = {}

    async def committed(self, event: Event) -> None:
        """The EPR has committed a change, and sends its notification off."""
        self._number += 1
        name = f"{event.type}/{event.id}/{event.version}"
        weather, now = self._weather, self._clock.now()
        if weather.strikes(Fault.RENUMBERED, name, 0.15):
            self._number = weather.dice.one_of(name, (1, self._number + 7))
        carried = event.resource
        if carried is not None:
            earlier = self._outdated.get(f"{event.type}/{event.id}")
            self._outdated[f"{event.type}/{event.id}"] = carried
            if earlier is not None and weather.strikes(Fault.OUTDATED, name, 0.25):
                carried = earlier
        body = self._body(event, carried)
        if not weather.feed.told or weather.strikes(Fault.DROPPED, name, 0.3):
            return
        copies = 1 + (weather.dice.whole(name, 1, 3) if weather.strikes(Fault.DOUBLED, name, 0.2) else 0)
        for copy in range(copies):
            late = weather.strikes(Fault.DELAYED, f"{name} {copy}", 0.4)
            minutes = weather.dice.whole(f"late {name}", 1, 400) if late else 0
            self._on_the_way.append(Message(f"{name} {copy}", event, body, now + timedelta(minutes=minutes)))

    async def bring(self, ingest: Ingest, *, everything: bool = False) -> int:
        """Bring what is due to the service, in an order of its own; how many that was. What is not taken comes again.

        A crash of the service comes through; what it was just being told is tried again like anything else.
        """
        now = self._clock.now()
        due = [one for one in self._on_the_way if everything or one.due <= now]
        if self._weather.foul and Fault.DELAYED in self._weather.kinds:
            due = self._weather.dice.shuffled("order", due)
        for message in due:
            self._on_the_way.remove(message)
            try:
                if not await self._bring(message, ingest):
                    self._again(message)
            except BaseException:
                self._again(message)
                raise
        return len(due)

    async def _bring(self, message: Message, ingest: Ingest) -> bool:
        """Whether the service said that it has it."""
        event, body = message.event, message.body
        if body and self._weather.strikes(Fault.TRUNCATED, message.name, 0.2):
            body = body[: self._weather.dice.whole(message.name, 1, len(body) - 1)]
        try:
            if event.deleted and self.form is Form.PAYLOAD:
                said = notification.deleted(event.type, event.id)
            elif self.form is Form.PAYLOAD:
                said = notification.put(event.type, event.id, body)
            else:
                said = notification.posted(body)
            await ingest(said)
        except FhirbridgeError:
            return False
        return True

    def _again(self, message: Message) -> None:
        """An EPR gives up after some tries, unless it is relied on."""
        tries = message.tries + 1
        kept = self._relied_on or not self._weather.foul
        if tries < TRIES or kept:
            later = self._clock.now() + timedelta(minutes=5 * tries)
            self._on_the_way.append(Message(message.name, message.event, message.body, later, tries))

    def _body(self, event: Event, carried: Resource | None) -> bytes:
        if self.form is Form.PAYLOAD:
            return orjson.dumps(carried) if carried is not None else b""
        if self.form is Form.EMPTY and not event.deleted:
            return b""
        return orjson.dumps(_bundle(event, carried if self.form is Form.FULL else None, self._number))


def _bundle(event: Event, carried: Resource | None, number: int) -> Resource:
    focus = f"{event.type}/{event.id}"
    versioned = f"{focus}/_history/{event.version}" if event.version else focus
    told: list[Resource] = [
        {"name": "subscription", "valueReference": {"reference": "Subscription/s"}},
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": "event-notification"},
        {"name": "events-since-subscription-start", "valueString": str(number)},
        {
            "name": "notification-event",
            "part": [
                {"name": "event-number", "valueString": str(number)},
                {"name": "focus", "valueReference": {"reference": versioned}},
            ],
        },
    ]
    status = {"resourceType": "Parameters", "parameter": told}
    entries: list[dict[str, Any]] = [{"resource": status}]
    if event.deleted:
        entries.append({"fullUrl": f"https://epr.example/{focus}", "request": {"method": "DELETE", "url": focus}})
    elif carried is not None:
        entries.append({"resource": carried})
    return {"resourceType": "Bundle", "type": "history", "entry": entries}
