"""One application from the routes of this room."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from fhirbridge import __version__
from fhirbridge.errors import FhirbridgeError
from fhirbridge.web import health, notify, outcomes
from fhirbridge.wiring.service import Runtime


def application(runtime: Runtime) -> FastAPI:
    """Everything the service offers over HTTP, as an ASGI application over a service that is built."""
    app = FastAPI(title="fhirbridge", version=__version__, docs_url=None, redoc_url=None)
    app.include_router(health.router(runtime))
    app.router.routes.extend(notify.routes(runtime))
    app.add_exception_handler(FhirbridgeError, outcomes.refused)
    app.add_exception_handler(HTTPException, outcomes.mistaken)
    app.add_exception_handler(Exception, outcomes.broken)
    return app
