"""The doors of the console: signing in and out, and whether a form was sent from one of its own pages.

A cookie that scripts cannot read and other sites cannot send; Secure where the service is reached over https. A form
counts only with the token of its session, and never when the browser says that another site sent it.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from fhirbridge.access import Gate, Session, Sessions, Viewer
from fhirbridge.errors import ConfigurationError, NotAllowed, TooLarge
from fhirbridge.ports import Clock
from fhirbridge.settings import Settings

_MOST: Final = 64_000
"""Bytes of a form."""


class Doors:
    """Who is at the console. `clock` is the machine's.

    Raises:
        ConfigurationError: the file of the session key cannot be read, or is too short.
    """

    def __init__(self, gate: Gate, settings: Settings, clock: Clock) -> None:
        self.gate = gate
        self._clock = clock
        self._sessions = Sessions(_key(settings.access.session_key_file))
        self._reached_at = urlsplit(settings.reached_at).netloc
        self._secure = settings.reached_at.startswith("https://")
        self._cookie = "__Host-fhirbridge" if self._secure else "fhirbridge"
        # A try takes 128 MiB for a moment: one after the other.
        self._trying = asyncio.Lock()

    def viewer(self, request: Request) -> Viewer | None:
        """Who asks; None for somebody who has not signed in, or not lately."""
        if told := self.gate.by_proxy(request.headers):
            return told
        session = self._session(request)
        return self.gate.known(session.person) if session else None

    def form_token(self, request: Request, viewer: Viewer) -> str:
        """What a form on a page for this viewer has to carry."""
        return self._sessions.form_token(self._whose(request, viewer))

    async def sign_in(self, name: str, password: str) -> Viewer | None:
        """Whoever has this name and password."""
        async with self._trying:
            return await asyncio.to_thread(self.gate.person, name, password, self._clock.now())

    def welcome(self, response: Response, viewer: Viewer) -> None:
        """Begin a session."""
        now = self._clock.now()
        self._keep(response, Session(person=viewer.id, nonce=secrets.token_urlsafe(16), began=now, seen=now))

    def keep_open(self, request: Request, response: Response) -> None:
        """Let the session go on from now."""
        if session := self._session(request):
            self._keep(response, session)

    def farewell(self, response: Response) -> None:
        """End the session."""
        response.delete_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="strict")

    async def form(self, request: Request, viewer: Viewer | None = None) -> dict[str, str]:
        """The fields of a form that was sent from a page of the console, for this viewer if there is one.

        Raises:
            NotAllowed: it came from elsewhere, or from a page of a session that is over.
            TooLarge: it is larger than any form of the console can be.
        """
        if not self._from_here(request):
            raise NotAllowed("the form was sent from another site", issue="forbidden")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST:
                raise TooLarge(f"the form has more than {_MOST} bytes")
        fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if viewer is not None and not self._sessions.is_form_token(
            fields.get("token", ""), self._whose(request, viewer)
        ):
            raise NotAllowed("the form is from a session that is over; open the page again", issue="forbidden")
        return fields

    def _from_here(self, request: Request) -> bool:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = request.headers.get("Origin", "")
        # A proxy may have changed Host.
        return not origin or urlsplit(origin).netloc in (request.headers.get("Host", ""), self._reached_at)

    def _session(self, request: Request) -> Session | None:
        cookie = request.cookies.get(self._cookie, "")
        return self._sessions.read(cookie, self._clock.now()) if cookie else None

    def _whose(self, request: Request, viewer: Viewer) -> str:
        session = self._session(request)
        return session.nonce if session and session.person == viewer.id else f"proxy {viewer.id}"

    def _keep(self, response: Response, session: Session) -> None:
        response.set_cookie(
            self._cookie,
            self._sessions.cookie(session),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )


def within(path: str) -> str:
    """The path if it is one of the console; else that of its first page."""
    parts = urlsplit(path)
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc
    return path if inside else "/"


def _key(file: Path | None) -> bytes:
    if file is None:
        return secrets.token_bytes(32)
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}", place="access.session_key_file") from None
    if len(key) < 32:  # noqa: PLR2004  # bytes, as long as what it signs with
        raise ConfigurationError("is shorter than 32 bytes", place="access.session_key_file")
    return key
