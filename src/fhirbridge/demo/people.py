"""The sample caseload: who the people are, and what staff enter about them and when."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files

import msgspec
import yaml
from msgspec import Struct

from fhirbridge.core.calendar import Calendar
from fhirbridge.errors import Defect


class _Written(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    pass


class Relative(_Written, frozen=True, kw_only=True):
    """Somebody of the family; `relationship` is a v3-RoleCode."""

    name: str
    relationship: str
    telephone: str


class Event(_Written, frozen=True, kw_only=True):
    """What staff enter at the local time `at`.

    Either what became of the appointment with that local start, or the outcome of the service's open Task with the
    action `answered`, or what the patient `wrote`.
    """

    at: str
    missed: str | None = None
    attended: str | None = None
    booked: str | None = None
    cancelled_by_provider: str | None = None
    answered: str | None = None
    outcome: str | None = None
    wrote: str | None = None


class Person(_Written, frozen=True, kw_only=True):
    """One patient; see the caseload file for the words."""

    id: str
    name: str
    nhs_number: str
    born: str
    address: str
    """Street, town and postcode, between commas."""
    story: str
    seen: str | None = None
    referred: str | None = None
    risk: str | None = None
    relative: Relative | None = None
    shares_nothing: bool = False
    unknown_to_gp: bool = False
    """Whether the surgery on record says that it does not know them."""
    events: tuple[Event, ...]


class Caseload(_Written, frozen=True, kw_only=True):
    """The people of one service, and the local times between which the story plays."""

    service: str
    begins: str
    ends: str
    people: tuple[Person, ...]


def read_caseload() -> Caseload:
    """The caseload that ships.

    Raises:
        Defect: it is not what it should be.
    """
    text = (files("fhirbridge.demo") / "caseload" / "community.yaml").read_text(encoding="utf-8")
    try:
        return msgspec.convert(yaml.safe_load(text), Caseload)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise Defect(f"the sample caseload cannot be read: {error}") from error


def instant(local: str, calendar: Calendar) -> datetime:
    """The UTC instant of a local time such as `2026-03-02 08:00`."""
    return calendar.instant(datetime.fromisoformat(local))
