"""What every page of the console needs: who asks, the service behind it, the witness, and how a page is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fhirbridge.access import Viewer
from fhirbridge.core.calendar import Calendar
from fhirbridge.errors import FhirbridgeError, NotAllowed, NotKnown, SenderError
from fhirbridge.web.console.doors import Doors, within
from fhirbridge.web.console.pages import Pages
from fhirbridge.web.witness import Witness
from fhirbridge.wiring.service import Runtime

SEE_OTHER: Final = HTTPStatus.SEE_OTHER

Handler = Callable[[Request, Viewer], Awaitable[Response]]
_log = structlog.get_logger(__name__)


class Rooms:
    """The console over one service: its doors, and how its pages are shown."""

    def __init__(self, runtime: Runtime, doors: Doors, witness: Witness) -> None:
        self.runtime = runtime
        self.store = runtime.store
        self.doors = doors
        self.witness = witness
        sites = runtime.service.sites
        self.calendar = next((site.calendar for site in sites.values()), Calendar(zone=runtime.settings.zone))
        self.pages = Pages(self.calendar)

    def signed_in(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The handler for whoever is signed in; others are sent to the door. What fails becomes a page."""

        async def answer(request: Request) -> Response:
            viewer = self.doors.viewer(request)
            if viewer is None:
                return self.door(request)
            try:
                response = await handler(request, viewer)
            except Exception as error:  # whoever looks at a page gets a page; what is at fault is in the log
                return self.failed(error, viewer, request)
            if request.url.path != "/sign-out":
                self.doors.keep_open(request, response)
            return response

        return answer

    def page(self, name: str, viewer: Viewer | None, request: Request, /, **told: Any) -> Response:
        """A page for this viewer."""
        token = self.doors.form_token(request, viewer) if viewer else ""
        return self.pages.page(name, viewer=viewer, token=token, **told)

    def door(self, request: Request) -> Response:
        """The page to sign in on, or the way there."""
        if request.url.path not in ("/", "/sign-in"):
            return RedirectResponse(f"/sign-in?{urlencode({'to': within(request.url.path)})}", SEE_OTHER)
        to = within(request.query_params.get("to", "/"))
        return self.page("sign-in", None, request, open=self.doors.gate.takes_passwords, name="", to=to, error="")

    def failed(self, error: Exception, viewer: Viewer | None, request: Request) -> Response:
        """A page that says what is wrong, and nothing of our insides."""
        match error:
            case NotKnown() | HTTPException(status_code=HTTPStatus.NOT_FOUND):
                status, heading, says = HTTPStatus.NOT_FOUND, "Page not found", "It is not there, or not any more."
            case NotAllowed():
                status, heading, says = HTTPStatus.FORBIDDEN, "Not allowed", f"{error}."
            case SenderError():
                status, heading, says = HTTPStatus.BAD_REQUEST, "That cannot be", f"{error}."
            case FhirbridgeError(transient=True):
                status, heading = HTTPStatus.SERVICE_UNAVAILABLE, "Not available now"
                says = "Nothing is lost. Try again in a moment."
            case _:
                _log.error("a page failed", exc_info=error)
                status, heading = HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong"
                says = "It has been noted in the log of the service."
        return self.page("error", viewer, request, status=status, heading=heading, says=says[:1].upper() + says[1:])

    async def sign_in(self, request: Request) -> Response:
        """The door, and who comes through it."""
        if request.method != "POST":
            return self.door(request)
        try:
            form = await self.doors.form(request)
            name = form.get("name", "").strip()[:120]
            viewer = await self.doors.sign_in(name, form.get("password", ""))
            asked = viewer or Viewer(kind="person", id=name or "(no name)", name="")
            await self.witness.saw(request, asked, "login", refused=viewer is None)
        except FhirbridgeError as error:
            return self.failed(error, None, request)
        to = within(form.get("to", "/"))
        if viewer is None:
            wrong = "The name or the password is not right, or was wrong too often; try again in a minute"
            return self.page(
                "sign-in", None, request, status=HTTPStatus.UNAUTHORIZED, open=True, name=name, to=to, error=wrong
            )
        response = RedirectResponse(to, SEE_OTHER)
        self.doors.welcome(response, viewer)
        return response

    async def sign_out(self, request: Request, viewer: Viewer) -> Response:
        """Back to the door."""
        await self.doors.form(request, viewer)
        await self.witness.saw(request, viewer, "logout")
        response = RedirectResponse("/sign-in", SEE_OTHER)
        self.doors.farewell(response)
        return response

    async def style(self, _: Request) -> Response:
        """The style sheet."""
        return self.pages.style()
