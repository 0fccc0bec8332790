"""The way of the notifications: bytes, as an EPR sends them, with everything that can happen to them on the way.

An EPR repeats a notification that was not taken, for a while, and then it gives up: where the service has registered
a subscription, with that subscription. Each seed has one form of notification, for an EPR has one, too.
"""

from __future__ import annotations

from collections import Counter
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
Subscriptions = Callable[[str], Resource | None]
"""The Subscription by which a type is told of, if one is in force."""
GiveUp = Callable[[Resource, str], Awaitable[None]]

TRIES = 4


class Form(StrEnum):
    """What a notification looks like."""

    EMPTY = "rest-hook, empty"
    PAYLOAD = "rest-hook, with the resource"
    ID_ONLY = "backport, id-only"
    FULL = "backport, full-resource"


BUNDLES = (Form.ID_ONLY, Form.FULL)
FORMS = {
    # An empty notification says that something changed lately; only reading again tells what changed before that.
    Feed.RELIED_ON: (Form.PAYLOAD, *BUNDLES),
    Feed.REST_HOOKS: (Form.EMPTY, Form.PAYLOAD),
    Feed.TOPICS: BUNDLES,
}
"""The forms that a feed can have, where it cannot have each."""
STANDING: Resource = {"id": "s", "status": "active", "criteria": ""}
"""The subscription of an EPR that tells without being asked to."""


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
        self._relied_on = weather.feed is Feed.RELIED_ON
        self.form = Dice(weather.dice.seed).one_of("form", FORMS.get(weather.feed, tuple(Form)))
        self._clock = clock
        self._weather = weather
        self._numbers: Counter[str] = Counter()
        self._subscription: Subscriptions | None = None
        self._give_up: GiveUp | None = None
        self.untold: set[tuple[str, int]] = set()
        """The reference and version of everything that did not get through."""
        self._on_the_way: list[Message] = []
        self._outdated: dict[str, Resource] = {}

    def by(self, subscription: Subscriptions, give_up: GiveUp) -> None:
        """From now on what is told goes by subscriptions, and one that does not get through is given up."""
        self._subscription, self._give_up = subscription, give_up

    @property
    def under_way(self) -> set[tuple[str, int]]:
        """The reference and version of everything that may still come."""
        return {_named(one.event) for one in self._on_the_way}

    async def committed(self, event: Event) -> None:
        """The EPR has committed a change, and sends its notification off, if the service shall be told."""
        subscription: Resource | None = STANDING
        if self._subscription is not None:
            subscription = self._subscription(event.type)
        if subscription is None:
            self.untold.add(_named(event))
            return
        counted = str(subscription["criteria"])
        self._numbers[counted] += 1
        name = f"{event.type}/{event.id}/{event.version}"
        weather, now = self._weather, self._clock.now()
        if weather.strikes(Fault.RENUMBERED, name, 0.15):
            self._numbers[counted] = weather.dice.one_of(name, (1, self._numbers[counted] + 7))
        carried = event.resource
        if carried is not None:
            earlier = self._outdated.get(f"{event.type}/{event.id}")
            self._outdated[f"{event.type}/{event.id}"] = carried
            if earlier is not None and weather.strikes(Fault.OUTDATED, name, 0.25):
                carried = earlier
        body = self._body(event, carried, subscription)
        if not weather.feed.told or weather.strikes(Fault.DROPPED, name, 0.3):
            self.untold.add(_named(event))
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
                    await self._again(message)
            except BaseException:
                await self._again(message)
                raise
        return len(due)

    async def _bring(self, message: Message, ingest: Ingest) -> bool:
        """Whether the service said that it has it."""
        event, body = message.event, message.body
        if self._weather.is_cut(self._clock.now()):
            return False
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

    async def _again(self, message: Message) -> None:
        """An EPR gives up after some tries, unless it is relied on."""
        tries = message.tries + 1
        kept = self._relied_on or not self._weather.foul
        if tries < TRIES or kept:
            later = self._clock.now() + timedelta(minutes=5 * tries)
            self._on_the_way.append(Message(message.name, message.event, message.body, later, tries))
            return
        self.untold.add(_named(message.event))
        if self._subscription and self._give_up and (one := self._subscription(message.event.type)):
            await self._give_up(one, "error")

    def counted(self, subscription: Resource) -> Resource:
        """What `$status` says: how many events there have been."""
        so_far = self._numbers[str(subscription["criteria"])]
        told = _told("query-status", subscription, so_far)
        return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": _parameters(told)}]}

    def _body(self, event: Event, carried: Resource | None, subscription: Resource) -> bytes:
        if self.form is Form.PAYLOAD:
            return orjson.dumps(carried) if carried is not None else b""
        if self.form is Form.EMPTY and not event.deleted:
            return b""
        number = self._numbers[str(subscription["criteria"])]
        return orjson.dumps(_bundle(event, carried if self.form is Form.FULL else None, subscription, number))


def _named(event: Event) -> tuple[str, int]:
    return f"{event.type}/{event.id}", int(event.version)


def _told(kind: str, subscription: Resource, so_far: int) -> list[Resource]:
    topic = str(subscription["criteria"])
    return [
        {"name": "subscription", "valueReference": {"reference": f"Subscription/{subscription['id']}"}},
        *([{"name": "topic", "valueCanonical": topic}] if "/" in topic else []),
        {"name": "status", "valueCode": subscription["status"]},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(so_far)},
    ]


def _parameters(told: list[Resource]) -> Resource:
    return {"resourceType": "Parameters", "parameter": told}


def _bundle(event: Event, carried: Resource | None, subscription: Resource, number: int) -> Resource:
    focus = f"{event.type}/{event.id}"
    versioned = f"{focus}/_history/{event.version}" if event.version else focus
    happened = {
        "name": "notification-event",
        "part": [
            {"name": "event-number", "valueString": str(number)},
            {"name": "focus", "valueReference": {"reference": versioned}},
        ],
    }
    told = [*_told("event-notification", subscription, number), happened]
    entries: list[dict[str, Any]] = [{"resource": _parameters(told)}]
    if event.deleted:
        entries.append({"fullUrl": f"https://epr.example/{focus}", "request": {"method": "DELETE", "url": focus}})
    elif carried is not None:
        entries.append({"resource": carried})
    return {"resourceType": "Bundle", "type": "history", "entry": entries}
