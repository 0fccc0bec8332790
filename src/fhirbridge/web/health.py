"""What operations ask: is it alive, is it ready and if not what is missing, what does it count."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fhirbridge.errors import FhirbridgeError
from fhirbridge.wiring.service import Runtime

def router(runtime: Runtime) -> APIRouter:
    """`/livez`, `/readyz` and `/metrics` of one service."""
    routes = APIRouter()

    @routes.get("/livez")
    async def livez() -> dict[str, str]:
        """The process answers."""
        return {"status": "alive"}

    @routes.get("/readyz")
    async def readyz() -> Response:
        """200 when the service can do its work; 503 with the name of what is not ready, and why."""
        missing: dict[str, str] = dict(runtime.unready)
        try:
            await runtime.store.next_due()
        except FhirbridgeError as error:
            missing["store"] = str(error)
        state: dict[str, Any] = {"status": "not ready" if missing else "ready", "not_ready": missing}
        return JSONResponse(state, HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK)

    @routes.get("/metrics")
    async def metrics() -> Response:
        """Counters in Prometheus's text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes
