"""What operations ask: is it alive, is it ready and if not what is missing, what does it count."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fhirbridge.core.gaps import Gap
from fhirbridge.errors import FhirbridgeError
from fhirbridge.service.measures import GAPS, LEFT_ALONE, OLDEST_GAP
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
        """200 when the service can do its work; 503 with the name of what is not ready, and why.

        Gaps are shown and do not count: notifications have to come in while one is read.
        """
        missing: dict[str, str] = dict(runtime.unready)
        try:
            await runtime.store.next_due()
            gaps = [_shown(gap, runtime.clock.now()) for gap in await runtime.store.gaps.open()]
        except FhirbridgeError as error:
            missing["store"] = str(error)
            gaps = []
        state: dict[str, Any] = {"status": "not ready" if missing else "ready", "not_ready": missing, "gaps": gaps}
        state |= {"alarms": runtime.alarms} if runtime.alarms else {}
        return JSONResponse(state, HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK)

    @routes.get("/metrics")
    async def metrics() -> Response:
        """Counters in Prometheus's text format."""
        await _measure_gaps(runtime)
        away = runtime.service.left_alone()
        for name in runtime.settings.eprs:
            LEFT_ALONE.labels(name).set(name in away)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes


def _shown(gap: Gap, now: datetime) -> dict[str, Any]:
    return {
        "epr": gap.epr,
        "type": gap.type,
        "cause": gap.cause.value,
        "since": gap.since.isoformat(),
        "age_seconds": round((now - gap.since).total_seconds()),
    }


async def _measure_gaps(runtime: Runtime) -> None:
    """As of now, because another process may have opened or closed one."""
    try:
        found = await runtime.store.gaps.open()
    except FhirbridgeError:  # readiness says that the store does not answer; the counters are as they were
        return
    now = runtime.clock.now()
    for name in runtime.settings.eprs:
        ages = [(now - gap.since).total_seconds() for gap in found if gap.epr == name]
        GAPS.labels(name).set(len(ages))
        OLDEST_GAP.labels(name).set(max(ages, default=0.0))
