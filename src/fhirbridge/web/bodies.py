"""The body of a request, as far as the service wants to hear it."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from fhirbridge.errors import SenderError


async def body_of(request: Request, limit: int, remedy: str) -> bytes:
    """The body, which is not kept beyond `limit` bytes, whatever its Content-Length says.

    Raises:
        HTTPException: it is larger (413); `remedy` says what the sender can do.
        SenderError: the sender went away.
    """
    too_large = HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {limit} bytes; {remedy}")
    told = request.headers.get("Content-Length", "")
    if told.isascii() and told.isdecimal() and int(told) > limit:
        raise too_large
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise too_large
    except ClientDisconnect:
        raise SenderError("the connection was closed before the body was complete") from None
    return bytes(body)
