"""What somebody has to see to, because the service cannot: what it may not know, holds back, or could not read."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from fhirbridge.access import Viewer
from fhirbridge.core.policy import Pack
from fhirbridge.ports import Subject
from fhirbridge.service import Site
from fhirbridge.service.gaps import HeldStep, OpenGap, held_steps, open_gaps
from fhirbridge.service.releasing import holdings
from fhirbridge.web.console.rooms import Rooms
from fhirbridge.web.console.work import identities

_ON_THE_PAGE: Final = 100


class Blind(Struct, frozen=True, kw_only=True):
    """One EPR of which something may be unknown, the patients for whom a step waits, and the steps that wait."""

    epr: str
    gaps: tuple[OpenGap, ...]
    waiting: tuple[Subject, ...]
    steps: tuple[HeldStep, ...]


class Attention:
    """The page over one service."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._runtime = rooms.runtime
        self._store = rooms.store

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Open gaps and what waits for them, writes that are held back, and records that could not be read."""
        now = self._runtime.clock.now()
        blind = [one for name in sorted(self._runtime.settings.eprs) if (one := await self._blind(name)) is not None]
        held = await holdings(self._store, now)
        unread = await self._store.unread.search(limit=_ON_THE_PAGE)
        subjects = [subject for one in blind for subject in one.waiting[:_ON_THE_PAGE]]
        subjects += [one.subject for one in held[:_ON_THE_PAGE]]
        subjects += [Subject(one.epr, one.patient) for one in unread if one.patient]
        who = await identities(self._store, subjects)
        await self._rooms.witness.saw(request, viewer, "look", list(who))
        return self._rooms.page(
            "attention",
            viewer,
            request,
            blind=blind,
            held=held,
            unread=[(one, Subject(one.epr, one.patient)) for one in unread],
            unread_in_all=sum((await self._store.unread.count()).values()),
            who=who,
            most=_ON_THE_PAGE,
        )

    async def _blind(self, epr: str) -> Blind | None:
        gaps = open_gaps(await self._store.gaps.open(epr))
        if not gaps:
            return None
        return Blind(
            epr=epr,
            gaps=tuple(gaps),
            waiting=tuple(await self._store.gaps.waiting(epr)),
            steps=tuple(held_steps(packs_of(self._runtime.service.sites[epr]))),
        )


def packs_of(site: Site) -> list[Pack]:
    """The policies that patients of an EPR can meet, each once."""
    found = [*site.packs, *(pack for assignment in site.assignments for pack in assignment.packs)]
    return list({pack.name: pack for pack in found}.values())
