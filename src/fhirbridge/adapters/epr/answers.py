"""What an HTTP answer of an EPR means: a resource, or one of the service's own errors.

Whether a write may be tried again is decided here, by status. Messages name the interaction and the
EPR's reason, never the query, which can hold a patient's identifiers.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NoReturn

import httpx
import orjson

from fhirbridge.adapters.retry_after import retry_after
from fhirbridge.errors import EprConflict, EprError, EprRefused, EprUnauthorised, EprUnavailable
from fhirbridge.ports import Resource

_TRANSIENT = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_CONFLICT = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
_LONGEST_REASON = 500


def resource(response: httpx.Response, body: bytes, what: str) -> Resource:
    """The resource in a good answer; {} when it has no body.

    Raises:
        EprError: the body is not a FHIR resource in JSON.
        EprUnauthorised, EprUnavailable, EprConflict, EprRefused: as `failed` says.
    """
    if not response.is_success:
        failed(response, body, what)
    if not body.strip():
        return {}
    parsed = _parsed(body)
    if parsed is None:
        raise EprError(f"{what}: answered {response.status_code} with something that is not FHIR JSON; check base_url")
    return parsed


def failed(response: httpx.Response, body: bytes, what: str) -> NoReturn:
    """Raise what an answer outside 2xx means (RFC 9110 section 15; FHIR R4 section 3.1.0)."""
    outcome = _parsed(body)
    words = reason(outcome)
    error = _error(response, outcome, what, f"{what}: {response.status_code} {words}".rstrip())
    error.reason = words
    raise error


def _error(response: httpx.Response, outcome: Resource | None, what: str, said: str) -> EprError:
    status = response.status_code
    if status in _CONFLICT:
        return EprConflict(f"{said}; somebody changed it first, read it again", outcome=outcome, status=status)
    if status == HTTPStatus.UNAUTHORIZED:
        return EprUnauthorised(said, retry_after=retry_after(response))
    if status in _TRANSIENT or (status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED):
        return EprUnavailable(said, retry_after=retry_after(response))
    if response.is_redirect:
        return EprError(f"{what}: answered with a redirect ({status}); set base_url to where it leads")
    return EprRefused(said, outcome=outcome, status=status)


def check_absence(body: bytes, what: str) -> None:
    """Accept that something is not there only from the EPR itself: a gateway without its EPR answers 404 to anything.

    Raises:
        EprUnavailable: the body is neither FHIR nor empty.
    """
    if body.strip() and _parsed(body) is None:
        raise EprUnavailable(f"{what}, and not from a FHIR server; check base_url, and what stands before the EPR")


def reason(outcome: dict[str, Any] | None) -> str:
    """The text of an OperationOutcome's issues, cut short; empty where there is none."""
    issues = (outcome or {}).get("issue")
    if not isinstance(issues, list):
        return ""
    texts = [_issue_text(issue) for issue in issues if isinstance(issue, dict)]
    return "; ".join(text for text in texts if text)[:_LONGEST_REASON]


def _issue_text(issue: dict[str, Any]) -> str:
    details = issue.get("details")
    text = details.get("text") if isinstance(details, dict) else None
    return str(issue.get("diagnostics") or text or issue.get("code") or "")


def _parsed(body: bytes) -> Resource | None:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) and "resourceType" in parsed else None
