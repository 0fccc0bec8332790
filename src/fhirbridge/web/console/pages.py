"""Pages as HTML: one layout, all of it escaped, and headers that let a browser fetch and run nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final

import jinja2
from starlette.responses import HTMLResponse, Response

from fhirbridge.access import Viewer
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.decision import Reason
from fhirbridge.core.facts import Source
from fhirbridge.fhir.wording import display, sentence

_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    # An address of the console can name a patient, so no other site is told it. Without any referrer, a browser would
    # not say either from where a form was sent.
    "Referrer-Policy": "same-origin",
}
_STYLED_INSIDE: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


class Pages:
    """Renders the templates; times are shown on the local clock of `calendar`."""

    def __init__(self, calendar: Calendar) -> None:
        self._environment = _environment(calendar)
        self._style = (files("fhirbridge.web.console") / "console.css").read_bytes()

    def page(
        self,
        name: str,
        /,
        *,
        viewer: Viewer | None,
        status: int = HTTPStatus.OK,
        token: str = "",
        **told: Any,
    ) -> HTMLResponse:
        """One page; `token` is that of the forms on it."""
        text = self._environment.get_template(f"{name}.html.jinja").render(viewer=viewer, token=token, **told)
        return HTMLResponse(text, status_code=status, headers=dict(_HEADERS))

    def style(self) -> Response:
        """The style sheet; the same for everybody."""
        headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
        return Response(self._style, media_type="text/css", headers=headers)


@lru_cache(maxsize=4)
def _environment(calendar: Calendar) -> jinja2.Environment:
    """The templates, compiled as they are asked for; one calendar is the same to everybody."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fhirbridge.web.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "display": display,
        "reasons": reasons,
        "source": source,
        "sentence": sentence,
        "at_time": lambda at: calendar.at_time(at) if at else "",
        "short": lambda at: _short(calendar.local(at)) if at else "",
        "born": _born,
        "capital": lambda text: text[:1].upper() + text[1:],
    }
    return environment


def with_style_inside(page: str) -> HTMLResponse:
    """A page of ours that brings its own style."""
    return HTMLResponse(page, headers={**_HEADERS, "Content-Security-Policy": _STYLED_INSIDE})


def document(pdf: bytes) -> Response:
    """A letter, shown by the browser itself."""
    headers = {**_HEADERS, "Content-Disposition": "inline; filename=letter.pdf"}
    return Response(pdf, media_type="application/pdf", headers=headers)


def reasons(because: tuple[Reason, ...]) -> str:
    """The sentences of some reasons, as one paragraph."""
    return " ".join(dict.fromkeys(sentence(reason.says) for reason in because))


def source(one: Source) -> str:
    """A version of a resource, as it is cited."""
    return f"{one.reference}, version {one.version}" if one.version else one.reference


def _short(wall: datetime) -> str:
    return f"{wall:%a} {wall.day} {wall:%b %Y, %H:%M}"


def _born(told: str) -> str:
    try:
        day = date.fromisoformat(told)
    except ValueError:
        return told
    return f"{day.day} {day:%B %Y}"
