"""The witness of every access: an AuditEvent is durable before anything is shown; where it cannot be, nothing is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.requests import Request

from fhirbridge.access import Viewer
from fhirbridge.fhir.audit_event import Access, Did, audit_event
from fhirbridge.ports import Audit, Clock, Subject
from fhirbridge.settings import Settings


class Witness:
    """Keeps who saw what. `clock` tells the machine's time, whatever time a demonstration plays in."""

    def __init__(self, audit: Audit, settings: Settings, clock: Clock) -> None:
        self._audit = audit
        self._settings = settings
        self._clock = clock

    async def saw(
        self,
        request: Request,
        viewer: Viewer,
        did: Did,
        subjects: Iterable[Subject] = (),
        *,
        what: Sequence[str] = (),
        query: str = "",
        refused: bool = False,
    ) -> None:
        """Record one access to these patients' data.

        Raises:
            StoreUnavailable: it could not be recorded; nothing may be shown.
        """
        access = Access(
            did=did,
            at=self._clock.now(),
            who=viewer.id,
            known_as=viewer.name,
            role=viewer.role,
            person=viewer.kind == "person",
            patients=tuple(dict.fromkeys(self._absolute(subject) for subject in subjects)),
            what=what,
            query=query,
            address=request.client.host if request.client else "",
            refused=refused,
        )
        await self._audit.record([audit_event(access)])

    def _absolute(self, subject: Subject) -> str:
        epr = self._settings.eprs.get(subject.epr)
        return f"{str(epr.base_url).rstrip('/')}/{subject.patient}" if epr else subject.patient
