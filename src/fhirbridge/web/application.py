"""One application from the routes of this room."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from fhirbridge import __version__
from fhirbridge.access import Gate
from fhirbridge.adapters.system_clock import SystemClock
from fhirbridge.errors import FhirbridgeError
from fhirbridge.ports import Clock
from fhirbridge.web import console, fhir_view, health, notify, outcomes, process_message
from fhirbridge.web.console.doors import Doors
from fhirbridge.web.witness import Witness
from fhirbridge.wiring.service import Runtime


def application(runtime: Runtime, clock: Clock | None = None) -> FastAPI:
    """Everything the service offers over HTTP, as an ASGI application over a service that is built.

    `clock` tells when somebody looks: the machine's time, whatever time the service itself plays in.

    Raises:
        ConfigurationError: what the settings say about access cannot be, or a file that it names cannot be read.
    """
    machine = clock or SystemClock()
    gate = Gate(runtime.settings.access, runtime.settings.eprs)
    witness = Witness(runtime.store.audit, runtime.settings, machine)
    app = FastAPI(title="fhirbridge", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(health.router(runtime))
    app.router.routes.extend(notify.routes(runtime))
    app.router.routes.extend(process_message.routes(runtime, witness))
    app.router.routes.extend(console.routes(runtime, Doors(gate, runtime.settings, machine), witness))
    app.router.routes.extend(fhir_view.routes(runtime, gate, witness))
    app.add_exception_handler(FhirbridgeError, outcomes.refused)
    app.add_exception_handler(HTTPException, outcomes.mistaken)
    app.add_exception_handler(Exception, outcomes.broken)
    return app
