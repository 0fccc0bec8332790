"""Where EPRs tell that something changed. Plain Starlette: an EPR waits for the answer, and there are many of them.

The order of the checks is the order of their cost: is the EPR known, is the sender who it says, is the body of a size
to read; only then is it read. 2xx is answered once the events are durable.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirbridge.adapters.feeds.registering import secret_matches
from fhirbridge.errors import NotAllowed, NotKnown
from fhirbridge.fhir import notification
from fhirbridge.fhir.notification import Notification
from fhirbridge.fhir.r4 import FHIR_JSON
from fhirbridge.web.bodies import body_of
from fhirbridge.wiring.service import Runtime


def routes(runtime: Runtime) -> list[Route]:
    """`POST /fhir/notify/{epr}`, `PUT` and `DELETE /fhir/notify/{epr}/{type}/{id}`."""
    return [
        Route("/fhir/notify/{epr}", Notify(runtime).posted, methods=["POST"]),
        Route("/fhir/notify/{epr}/{type}/{id}", Notify(runtime).named, methods=["PUT", "DELETE"]),
    ]


class Notify:
    """The two endpoints over one service."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._limits = runtime.settings.limits

    async def posted(self, request: Request) -> Response:
        """A rest-hook without a path of its own, or a notification Bundle."""
        epr = await self._admitted(request)
        body = await body_of(request, self._limits.body, "send resources singly")
        return await self._ingested(
            epr, notification.posted(body, max_bytes=self._limits.body, max_depth=self._limits.depth)
        )

    async def named(self, request: Request) -> Response:
        """A rest-hook that names the resource in its path."""
        epr = await self._admitted(request)
        kind, identity = request.path_params["type"], request.path_params["id"]
        if request.method == "DELETE":
            return await self._ingested(epr, notification.deleted(kind, identity))
        body = await body_of(request, self._limits.body, "send resources singly")
        return await self._ingested(
            epr, notification.put(kind, identity, body, max_bytes=self._limits.body, max_depth=self._limits.depth)
        )

    async def _ingested(self, epr: str, told: Notification) -> Response:
        if await self._runtime.service.ingest(epr, told):
            self._runtime.woken.set()
        # After the events: a number is counted only when what it stands for is durable.
        if told.topic and await self._runtime.ear.heard(epr, told, self._runtime.clock.now()):
            self._runtime.doubts[epr].set()
        # Some EPRs (HAPI among them) take an answer without a FHIR body for a failure.
        return Response(
            b'{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational"}]}',
            status_code=HTTPStatus.OK,
            media_type=FHIR_JSON,
        )

    async def _admitted(self, request: Request) -> str:
        """The EPR's name, if the request carries a secret of it: in `Authorization: Bearer …`."""
        epr = str(request.path_params["epr"])
        configured = self._runtime.settings.eprs.get(epr)
        if configured is None:
            raise NotKnown(f"no EPR is configured under the name {epr[:60]!r}")
        presented = request.headers.get("Authorization", "")
        wanted = configured.notify_secret
        if wanted and hmac.compare_digest(presented.encode(), f"Bearer {wanted.get_secret_value()}".encode()):
            return epr
        if not secret_matches(presented, await self._runtime.store.subscriptions(epr)):
            raise NotAllowed(
                "the secret is missing or wrong; send the subscription's Authorization header", issue="login"
            )
        return epr
