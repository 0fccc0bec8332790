"""Errors as FHIR wants them: an OperationOutcome with the status that says whose turn it is. Never a stack trace.

FHIR R4: https://hl7.org/fhir/R4/http.html#2.21.0.4 and https://hl7.org/fhir/R4/operationoutcome.html.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fhirbridge.errors import FhirbridgeError, NotAllowed, NotKnown, SenderError
from fhirbridge.fhir.r4 import FHIR_JSON
from fhirbridge.service.measures import REFUSED
from fhirbridge.service.site import said

_ISSUES = {
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "not-supported",
    HTTPStatus.NOT_ACCEPTABLE: "not-supported",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-long",
}
_log = structlog.get_logger(__name__)


def outcome(status: int, issue: str, text: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that says what is wrong, where, and what to do."""
    body: dict[str, Any] = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": issue, "diagnostics": text}],
    }
    REFUSED.labels(str(status)).inc()
    return Response(orjson.dumps(body), status_code=status, media_type=FHIR_JSON, headers=headers)


async def refused(_: Request, error: Exception) -> Response:
    """The answer to an error of our own tree."""
    match error:
        case NotKnown():
            return outcome(HTTPStatus.NOT_FOUND, "not-found", str(error))
        case NotAllowed():
            return outcome(HTTPStatus.UNAUTHORIZED, "login", str(error), {"WWW-Authenticate": "Bearer"})
        case SenderError(issue=issue):
            return outcome(HTTPStatus.BAD_REQUEST, issue, str(error))
        case FhirbridgeError(transient=True):
            _log.warning("a request could not be served now", why=said(error))
            return outcome(
                HTTPStatus.SERVICE_UNAVAILABLE, "transient", "not available now; send it again", {"Retry-After": "5"}
            )
        case _:
            return await broken(_, error)


async def mistaken(_: Request, error: Exception) -> Response:
    """The answer to a request that no route takes."""
    if not isinstance(error, HTTPException):
        return await broken(_, error)
    issue = _ISSUES.get(HTTPStatus(error.status_code), "processing")
    return outcome(error.status_code, issue, error.detail, dict(error.headers or {}))


async def broken(_: Request, error: Exception) -> Response:
    """The answer to a fault of ours."""
    _log.error("a request failed", exc_info=error)
    return outcome(HTTPStatus.INTERNAL_SERVER_ERROR, "exception", "fhirbridge failed; see its log")
