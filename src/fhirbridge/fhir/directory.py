"""Who stands behind a role: the directory of teams and recipients, frozen.

A policy says `team-manager` or `gp`; an EPR wants a reference. Three sources know, the nearest first: the patient's own
record (GP, referrer, care team), the directory's entry for the team that has the case, and the directory's entry for
everybody. A role that none of them resolves stays a role with words for a person to read: nothing is dropped. How those
are reached whom the record names, the directory knows by their ODS code or their reference in the EPR.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.facts import Person, Referral, Team
from fhirbridge.fhir import canonical
from fhirbridge.fhir.wording import display

ADDRESSABLE = frozenset(
    {
        "CareTeam",
        "Device",
        "HealthcareService",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "RelatedPerson",
    }
)
"""Types that R4 allows both as Task.owner and as Communication.recipient."""

MEDIA: Mapping[str, tuple[str, str]] = {
    "post": ("MAILWRIT", "mail"),
    "email": ("EMAILWRIT", "email"),
    "online": ("ONLINEWRIT", "online written"),
    "phone": ("PHONE", "telephone"),
    "electronic": ("ELECTRONIC", "electronic data"),
    "written": ("WRITTEN", "written"),
}
"""Media that packs and directories may name, with code and display in v3-ParticipationMode."""

CHANNELS = ("epr", "post", "fhir", "mesh")
"""How a recipient can be reached; for `epr`, the Communication in the EPR is enough."""

NO_PRACTICE = frozenset({"V81997", "V81998", "V81999"})
"""ODS codes that stand for no practice: none registered, not applicable, not known (NHS Data Dictionary)."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY = "holiday"

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_MIDNIGHT = "00:00"


class Shift(Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}):
    """When somebody else holds the role, by the local clock: who is on call.

    `days` are those on which it begins, `mon` to `sun` or `holiday`, which goes before the day of the week; `from` and
    `until` are `HH:MM`, and an `until` that is not later means the next day.
    """

    days: tuple[str, ...]
    start: str = _MIDNIGHT
    until: str = _MIDNIGHT
    display: str = ""
    reference: str | None = None
    telephone: str = ""

    def covers(self, wall: datetime, is_holiday: Callable[[date], bool]) -> bool:
        """Whether the local time `wall` lies in it."""
        time, today = f"{wall:%H:%M}", wall.date()
        over_midnight = self.until <= self.start
        if self._begins(today, is_holiday) and self.start <= time and (over_midnight or time < self.until):
            return True
        return over_midnight and time < self.until and self._begins(today - timedelta(days=1), is_holiday)

    def _begins(self, day: date, is_holiday: Callable[[date], bool]) -> bool:
        return (HOLIDAY if is_holiday(day) and HOLIDAY in self.days else DAYS[day.weekday()]) in self.days


class Contact(Struct, frozen=True, forbid_unknown_fields=True):
    """Who holds a role, and how to reach them.

    A `reference` in the EPR (`Type/id`), or an organisation by its ODS code, or words alone. `channel` is how: a MESH
    `mailbox`, a FHIR `endpoint` (base URL), a postal `address` (its lines). Without a channel, who is named is reached
    by the Communication in the EPR.
    """

    display: str = ""
    reference: str | None = None
    ods: str | None = None
    medium: str | None = None
    channel: str | None = None
    mailbox: str = ""
    endpoint: str = ""
    address: tuple[str, ...] = ()
    telephone: str = ""
    rota: tuple[Shift, ...] = ()

    @property
    def resolved(self) -> bool:
        """Whether it names somebody, rather than only describing them."""
        return bool(self.reference or (self.ods and self.ods not in NO_PRACTICE))

    def as_reference(self) -> dict[str, Any]:
        """The R4 Reference to it: literal, by identifier, or by display alone."""
        if self.reference:
            return {"reference": self.reference, "display": self.display}
        if self.ods and self.resolved:
            identifier = {"system": canonical.ODS_CODE, "value": self.ods}
            return {"type": "Organization", "identifier": identifier, "display": self.display}
        return {"display": self.display}


