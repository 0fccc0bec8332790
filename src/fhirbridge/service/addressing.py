"""To whom a new Communication goes and how: through the EPR alone, through a channel, or to nobody who is known.

What nobody can be found for is not dropped: it waits, and the team is asked to find somebody. Without `Addressing`, as
in a dry run, every Communication counts as handed over when it is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.deliveries import Recipient, Stage
from fhirbridge.core.effects import Addressed, AnyEffect, HandedOver, Unaddressed
from fhirbridge.fhir.directory import NO_PRACTICE, Contact

EPR = "epr"


class Way(Struct, frozen=True):
    """What a channel's deliveries have to come to, and within which period of the hand-over."""

    awaits: Stage
    within: str


class Addressing(Struct, frozen=True, kw_only=True):
    """The channels that are set up, by name, and the period in which a person has to see to what has gone wrong."""

    ways: Mapping[str, Way] = {}
    chase: str = "1WD"


def addressed(
    identity: str, role: str, contacts: Iterable[Contact], addressing: Addressing | None, now: datetime
) -> tuple[AnyEffect, ...]:
    """What becomes of a Communication to whoever holds `role`: who can be reached is, and else it has nobody."""
    if addressing is None:
        return (HandedOver(identity=identity, at=now),)
    effects: list[AnyEffect] = []
    lacking: list[str] = []
    for contact in contacts:
        channel = contact.channel or (EPR if contact.resolved else "")
        if why := _lacking(contact, channel, role, addressing):
            lacking.append(why)
        elif channel == EPR:
            effects.append(HandedOver(identity=identity, at=now))
        else:
            way = addressing.ways[channel]
            to = _recipient(contact, channel, role)
            effects.append(
                Addressed(
                    identity=identity, at=now, to=to, awaits=way.awaits, within=way.within, chase=addressing.chase
                )
            )
    if effects:
        return tuple(dict.fromkeys(effects))
    return (Unaddressed(identity=identity, at=now, why=" ".join(dict.fromkeys(lacking)), chase=addressing.chase),)


def _lacking(contact: Contact, channel: str, role: str, addressing: Addressing) -> str:
    """Why the contact cannot be reached; empty where they can."""
    if not channel:
        if contact.ods in NO_PRACTICE:
            return f"The practice of the patient is not known ({contact.ods})."
        return f"Nobody is known who is “{contact.display}”."
    if channel == EPR:
        return ""
    if channel not in addressing.ways:
        return f"“{contact.display}” is reached by {channel}, which is not set up here."
    if channel == "post" and not contact.address and role != "patient":
        return f"No postal address is known of “{contact.display}”."
    if channel == "fhir" and not contact.endpoint:
        return f"No FHIR endpoint is known of “{contact.display}”."
    if channel == "mesh" and not (contact.mailbox or contact.ods or role == "gp"):
        return f"No MESH mailbox is known of “{contact.display}”."
    return ""


def _recipient(contact: Contact, channel: str, role: str) -> Recipient:
    return Recipient(
        name=contact.reference or (f"ods:{contact.ods}" if contact.ods else role),
        shown=contact.display,
        role=role,
        channel=channel,
        ods=contact.ods or "",
        mailbox=contact.mailbox,
        endpoint=contact.endpoint,
        address=contact.address,
        telephone=contact.telephone,
    )
