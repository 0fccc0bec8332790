"""Access tokens got with a signed assertion: SMART Backend Services, and the NHS API platform's signed JWT.

Both are OAuth's client credentials grant (RFC 6749 section 4.4) with `private_key_jwt`. A token is used until shortly
before it expires, by however many requests run at once; if the EPR refuses it earlier, one new one is asked for. Where
the token endpoint is not configured, the EPR says where it is (`.well-known/smart-configuration`).
"""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from msgspec import Struct

from fhirbridge.adapters.auth.credentials import Exchange
from fhirbridge.adapters.auth.signing import SigningKey
from fhirbridge.adapters.retry_after import retry_after
from fhirbridge.errors import EprError, EprUnauthorised, EprUnavailable
from fhirbridge.ports import Clock

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
WELL_KNOWN = ".well-known/smart-configuration"

ASSUMED_LIFETIME = timedelta(minutes=5)
"""Of a token whose answer does not say, although it should (RFC 6749 section 5.1)."""
MARGIN = timedelta(seconds=30)
"""A token is renewed so long before it expires, or in the last tenth of its life where that is shorter."""

_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_SECRET_LOOKING = re.compile(r"[A-Za-z0-9_\-.=+/]{24,}")
_LONGEST_REASON = 200


class _Token(Struct, frozen=True):
    header: str
    renew_at: datetime


class AssertedToken:
    """Tokens for one client at the EPR of that name.

    `base_url` is the EPR's FHIR base; `token_url` the token endpoint, empty if the EPR has to be asked for it. `scope`
    is what is asked for, empty where the server knows it by itself. `clock` has to show the real time: the
    authorisation server compares.
    """

    def __init__(
        self,
        epr: str,
        client_id: str,
        key: SigningKey,
        *,
        clock: Clock,
        base_url: str,
        token_url: str = "",
        scope: str = "",
    ) -> None:
        self._epr = epr
        self._client_id = client_id
        self._key = key
        self._clock = clock
        self._base = base_url.rstrip("/") + "/"
        self._configured = token_url
        self._discovered = ""
        self._scope = scope
        self._token: _Token | None = None
        self._one_at_a_time = asyncio.Lock()

    async def header(self, exchange: Exchange) -> str:
        """`Bearer …` with a token that is good now.

        Raises:
            EprUnauthorised: the authorisation server refuses the client, its key or the scopes.
            EprUnavailable: it does not answer at present.
            EprError: its answers make no sense, or it cannot be found.
        """
        async with self._one_at_a_time:
            if self._token is None or self._clock.now() >= self._token.renew_at:
                self._token = None
                self._token = await self._asked_for(exchange)
            return self._token.header

    def refused(self, header: str) -> bool:
        """Forget the token, unless somebody has got another one meanwhile; there is always one to ask for."""
        if self._token is not None and self._token.header == header:
            self._token = None
        return True

    async def _asked_for(self, exchange: Exchange) -> _Token:
        endpoint = self._configured or self._discovered or await self._discover(exchange)
        asked = self._clock.now()
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._key.assertion(self._client_id, endpoint, asked),
        }
        if self._scope:
            form["scope"] = self._scope
        request = httpx.Request("POST", endpoint, data=form, headers={"Accept": "application/json"})
        response, body = await exchange(request, "token")
        if not response.is_success:
            self._discovered = ""  # it may have moved
            raise self._refusal(response, body)
        return self._taken(self._parsed(body), asked)

    async def _discover(self, exchange: Exchange) -> str:
        """The token endpoint that the EPR names (SMART App Launch 2, section on conformance)."""
        request = httpx.Request("GET", self._base + WELL_KNOWN, headers={"Accept": "application/json"})
        response, body = await exchange(request, WELL_KNOWN)
        if response.is_server_error:
            raise EprUnavailable(
                f"{self._epr}: {WELL_KNOWN}: {response.status_code}", retry_after=retry_after(response)
            )
        configuration = self._parsed(body) if response.is_success else {}
        endpoint = configuration.get("token_endpoint")
        if not isinstance(endpoint, str) or not endpoint:
            raise EprError(f"{self._epr}: {WELL_KNOWN}: {response.status_code}, no token_endpoint; set auth.token_url")
        if urlsplit(endpoint).scheme != "https" and not self._base.startswith("http://"):
            raise EprError(f"{self._epr}: {WELL_KNOWN}: the token_endpoint is not https; it was not asked")
        algorithms = configuration.get("token_endpoint_auth_signing_alg_values_supported")
        if isinstance(algorithms, list) and algorithms and self._key.algorithm not in algorithms:
            taken = ", ".join(str(one) for one in algorithms)[:_LONGEST_REASON]
            raise EprError(
                f"{self._epr}: takes assertions signed by {taken}; the key of auth.key signs {self._key.algorithm}"
            )
        self._discovered = endpoint
        return endpoint

    def _taken(self, answer: dict[str, Any], asked: datetime) -> _Token:
        token, kind = answer.get("access_token"), str(answer.get("token_type", "bearer"))
        if not isinstance(token, str) or not _TOKEN.fullmatch(token) or kind.lower() != "bearer":
            raise EprError(f"{self._epr}: token: the answer holds no bearer token; is that the token endpoint?")
        try:
            lifetime = timedelta(seconds=max(0.0, float(answer["expires_in"])))
        except (KeyError, TypeError, ValueError, OverflowError):
            lifetime = ASSUMED_LIFETIME
        return _Token(header=f"Bearer {token}", renew_at=asked + lifetime - min(MARGIN, lifetime / 10))

    def _refusal(self, response: httpx.Response, body: bytes) -> EprError:
        """What a refusal means (RFC 6749 section 5.2); its words are passed on without what may be secret."""
        status = response.status_code
        if response.is_server_error or status in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT):
            wish = retry_after(response)
            return EprUnavailable(f"{self._epr}: token: {status}; is the authorisation server up?", retry_after=wish)
        if status not in (httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return EprError(f"{self._epr}: token: {status}; is that the token endpoint?")
        answer = _object(body) or {}
        said = " ".join(str(answer[name]) for name in ("error", "error_description") if answer.get(name))
        reason = _SECRET_LOOKING.sub("…", " ".join(said.split()))[:_LONGEST_REASON]
        return EprUnauthorised(
            f"{self._epr}: token: {status} {reason or 'refused'}; check auth.client_id and auth.scope, and that "
            "the public part of auth.key is registered under its kid"
        )

    def _parsed(self, body: bytes) -> dict[str, Any]:
        answer = _object(body)
        if answer is None:
            raise EprError(f"{self._epr}: the authorisation server's answer is not JSON; check auth.token_url")
        return answer


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None
