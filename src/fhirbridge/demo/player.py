"""Playing the story: the clock goes from one moment to the next, and on only when everything has come to rest.

A moment is when staff enter something, or when a timer of the service is due. At rest means that the service has heard
of whatever staff entered, has decided on it, and has written to the EPR what follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from fhirbridge.core.findings import earliest
from fhirbridge.demo.people import Caseload, Event, Person, instant
from fhirbridge.demo.staff import Resource, Staff
from fhirbridge.demo.story_time import StoryClock
from fhirbridge.errors import EprUnavailable
from fhirbridge.ports import Subject
from fhirbridge.wiring.service import Runtime

_LOOK = 0.05
_NUDGE_AFTER = 3.0
_GIVE_UP_AFTER = 30.0
_NUDGE = timedelta(seconds=1)

Shown = Callable[[datetime], None]
"""Told each moment that the story comes to."""


class Player:
    """Plays one caseload against one EPR, `epr` by its name in the service."""

    def __init__(self, runtime: Runtime, epr: str, clock: StoryClock, staff: Staff) -> None:
        self._runtime = runtime
        self._epr = epr
        self._clock = clock
        self._staff = staff

    async def watched(self) -> None:
        """Wait until the EPR notifies the service.

        Raises:
            EprUnavailable: it does not.
        """

        async def stands() -> bool:
            subscriptions = await self._runtime.store.subscriptions(self._epr)
            return bool(subscriptions) and all(one.reference for one in subscriptions) and not self._runtime.unready

        await self._until(stands, "the subscriptions at the sample EPR do not stand")

    async def play(self, caseload: Caseload, shown: Shown) -> None:
        """Play it from beginning to end.

        Raises:
            EprUnavailable: the service does not come to rest.
            Defect: the story does not fit what the service asks for.
        """
        calendar = self._runtime.service.sites[self._epr].calendar
        ends = instant(caseload.ends, calendar)
        waiting = sorted(
            ((instant(event.at, calendar), person, event) for person in caseload.people for event in person.events),
            key=lambda entry: (entry[0], entry[1].id),
            reverse=True,
        )
        shown(self._clock.now())
        await self._staff.open()
        await self._rest([version for person in caseload.people for version in await self._staff.admit(person)])
        while True:
            moment = earliest((waiting[-1][0] if waiting else None, await self._runtime.store.next_due()))
            if moment is None or moment > ends:
                return
            if moment > self._clock.now():
                self._clock.move(moment)
                shown(moment)
            now = self._clock.now()
            entered = []
            while waiting and waiting[-1][0] <= now:
                entered.append(await self._enter(*waiting.pop()[1:]))
            await self._rest(entered)

    async def _enter(self, person: Person, event: Event) -> Resource:
        return await self._staff.enter(person, event, self._clock.now())

    async def _rest(self, entered: Iterable[Resource]) -> None:
        unheard = {(_subject(self._epr, version), _versioned(version)) for version in entered}

        async def rests() -> bool:
            if await self._runtime.store.waiting(1) or await self._runtime.service.unfinished():
                return False
            for subject in {subject for subject, _ in unheard}:
                heard = {fact.source.versioned for fact in (await self._runtime.store.load(subject)).facts}
                unheard.difference_update({(subject, version) for version in heard})
            return not unheard

        await self._until(rests, "the service did not come to rest")

    async def _until(self, holds: Callable[[], Awaitable[bool]], else_: str) -> None:
        loop = asyncio.get_running_loop()
        begun = nudged = loop.time()
        self._runtime.woken.set()
        while not await holds():
            if loop.time() - begun > _GIVE_UP_AFTER:
                raise EprUnavailable(f"{else_} within {_GIVE_UP_AFTER:.0f} seconds")
            if loop.time() - nudged > _NUDGE_AFTER:
                # Whoever waits for a while after a failure waits by the story's clock, which stands still.
                nudged = loop.time()
                self._clock.move(self._clock.now() + _NUDGE)
                self._runtime.woken.set()
            await asyncio.sleep(_LOOK)


def _subject(epr: str, version: Resource) -> Subject:
    if version["resourceType"] == "Patient":
        return Subject(epr, f"Patient/{version['id']}")
    about = version.get("subject") or version.get("patient") or version.get("for")
    about = about or version["participant"][0]["actor"]
    return Subject(epr, about["reference"])


def _versioned(version: Resource) -> str:
    return f"{version['resourceType']}/{version['id']}/_history/{version['meta']['versionId']}"
