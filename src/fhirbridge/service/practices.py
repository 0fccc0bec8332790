"""The GP practice of a patient whose record names none, looked up before anything is decided."""

from __future__ import annotations

import structlog
from msgspec.structs import replace

from fhirbridge.core.facts import Person
from fhirbridge.errors import ChannelUnavailable, ConfigurationError
from fhirbridge.ports import Known, Store, Subject
from fhirbridge.service.site import Site, said, shown

_log = structlog.get_logger(__name__)


async def with_practice(store: Store, site: Site, subject: Subject, known: Known) -> Known:
    """The same, the patient with the practice that was found; where none can be, the team will be asked."""
    people = [fact for fact in known.facts if isinstance(fact, Person)]
    if site.practices is None or not people or people[-1].practitioners or people[-1].practice:
        return known
    patient = await store.last(subject.epr, subject.patient)
    try:
        found = await site.practices.practice_of(patient.resource) if patient is not None else ""
    except (ChannelUnavailable, ConfigurationError) as error:
        _log.warning("a practice cannot be looked up", subject=shown(subject), why=said(error))
        return known
    if not found:
        return known
    facts = tuple(replace(fact, practice=found) if isinstance(fact, Person) else fact for fact in known.facts)
    return replace(known, facts=facts)
