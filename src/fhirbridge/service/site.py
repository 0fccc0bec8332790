"""One EPR as the service sees it, and how its patients are named where no patient data may stand."""

from __future__ import annotations

import hashlib
import re
from typing import Protocol

from msgspec import Struct

from fhirbridge.channels import Practices
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.policy import Pack
from fhirbridge.errors import EprError
from fhirbridge.fhir.capability import Way
from fhirbridge.fhir.directory import Directory
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.letters import Stationery
from fhirbridge.ports import Epr, Subject
from fhirbridge.service.addressing import Addressing
from fhirbridge.service.assigning import Assigned, Assignment, Editions, no_editions
from fhirbridge.service.loops import Bounds

_REFERENCE = re.compile(r"\b([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}")
_NHS_NUMBER = re.compile(r"\b\d{3}[ -]?\d{3}[ -]?\d{4}\b")


class Policies(Assigned, Protocol):
    """As much of a site as a decision needs; a dry run has no EPR."""

    @property
    def calendar(self) -> Calendar:
        """Local time and working days."""
        ...

    @property
    def directory(self) -> Directory:
        """Who stands behind the roles."""
        ...

    @property
    def addressing(self) -> Addressing | None:
        """How they are reached; None where every Communication counts as handed over when it is decided."""
        ...


class Site(Struct, frozen=True, kw_only=True):
    """An EPR with everything that decides how its patients are treated.

    `packs` are the policies that apply to them, in order; where there are `assignments`, those of the service that a
    case belongs to instead. `editions` finds the older editions that running pathways stay with. `trust_payload`:
    believe what a notification carries where the EPR itself cannot be asked for it (an integration engine that only
    pushes). `stationery` is what letters are written on; without, they are words alone. `writes` are ways of writing
    a type that somebody has set, whatever the EPR says of itself. Beyond `bounds` it is taken to answer our writes.
    """

    epr: Epr
    mapping: Mapping
    packs: tuple[Pack, ...]
    calendar: Calendar = Calendar()
    directory: Directory = Directory()
    addressing: Addressing | None = None
    practices: Practices | None = None
    assignments: tuple[Assignment, ...] = ()
    editions: Editions = no_editions
    trust_payload: bool = False
    stationery: Stationery | None = None
    writes: dict[str, Way] = {}
    bounds: Bounds = Bounds()


def shown(subject: Subject) -> str:
    """A short name of the subject for logs: the same for the same patient, and nothing about them."""
    return hashlib.sha256(f"{subject.epr}\n{subject.patient}".encode()).hexdigest()[:12]


def said(error: Exception) -> str:
    """What an error says, for logs: without what an EPR said, ids of resources, and what looks like an NHS number."""
    words = str(error)
    if isinstance(error, EprError) and error.reason:
        words = words.replace(error.reason, "…")
    return nameless(words)


def nameless(words: str) -> str:
    """The words without ids of resources, and without what looks like an NHS number."""
    return _NHS_NUMBER.sub("…", _REFERENCE.sub(r"\1/…", words))