class Organisation(Struct, frozen=True, forbid_unknown_fields=True):
    """An organisation that patients' records name, by its ODS code, or by one of its `references` in the EPR."""

    ods: str
    name: str
    references: tuple[str, ...] = ()
    medium: str | None = None
    channel: str | None = None
    mailbox: str = ""
    endpoint: str = ""
    address: tuple[str, ...] = ()
    telephone: str = ""


class TeamEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One team: the keys of the services whose cases are its own (as facts carry them), and who holds which role."""

    name: str
    services: tuple[str, ...]
    roles: dict[str, Contact] = {}


class Directory(Struct, frozen=True, forbid_unknown_fields=True):
    """Teams and their role holders; `roles` are those of cases of any team, `organisations` those that records name."""

    roles: dict[str, Contact] = {}
    teams: tuple[TeamEntry, ...] = ()
    organisations: tuple[Organisation, ...] = ()

    def resolve(self, role: str, services: tuple[str, ...] = ()) -> Contact:
        """Who holds `role` in a case that has these service keys.

        The team's entry fills in before the general one, element by element; the result always has a display.
        """
        general = self.roles.get(role, Contact())
        team = next((team for team in self.teams if set(team.services) & set(services)), None)
        own = team.roles.get(role, Contact()) if team else Contact()
        named = own if own.resolved else general
        way = own if own.channel else general
        return self.reached(
            Contact(
                display=own.display or general.display or display(role),
                reference=named.reference,
                ods=named.ods,
                medium=own.medium or general.medium,
                channel=way.channel,
                mailbox=way.mailbox,
                endpoint=way.endpoint,
                address=way.address,
                telephone=own.telephone or general.telephone,
                rota=own.rota or general.rota,
            )
        )

    def reached(self, contact: Contact) -> Contact:
        """The contact with what is known of the organisation that it names; what it says itself goes before."""
        listed = self._organisation(contact)
        if listed is None:
            return contact
        way = contact if contact.channel else listed
        return replace(
            contact,
            display=listed.name,
            ods=contact.ods or listed.ods,
            medium=contact.medium or listed.medium,
            channel=way.channel,
            mailbox=way.mailbox or listed.mailbox,
            endpoint=way.endpoint or listed.endpoint,
            address=way.address or listed.address,
            telephone=contact.telephone or listed.telephone,
        )

    def _organisation(self, contact: Contact) -> Organisation | None:
        if not contact.reference and not contact.ods:
            return None
        named = (each for each in self.organisations if contact.reference in each.references)
        return next(named, None) or next((each for each in self.organisations if each.ods == contact.ods), None)


def on_duty(contact: Contact, wall: datetime, is_holiday: Callable[[date], bool]) -> Contact:
    """Who holds the role at this local time: the one on call in the first shift that covers it, else the contact."""
    shift = next((shift for shift in contact.rota if shift.covers(wall, is_holiday)), None)
    if shift is None:
        return contact
    return replace(
        contact,
        display=shift.display or contact.display,
        reference=shift.reference or (None if shift.display else contact.reference),
        ods=None if shift.reference or shift.display else contact.ods,
        telephone=shift.telephone or contact.telephone,
    )


def record_holders(
    person: Person | None = None, referral: Referral | None = None, team: Team | None = None
) -> dict[str, tuple[str, ...]]:
    """Role holders that the patient's own record names: GP, referrer, and whoever the care team lists by role."""
    holders: dict[str, tuple[str, ...]] = {}
    for pair in team.holders if team else ():
        role, _, reference = pair.partition("=")
        holders[role] = (*holders.get(role, ()), reference)
    if person and person.practitioners and person.practice not in NO_PRACTICE:
        holders["gp"] = person.practitioners
    if referral and referral.requester:
        holders["referrer"] = (referral.requester,)
    return {role: kept for role, references in holders.items() if (kept := tuple(filter(addressable, references)))}


def addressable(reference: str) -> bool:
    """Whether R4 lets this be a Task's owner and a Communication's recipient."""
    kind, _, identifier = reference.partition("/")
    return kind in ADDRESSABLE and _ID.fullmatch(identifier) is not None
