"""Where receivers on the FHIR channel acknowledge what they were sent, and answer it: `POST /fhir/$process-message`.

FHIR R4, https://hl7.org/fhir/R4/messageheader-operation-process-message.html. A receiver shows the secret that the
settings give it, and can speak of what was sent to its own endpoint alone. 2xx is answered once it is durable.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirbridge.access import Viewer
from fhirbridge.channels import Told
from fhirbridge.errors import NotAllowed, NotKnown
from fhirbridge.fhir.message_answer import heard
from fhirbridge.fhir.notification import read_json
from fhirbridge.fhir.r4 import FHIR_JSON
from fhirbridge.service.measures import REPORTS
from fhirbridge.settings import ReceiverSettings
from fhirbridge.web.bodies import body_of
from fhirbridge.web.witness import Witness
from fhirbridge.wiring.channels import PROCESS_MESSAGE
from fhirbridge.wiring.service import Runtime

_TAKEN = b'{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational"}]}'


def routes(runtime: Runtime, witness: Witness) -> list[Route]:
    """`POST /fhir/$process-message`."""
    return [Route(PROCESS_MESSAGE, _Answers(runtime, witness).received, methods=["POST"])]


class _Answers:
    """The endpoint over one service."""

    def __init__(self, runtime: Runtime, witness: Witness) -> None:
        self._runtime = runtime
        self._witness = witness

    async def received(self, request: Request) -> Response:
        """An acknowledgement or an answer."""
        name, receiver = self._admitted(request)
        limits = self._runtime.settings.limits
        body = await body_of(request, limits.body, "send the answer without attachments")
        found = heard(read_json(body, max_bytes=limits.body, max_depth=limits.depth))
        now = self._runtime.clock.now()
        told = Told(
            about=found.about,
            report=found.report,
            happened=found.happened or now,
            code=found.code,
            says=found.says,
        )
        viewer = Viewer(kind="system", id=name, name=name)
        await self._witness.saw(request, viewer, "operation", query=f"$process-message about {found.about}")
        sender = str(receiver.endpoint)
        if not await self._runtime.store.dispatches.report("fhir", told, now, sender=sender):
            raise NotKnown(
                "nothing that was sent to this receiver has the id that the message names", issue="not-found"
            )
        REPORTS.labels("fhir", found.report.value).inc()
        self._runtime.woken.set()
        return Response(_TAKEN, status_code=HTTPStatus.OK, media_type=FHIR_JSON)

    def _admitted(self, request: Request) -> tuple[str, ReceiverSettings]:
        """Name and settings of the receiver whose secret the request carries: in `Authorization: Bearer …`."""
        presented = request.headers.get("Authorization", "").encode()
        found = None
        for name, one in self._runtime.settings.receivers.items():
            if hmac.compare_digest(presented, f"Bearer {one.secret.get_secret_value()}".encode()):
                found = name, one
        if found is None:
            raise NotAllowed(
                "the secret is missing or wrong; send Authorization: Bearer and your secret", issue="login"
            )
        return found
