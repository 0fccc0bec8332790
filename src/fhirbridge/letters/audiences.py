"""Who reads a letter, by role, and what it tells them about the patient: only what they need to know whom it is about.

A person is written to about themselves. Family know who is meant by the name. Health services find a record by the NHS
number; agencies have none. Those who safeguard have to find the person and the home. Services around a child learn who
the parent is and where the family lives, and nothing of their care. A board is told of an event, not of a person.
Staff of the service itself read it in the EPR: they get the words, and no letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Audience(StrEnum):
    """A kind of reader."""

    PATIENT = "patient"
    FAMILY = "family"
    GP = "gp"
    REFERRER = "referrer"
    AGENCY = "agency"
    AUTHORITY = "authority"
    """Bodies that owe or pay for care."""
    SAFEGUARDING = "safeguarding"
    CHILD_SERVICES = "child-services"
    BOARD = "board"
    STAFF = "staff"


ROLES: Mapping[str, Audience] = MappingProxyType(
    {
        "patient": Audience.PATIENT,
        "family": Audience.FAMILY,
        "gp": Audience.GP,
        "referrer": Audience.REFERRER,
        "agency": Audience.AGENCY,
        "housing": Audience.AGENCY,
        "commissioner": Audience.AUTHORITY,
        "local-authority": Audience.AUTHORITY,
        "local-authority-safeguarding": Audience.SAFEGUARDING,
        "named-safeguarding-nurse": Audience.SAFEGUARDING,
        "safeguarding-children": Audience.SAFEGUARDING,
        "safeguarding-lead": Audience.SAFEGUARDING,
        "health-visitor": Audience.CHILD_SERVICES,
        "school-nurse": Audience.CHILD_SERVICES,
        "child-gp": Audience.CHILD_SERVICES,
        "education": Audience.CHILD_SERVICES,
        "board-member": Audience.BOARD,
        "regulator": Audience.BOARD,
    }
)
"""The audience of every role outside the team; every other role is staff."""

TOLD: Mapping[Audience, tuple[str, ...]] = MappingProxyType(
    {
        Audience.PATIENT: (),
        Audience.FAMILY: ("name",),
        Audience.GP: ("name", "born", "nhs-number", "address"),
        Audience.REFERRER: ("name", "born", "nhs-number"),
        Audience.AGENCY: ("name", "born"),
        Audience.AUTHORITY: ("name", "born", "nhs-number"),
        Audience.SAFEGUARDING: ("name", "born", "nhs-number", "address"),
        Audience.CHILD_SERVICES: ("name", "born", "address"),
        Audience.BOARD: (),
        Audience.STAFF: ("name", "born", "nhs-number"),
    }
)
"""What each audience is told of the person it is about."""

GREETINGS: Mapping[Audience, str] = MappingProxyType(
    {
        Audience.PATIENT: "Dear {recipient}",
        Audience.FAMILY: "Dear {recipient}",
    }
)
"""How people are greeted; whoever reads it for an organisation is greeted as a colleague."""

COLLEAGUE = "Dear colleague"


def audience_of(role: str) -> Audience:
    """Whom a letter to this role is read by."""
    return ROLES.get(role, Audience.STAFF)


def is_letter(role: str) -> bool:
    """Whether what this role is told goes out as a letter, beside the words in the EPR."""
    return audience_of(role) is not Audience.STAFF
