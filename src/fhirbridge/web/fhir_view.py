"""`GET /fhir/…`: a read-only FHIR R4 server of what the service wrote, for EPRs that cannot take every type.

One base URL for all EPRs: ids are derived from the EPR and the identity, so they never collide. Closed to whoever shows
no token of the settings. Every access is witnessed before it is answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from email.utils import format_datetime
from http import HTTPStatus
from zoneinfo import ZoneInfo

import orjson
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirbridge import __version__
from fhirbridge.access import Gate, Viewer
from fhirbridge.errors import NotAllowed, NotKnown
from fhirbridge.fhir import view
from fhirbridge.fhir.audit_event import Did
from fhirbridge.fhir.capability import Way
from fhirbridge.fhir.copies import COPY
from fhirbridge.fhir.r4 import FHIR_JSON
from fhirbridge.ports import Listed, Resource, Subject, Wanted
from fhirbridge.web.searching import PAGE, Patients, Search, search
from fhirbridge.web.witness import Witness
from fhirbridge.wiring.service import Runtime

_JSON = ("application/fhir+json", "application/json", "text/json", "json", "application/*", "*/*")
_VERSIONS = ("4.0", "4.0.1")
_OF_ONE_PATIENT = 10_000
_AS_ITSELF = (COPY, Way.NATIVE)


class _TypeName(Convertor[str]):
    """A FHIR type in a path: it begins with a capital, as nothing else under `/fhir/` does."""

    regex = "[A-Z][A-Za-z]{1,63}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("fhirtype", _TypeName())


def routes(runtime: Runtime, gate: Gate, witness: Witness) -> list[Route]:
    """Everything of the view."""
    shown = View(runtime, gate, witness)
    return [
        Route("/fhir/metadata", shown.metadata),
        Route("/fhir/{type:fhirtype}", shown.searched),
        Route("/fhir/{type:fhirtype}/{id}", shown.read),
        Route("/fhir/{type:fhirtype}/{id}/_history", shown.history),
        Route("/fhir/{type:fhirtype}/{id}/_history/{version}", shown.version),
    ]


class View:
    """The view over one service."""

    def __init__(self, runtime: Runtime, gate: Gate, witness: Witness) -> None:
        self._worklist = runtime.store.worklist
        self._gate = gate
        self._witness = witness
        self._started = runtime.clock.now()
        self._base = f"{runtime.settings.reached_at}/fhir"
        self._eprs = {name: str(one.base_url).rstrip("/") for name, one in runtime.settings.eprs.items()}
        self._zone = ZoneInfo(runtime.settings.zone)

    async def metadata(self, request: Request) -> Response:
        """The CapabilityStatement; open to everybody, for it tells nothing of anybody."""
        _check_format(request)
        return _answer(view.capability_statement(self._base, __version__, self._started))

    async def searched(self, request: Request) -> Response:
        """A search, or a further page of one."""
        viewer, kind = self._admitted(request)
        asked = request.query_params.multi_items()
        eprs = self._visible(viewer)
        what = search(kind, [(n, v) for n, v in asked if n != "_format"], Patients(eprs), self._zone)
        found, total, following = await self._found(what, viewer)
        links = {"self_link": f"{self._base}/{kind}" + (f"?{request.url.query}" if request.url.query else "")}
        if following:
            links["next_link"] = f"{self._base}/{kind}?{PAGE}={what.page_after(following)}"
        shown = [] if what.count_only else await self._told(found)
        bundle = view.searchset(shown, self._base, total=total, count_only=what.count_only, **links)
        await self._seen(request, viewer, "search-type", found, query=f"{kind}?{request.url.query}")
        return _answer(bundle)

    async def read(self, request: Request) -> Response:
        """The current version of one resource."""
        viewer, kind = self._admitted(request)
        listed = await self._one(viewer, kind, request.path_params["id"])
        await self._seen(request, viewer, "read", [listed])
        return await self._as_is(request, listed)

    async def version(self, request: Request) -> Response:
        """One version of one resource."""
        viewer, kind = self._admitted(request)
        number = request.path_params["version"]
        versions = await self._versions(viewer, kind, request.path_params["id"])
        listed = next((one for one in versions if str(one.version) == number), None)
        if listed is None:
            raise NotKnown(f"{kind} has no version {number[:20]!r}; its versions count from 1 to {len(versions)}")
        await self._seen(request, viewer, "vread", [listed])
        return await self._as_is(request, listed)

    async def history(self, request: Request) -> Response:
        """Every version of one resource, the newest first."""
        viewer, kind = self._admitted(request)
        versions = await self._versions(viewer, kind, request.path_params["id"])
        await self._seen(request, viewer, "history-instance", versions)
        told = await self._told(versions)
        return _answer(view.history_bundle(told, self._base, f"{self._base}/{versions[0].reference}/_history"))

    # --- who, and in which form ------------------------------------------------------------------

    def _admitted(self, request: Request) -> tuple[Viewer, str]:
        viewer = self._gate.system(request.headers.get("Authorization", ""))
        if viewer is None:
            raise NotAllowed(
                "send the token of a client that the settings name under access.systems, as Authorization: Bearer …",
                issue="login",
            )
        _check_format(request)
        kind = request.path_params["type"]
        if kind not in view.SEARCHABLE:
            raise NotKnown(f"{kind[:60]} is not in this view; it has {', '.join(view.SEARCHABLE)}")
        return viewer, kind

    def _visible(self, viewer: Viewer) -> dict[str, str]:
        return {name: url for name, url in self._eprs.items() if not viewer.eprs or name in viewer.eprs}

    async def _seen(
        self, request: Request, viewer: Viewer, did: Did, found: Sequence[Listed], *, query: str = ""
    ) -> None:
        what = () if query else tuple(dict.fromkeys(f"{self._base}/{one.reference}" for one in found))
        await self._witness.saw(request, viewer, did, _subjects(found), what=what, query=query)

    # --- finding ---------------------------------------------------------------------------------

    async def _found(self, what: Search, viewer: Viewer) -> tuple[list[Listed], int, int]:
        """A page, how many there are in all, and the row after which the next page begins; 0 when there is none."""
        if what.nothing:
            return [], 0, 0
        if what.targets:
            told_of = await self._told_of(what, viewer)
            rest = [one for one in told_of if one.row > what.after]
            following = rest[what.size - 1].row if len(rest) > what.size else 0
            return rest[: what.size], len(told_of), following
        total = await self._worklist.count(what.wanted)
        if what.count_only:
            return [], total, 0
        found = await self._worklist.search(what.wanted, after=what.after, limit=what.size + 1)
        following = found[what.size - 1].row if len(found) > what.size else 0
        return found[: what.size], total, following

    async def _told_of(self, what: Search, viewer: Viewer) -> list[Listed]:
        """The Provenances of what is searched for that name one of the targets."""
        named = {one.removeprefix(f"{self._base}/").partition("/_history/")[0] for one in what.targets}
        targets = [await self._worklist.read(reference) for reference in sorted(named) if reference.count("/") == 1]
        visible = self._visible(viewer)
        subjects = {one.subject for one in targets if one is not None and one.subject.epr in visible}
        found = []
        for subject in subjects:
            wanted = Wanted(
                types=("Provenance",),
                ids=what.wanted.ids,
                eprs=(subject.epr,),
                patients=(subject.patient,),
                since=what.wanted.since,
                until=what.wanted.until,
            )
            listed = await self._worklist.search(wanted, limit=_OF_ONE_PATIENT)
            told = await self._told(listed)
            found += [one for one, shown in zip(listed, told, strict=True) if _targets(shown) & named]
        return sorted(found, key=lambda one: one.row)

    async def _one(self, viewer: Viewer, kind: str, identity: str) -> Listed:
        listed = await self._worklist.read(f"{kind}/{identity}")
        if listed is None or listed.subject.epr not in self._visible(viewer):
            raise NotKnown(f"there is no {kind} of this id here")
        return listed

    async def _versions(self, viewer: Viewer, kind: str, identity: str) -> list[Listed]:
        await self._one(viewer, kind, identity)
        return await self._worklist.history(f"{kind}/{identity}")

    # --- telling ---------------------------------------------------------------------------------

    async def _told(self, found: Sequence[Listed]) -> list[Resource]:
        own = {subject: await self._own_of(subject) for subject in _subjects(found)}
        several = len(self._eprs) > 1
        return [
            view.told_from(one.resource, own[one.subject], self._eprs.get(one.subject.epr, "") if several else "")
            for one in found
        ]

    async def _own_of(self, subject: Subject) -> dict[str, str]:
        """For what stands in the EPR as itself, its reference there and the one it has here; and those of all else."""
        wanted = Wanted(eprs=(subject.epr,), patients=(subject.patient,))
        mine = await self._worklist.search(wanted, limit=_OF_ONE_PATIENT)
        there = {one.told: one.reference for one in mine if one.told and one.way in _AS_ITSELF}
        return {one.reference: one.reference for one in mine} | there

    async def _as_is(self, request: Request, listed: Listed) -> Response:
        etag = f'W/"{listed.version}"'
        headers = {"ETag": etag, "Last-Modified": format_datetime(listed.updated, usegmt=True)}
        if etag in request.headers.get("If-None-Match", "").replace(", ", ",").split(","):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        [resource] = await self._told([listed])
        return _answer(resource, headers)


def _targets(provenance: Resource) -> set[str]:
    return {str(one.get("reference", "")).partition("/_history/")[0] for one in provenance.get("target", [])}


def _subjects(found: Iterable[Listed]) -> list[Subject]:
    return list(dict.fromkeys(one.subject for one in found))


def _check_format(request: Request) -> None:
    asked = request.query_params.get("_format") or request.headers.get("Accept") or "*/*"
    if not any(_is_json(one) for one in asked.split(",")):
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, "this view speaks application/fhir+json of FHIR 4.0 alone")


def _is_json(asked: str) -> bool:
    kind, *parameters = (part.strip().lower() for part in asked.replace(" json", "+json").split(";"))
    told = dict(one.partition("=")[::2] for one in parameters)
    return kind in _JSON and told.get("q") != "0" and told.get("fhirversion", "4.0") in _VERSIONS


def _answer(resource: Resource, headers: dict[str, str] | None = None) -> Response:
    kept = {"Cache-Control": "private, no-store", **(headers or {})}
    return Response(orjson.dumps(resource), media_type=FHIR_JSON, headers=kept)
