"""The routes of the console, and what each page shows."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirbridge import __version__
from fhirbridge.access import Viewer
from fhirbridge.errors import NotKnown
from fhirbridge.packs.loading import pack_path, read_pack
from fhirbridge.packs.page import describe, html
from fhirbridge.ports import Subject
from fhirbridge.web.console.account import account_of
from fhirbridge.web.console.attention import Attention, packs_of
from fhirbridge.web.console.doors import Doors
from fhirbridge.web.console.items import Items
from fhirbridge.web.console.pages import with_style_inside
from fhirbridge.web.console.rooms import Rooms
from fhirbridge.web.console.work import DUE, Chosen, Work, find_people, identities, open_work
from fhirbridge.web.witness import Witness
from fhirbridge.wiring.service import Runtime

_ON_A_PAGE: Final = 100
_ENOUGH: Final = 50
_MOST_DIGITS: Final = 6


def routes(runtime: Runtime, doors: Doors, witness: Witness) -> list[Route]:
    """Everything of the console."""
    rooms = Rooms(runtime, doors, witness)
    console, items = Console(rooms), Items(rooms)
    signed_in = rooms.signed_in
    return [
        Route("/", signed_in(console.work)),
        Route("/sign-in", rooms.sign_in, methods=["GET", "POST"]),
        Route("/sign-out", signed_in(rooms.sign_out), methods=["POST"]),
        Route("/patients", signed_in(console.people)),
        Route("/patients/{epr}/{id}", signed_in(console.patient)),
        Route("/items/{type:fhirtype}/{id}", signed_in(items.item)),
        Route("/items/Communication/{id}/letter", signed_in(items.letter)),
        Route("/items/Task/{id}/completion", signed_in(items.completed), methods=["POST"]),
        Route("/attention", signed_in(Attention(rooms).page)),
        Route("/policies", signed_in(console.policies)),
        Route("/policies/{name}", signed_in(console.policy)),
        Route("/feeds", signed_in(console.feeds)),
        Route("/console.css", rooms.style),
    ]


class Console:
    """The pages over one service."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._runtime = rooms.runtime
        self._store = rooms.store
        self._witness = rooms.witness

    # --- work ------------------------------------------------------------------------------------

    async def work(self, request: Request, viewer: Viewer) -> Response:
        """What there is to do, overdue first, by role, owner and due date."""
        asked = request.query_params
        chosen = Chosen(
            role=asked.get("role", ""), owner=asked.get("owner", ""), due=asked.get("due", ""), epr=asked.get("epr", "")
        )
        now = self._runtime.clock.now()
        everything = await open_work(self._store, now)
        fitting = [one for one in everything if chosen.takes(one, now, self._rooms.calendar)]
        page = _page(asked.get("page", "1"))
        rows = fitting[(page - 1) * _ON_A_PAGE : page * _ON_A_PAGE]
        who = await identities(self._store, [one.subject for one in rows])
        await self._witness.saw(request, viewer, "look", [one.subject for one in rows], query=f"/?{request.url.query}")
        again = {name: value for name, value in asked.items() if name != "page" and value}
        return self._rooms.page(
            "work",
            viewer,
            request,
            rows=rows,
            who=who,
            total=len(everything),
            fitting=len(fitting),
            overdue=sum(one.overdue for one in everything),
            chosen=chosen,
            roles=_values(everything, "role"),
            owners=_values(everything, "owner"),
            eprs=sorted(self._runtime.settings.eprs),
            due=DUE,
            now=now,
            page=page,
            pages=-(-len(fitting) // _ON_A_PAGE),
            again=urlencode(again),
        )

    # --- patients --------------------------------------------------------------------------------

    async def people(self, request: Request, viewer: Viewer) -> Response:
        """Patients by NHS number or name."""
        said = request.query_params.get("q", "").strip()[:120]
        found = await find_people(self._store, sorted(self._runtime.settings.eprs), said, _ENOUGH) if said else []
        if said:
            await self._witness.saw(request, viewer, "look", [one for one, _ in found], query=f"/patients?q={said}")
        return self._rooms.page("people", viewer, request, said=said, found=found, enough=_ENOUGH)

    async def patient(self, request: Request, viewer: Viewer) -> Response:
        """Everything about one patient."""
        subject = Subject(request.path_params["epr"], f"Patient/{request.path_params['id']}")
        site = self._runtime.service.sites.get(subject.epr)
        if site is None or not await self._store.has_seen(subject):
            raise NotKnown("nothing is known of this patient")
        now = self._runtime.clock.now()
        account = await account_of(self._store, site, subject, now)
        await self._witness.saw(request, viewer, "look", [subject])
        return self._rooms.page("patient", viewer, request, account=account, now=now)

    # --- policies, feeds ---------------------------------------------------------------------------

    async def policies(self, request: Request, viewer: Viewer) -> Response:
        """The policies in force."""
        packs = {pack.name: pack for site in self._runtime.service.sites.values() for pack in packs_of(site)}
        return self._rooms.page("policies", viewer, request, packs=[packs[name] for name in sorted(packs)])

    async def policy(self, request: Request, viewer: Viewer) -> Response:
        """One policy, read aloud."""
        name = request.path_params["name"]
        for site in self._runtime.service.sites.values():
            if any(pack.name == name for pack in packs_of(site)):
                return with_style_inside(_policy_page(self._file_of(name)))
        raise NotKnown("no such policy is in force")

    def _file_of(self, name: str) -> str:
        settings = self._runtime.settings
        named = {*settings.packs, *(one for service in settings.services for one in service.packs)}
        named |= {one for epr in settings.eprs.values() for one in epr.packs}
        return next((one for one in sorted(named) if read_pack(pack_path(one)).pack == name), name)

    async def feeds(self, request: Request, viewer: Viewer) -> Response:
        """How things stand with the EPRs, and what the service has learnt of them."""
        store = self._store
        refused = await store.dead_letters.count()
        eprs = [
            {
                "name": name,
                "base_url": str(one.base_url),
                "subscriptions": await store.subscriptions(name),
                "gaps": await store.gaps.open(name),
                "refused": refused.get(name, 0),
            }
            for name, one in sorted(self._runtime.settings.eprs.items())
        ]
        return self._rooms.page(
            "feeds", viewer, request, eprs=eprs, unready=dict(self._runtime.unready), version=__version__
        )


def _page(told: str) -> int:
    return max(1, int(told)) if told.isascii() and told.isdecimal() and len(told) <= _MOST_DIGITS else 1


def _values(rows: Iterable[Work], name: str) -> list[str]:
    return sorted({value for one in rows if (value := getattr(one, name))})


@lru_cache(maxsize=16)
def _policy_page(name: str) -> str:
    return html(describe(read_pack(pack_path(name))), back="/policies")
