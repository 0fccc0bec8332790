"""One thing that the service wrote: why, how it came to this, and for what stands here alone a form to complete it."""

from __future__ import annotations

from base64 import b64decode
from datetime import date, datetime, time
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fhirbridge.access import Viewer
from fhirbridge.core.calendar import Calendar
from fhirbridge.errors import NotAllowed, NotKnown, Overtaken, SenderError
from fhirbridge.fhir.copies import COPY
from fhirbridge.fhir.r4 import Resource
from fhirbridge.ports import Listed, Wanted
from fhirbridge.service.completing import Completion, complete
from fhirbridge.web.console.outcomes import OUTCOMES
from fhirbridge.web.console.pages import document
from fhirbridge.web.console.rooms import SEE_OTHER, Rooms
from fhirbridge.web.console.work import OPEN, due_of, identities, role_of

_MOST_NOTE = 4000


class Items:
    """The pages of single things."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._store = rooms.store

    async def item(self, request: Request, viewer: Viewer) -> Response:
        """One thing that the service wrote, and why; where it stands here alone, a form to complete it."""
        listed = await self._listed(f"{request.path_params['type']}/{request.path_params['id']}")
        return await self._item(request, viewer, listed)

    async def letter(self, request: Request, viewer: Viewer) -> Response:
        """The letter that a message goes out as, as its reader gets it."""
        reference = f"Communication/{request.path_params['id']}"
        listed = await self._listed(reference)
        pdf = _letter_in(listed.resource)
        if not pdf:
            raise NotKnown("this message is no letter")
        await self._rooms.witness.saw(request, viewer, "look", [listed.subject], what=[reference])
        return document(pdf)

    async def completed(self, request: Request, viewer: Viewer) -> Response:
        """What a person said came of a step."""
        reference = f"Task/{request.path_params['id']}"
        listed = await self._listed(reference)
        form = await self._rooms.doors.form(request, viewer)
        site = self._rooms.runtime.service.sites.get(listed.subject.epr)
        if site is None or listed.way == COPY:
            raise NotAllowed("this step stands in the EPR: complete it there", issue="forbidden")
        try:
            completion = _completion(form, viewer, self._rooms.calendar)
            version = int(form.get("version", "0")) if form.get("version", "").isdecimal() else 0
            await self._rooms.witness.saw(request, viewer, "complete", [listed.subject], what=[reference])
            await complete(self._store, site, reference, version, completion, self._rooms.runtime.clock)
        except Overtaken:
            told = "Somebody changed this step since you opened it. Look at it again before you complete it."
            return await self._item(request, viewer, await self._listed(reference), error=told)
        except SenderError as error:
            return await self._item(request, viewer, listed, error=f"{error.message}.", said=form)
        self._rooms.runtime.woken.set()
        return RedirectResponse(f"/items/{reference}?done", SEE_OTHER)

    async def _item(
        self, request: Request, viewer: Viewer, listed: Listed, *, error: str = "", said: dict[str, str] | None = None
    ) -> Response:
        who = (await identities(self._store, [listed.subject]))[listed.subject]
        now = self._rooms.calendar.local(self._rooms.runtime.clock.now())
        history = await self._store.worklist.history(listed.reference)
        why = await self._why(listed)
        await self._rooms.witness.saw(request, viewer, "look", [listed.subject], what=[listed.reference])
        form = {"date": now.date().isoformat(), "time": f"{now:%H:%M}", "status": "completed"} | (said or {})
        return self._rooms.page(
            "item",
            viewer,
            request,
            status=HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK,
            listed=listed,
            resource=listed.resource,
            who=who,
            due=due_of(listed.resource),
            role=role_of(listed.resource),
            history=history,
            why=why,
            letter=bool(_letter_in(listed.resource)),
            here=listed.way != COPY,
            completable=listed.way != COPY and _is_open_task(listed),
            outcomes=OUTCOMES,
            form=form,
            error=error,
            done="done" in request.query_params,
            now=now,
        )

    async def _listed(self, reference: str) -> Listed:
        listed = await self._store.worklist.read(reference)
        if listed is None or listed.subject.epr not in self._rooms.runtime.service.sites:
            raise NotKnown("nothing of that name was written")
        return listed

    async def _why(self, listed: Listed) -> list[Listed]:
        """The Provenances of the thing, the oldest first."""
        subject = listed.subject
        wanted = Wanted(types=("Provenance",), eprs=(subject.epr,), patients=(subject.patient,))
        named = {listed.reference, listed.told} - {""}
        return [
            one
            for one in await self._store.worklist.search(wanted, limit=10_000)
            if any(target.get("reference") in named for target in one.resource.get("target", []))
        ]


def _letter_in(resource: Resource) -> bytes:
    """The PDF that a Communication carries; b"" where it carries none, or what stands there is none."""
    for payload in resource.get("payload", []) if resource["resourceType"] == "Communication" else ():
        attached = payload.get("contentAttachment", {})
        if attached.get("contentType") == "application/pdf":
            try:
                pdf = b64decode(attached.get("data", ""), validate=True)
            except ValueError:
                continue
            if pdf.startswith(b"%PDF-"):
                return pdf
    return b""


def _is_open_task(listed: Listed) -> bool:
    return listed.resource["resourceType"] == "Task" and listed.resource.get("status") in OPEN


def _completion(form: dict[str, str], viewer: Viewer, calendar: Calendar) -> Completion:
    """What the form says.

    Raises:
        SenderError: the date or the time cannot be, or no outcome was chosen.
    """
    status = form.get("status", "")
    outcome = form.get("outcome", "")
    if status == "completed" and not outcome:
        raise SenderError("Choose what came of it", place="outcome", issue="required")
    try:
        day, clock = date.fromisoformat(form.get("date", "")), time.fromisoformat(form.get("time", ""))
    except ValueError:
        raise SenderError("Say on which day and at what time it was done", place="date", issue="value") from None
    by = f"{viewer.name} ({viewer.role})" if viewer.role else viewer.name
    return Completion(
        by=by,
        status=status,
        outcome=outcome,
        note=form.get("note", "").strip()[:_MOST_NOTE],
        happened=calendar.instant(datetime.combine(day, clock)),
    )
