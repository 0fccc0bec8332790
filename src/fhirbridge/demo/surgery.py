"""The sample surgery: a receiver with a FHIR endpoint; it acknowledges what it is sent, and does not know everybody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fhirbridge.fhir.canonical import NHS_NUMBER
from fhirbridge.fhir.directory import Organisation
from fhirbridge.fhir.r4 import FHIR_JSON

REFERENCE = "Organization/riverside-surgery"
_RESPONSE_CODE = "https://fhir.nhs.uk/STU3/CodeSystem/ITK-ResponseCode-1"


@asynccontextmanager
async def surgery(strangers: frozenset[str]) -> AsyncIterator[Organisation]:
    """Run the surgery; it as the directory has it. Those with an NHS number in `strangers` are not known there."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}/fhir"

    async def process_message(request: Request) -> Response:
        return JSONResponse(_acknowledgement(await request.json(), strangers), media_type=FHIR_JSON)

    app = Starlette(routes=[Route("/fhir/$process-message", process_message, methods=["POST"])])
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield Organisation(
            ods="Y99901",
            name="Riverside Surgery",
            references=(REFERENCE,),
            channel="fhir",
            endpoint=endpoint,
            telephone="01632 960200",
        )
    finally:
        server.should_exit = True
        await running


class _Server(uvicorn.Server):
    """A server that leaves the signals to the service's own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured."""
        yield


def _acknowledgement(message: dict[str, Any], strangers: frozenset[str]) -> dict[str, Any]:
    """30001, or 30002 for somebody who is not a patient there."""
    resources = [entry["resource"] for entry in message["entry"]]
    numbers = {
        identifier["value"]
        for resource in resources
        for identifier in resource.get("identifier", [])
        if resource["resourceType"] == "Patient" and identifier["system"] == NHS_NUMBER
    }
    known = numbers.isdisjoint(strangers)
    issue: dict[str, Any] = {
        "severity": "information" if known else "error",
        "code": "informational" if known else "not-found",
        "details": {"coding": [{"system": _RESPONSE_CODE, "code": "30001" if known else "30002"}]},
    }
    if not known:
        issue["diagnostics"] = "Patient not known here"
    header = {
        "resourceType": "MessageHeader",
        "eventCoding": resources[0]["eventCoding"],
        "source": {"endpoint": resources[0]["destination"][0]["endpoint"]},
        "response": {"identifier": resources[0]["id"], "code": "ok" if known else "fatal-error"},
    }
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    return {"resourceType": "Bundle", "type": "message", "entry": [{"resource": header}, {"resource": outcome}]}
