"""Who stands behind a role: the directory of teams and recipients, frozen.

A policy says `team-manager` or `gp`; an EPR wants a reference. Three sources know, the nearest first: the patient's own
record (GP, referrer, care team), the directory's entry for the team that has the case, and the directory's entry for
everybody. A role that none of them resolves stays a role with words for a person to read: nothing is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from fhirbridge.core.facts import Person, Referral, Team
from fhirbridge.errors import ConfigurationError
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

_ODS = re.compile(r"[A-Z0-9]{3,10}")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


class Contact(Struct, frozen=True, forbid_unknown_fields=True):
    """Who holds a role: a `reference` in the EPR (`Type/id`), or an organisation by its ODS code, or words alone."""

    display: str = ""
    reference: str | None = None
    ods: str | None = None
    medium: str | None = None

    @property
    def resolved(self) -> bool:
        """Whether it names somebody, rather than only describing them."""
        return bool(self.reference or self.ods)

    def as_reference(self) -> dict[str, Any]:
        """The R4 Reference to it: literal, by identifier, or by display alone."""
        if self.reference:
            return {"reference": self.reference, "display": self.display}
        if self.ods:
            identifier = {"system": canonical.ODS_CODE, "value": self.ods}
            return {"type": "Organization", "identifier": identifier, "display": self.display}
        return {"display": self.display}


class TeamEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One team: the keys of the services whose cases are its own (as facts carry them), and who holds which role."""

    name: str
    services: tuple[str, ...]
    roles: dict[str, Contact] = {}


class Directory(Struct, frozen=True, forbid_unknown_fields=True):
    """Teams and their role holders; `roles` are the entries for cases of any team."""

    roles: dict[str, Contact] = {}
    teams: tuple[TeamEntry, ...] = ()

    def resolve(self, role: str, services: tuple[str, ...] = ()) -> Contact:
        """Who holds `role` in a case that has these service keys.

        The team's entry fills in before the general one, element by element; the result always has a display.
        """
        general = self.roles.get(role, Contact())
        team = next((team for team in self.teams if set(team.services) & set(services)), None)
        own = team.roles.get(role, Contact()) if team else Contact()
        named = own if own.resolved else general
        return Contact(
            display=own.display or general.display or display(role),
            reference=named.reference,
            ods=named.ods,
            medium=own.medium or general.medium,
        )


def read_directory(data: Mapping[str, object], place: str) -> Directory:
    """Read a directory from what its YAML file holds.

    Raises:
        ConfigurationError: An unknown key, a reference R4 does not allow, an odd ODS code, an unknown medium, or a
            service that two teams claim; `place` (the file) is named with it.
    """
    try:
        directory = msgspec.convert(data, Directory)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"{error}: mappings/uk-core/directory.yaml shows what a directory holds", place=place
        ) from error
    for role, contact in directory.roles.items():
        _check(contact, f"{place}: roles.{role}")
    claimed: dict[str, str] = {}
    for team in directory.teams:
        for role, contact in team.roles.items():
            _check(contact, f"{place}: team {team.name!r}, roles.{role}")
        for service in team.services:
            if service in claimed:
                message = (
                    f"both {claimed[service]!r} and {team.name!r} claim service {service}: leave it to one of them"
                )
                raise ConfigurationError(message, place=place)
            claimed[service] = team.name
    return directory


def record_holders(
    person: Person | None = None, referral: Referral | None = None, team: Team | None = None
) -> dict[str, tuple[str, ...]]:
    """Role holders that the patient's own record names: GP, referrer, and whoever the care team lists by role."""
    holders: dict[str, tuple[str, ...]] = {}
    for pair in team.holders if team else ():
        role, _, reference = pair.partition("=")
        holders[role] = (*holders.get(role, ()), reference)
    if person and person.practitioners:
        holders["gp"] = person.practitioners
    if referral and referral.requester:
        holders["referrer"] = (referral.requester,)
    return {role: kept for role, references in holders.items() if (kept := tuple(filter(addressable, references)))}


def addressable(reference: str) -> bool:
    """Whether R4 lets this be a Task's owner and a Communication's recipient."""
    kind, _, identifier = reference.partition("/")
    return kind in ADDRESSABLE and _ID.fullmatch(identifier) is not None


def _check(contact: Contact, place: str) -> None:
    if contact.reference and not addressable(contact.reference):
        allowed = ", ".join(sorted(ADDRESSABLE))
        raise ConfigurationError(f"{contact.reference!r} must be Type/id, with Type one of {allowed}", place=place)
    if contact.ods and not _ODS.fullmatch(contact.ods):
        raise ConfigurationError(f"{contact.ods!r} is no ODS code: write 3 to 10 capitals and digits", place=place)
    if contact.reference and contact.ods:
        raise ConfigurationError("gives both a reference and an ODS code: keep the one the EPR knows", place=place)
    if contact.medium and contact.medium not in MEDIA:
        raise ConfigurationError(f"unknown medium {contact.medium!r}: use one of {', '.join(MEDIA)}", place=place)
