"""How the service shows an EPR who it is.

Every kind is an `httpx.Auth`, so the client does not know which one it has: a fixed token today, and anything that
fetches and renews its token (SMART Backend Services) in the same place.
"""

from __future__ import annotations

from collections.abc import Generator

import httpx


class BearerToken(httpx.Auth):
    """One token that does not expire, as `Authorization: Bearer …` (RFC 6750)."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the token on the request."""
        request.headers["Authorization"] = self._header
        yield request
