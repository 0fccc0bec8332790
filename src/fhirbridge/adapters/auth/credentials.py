"""What the HTTP client needs to know of any way to authenticate: the header to send, and whether 401 can be mended.

Credentials have no connection of their own. Where they have to ask somebody (for a token), they do so through the
client's own exchange, so that the same limits, certificates and timeouts hold for it.
"""

from __future__ import annotations

from typing import Protocol

import httpx


class Exchange(Protocol):
    """Sends one request, without credentials, and reads the whole answer within the client's limits."""

    async def __call__(self, request: httpx.Request, what: str) -> tuple[httpx.Response, bytes]:
        """The answer and its body; `what` names the request in errors.

        Raises:
            EprUnavailable: no answer came, or not in time.
            EprError: the answer is larger than what is read.
        """
        ...


class Credentials(Protocol):
    """One way to authenticate. What it holds never shows in a message, a log or a `repr`."""

    async def header(self, exchange: Exchange) -> str:
        """The value of `Authorization` for the next request.

        Raises:
            EprUnauthorised: the authorisation server does not accept the service.
            EprUnavailable, EprError: it cannot be asked at present, or makes no sense.
        """
        ...

    def refused(self, header: str) -> bool:
        """Take note that the EPR answered 401 to this header; whether there may be another one to try."""
        ...


class BearerToken:
    """One token that does not expire, as `Authorization: Bearer …` (RFC 6750)."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    async def header(self, exchange: Exchange) -> str:
        """The token."""
        return self._header

    def refused(self, header: str) -> bool:
        """There is no other."""
        return False
