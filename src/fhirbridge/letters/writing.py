"""write(matter, stationery): from what has to be told, and to whom, to the letter. Pure.

A letter says no more about the patient than its reader needs (`audiences`); what the record does not hold is named, and
never made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.calendar import Calendar
from fhirbridge.fhir.r4 import Resource
from fhirbridge.letters import people
from fhirbridge.letters.audiences import COLLEAGUE, GREETINGS, TOLD, Audience, audience_of
from fhirbridge.letters.letter import Letter, Letterhead, Section
from fhirbridge.letters.templates import Part, Template, Templates, fields_in

_WHO = {Audience.CHILD_SERVICES: "Parent or carer", Audience.FAMILY: "About"}
"""What the name stands beside, where "Name" would not say whose it is."""
_LABELS = {"name": "Name", "born": "Date of birth", "nhs-number": "NHS number", "address": "Address"}
_REFERENCE = 8
"""Letters and digits of the identity that make a reference: enough to find it, nothing about anybody."""

_ABSENT = {
    "crisis-plan": "Crisis contingency plan",
    "safety-plan": "Safety plan",
    "plan": "",
}
"""Plans that have to be enclosed by a person where their words are not in the record; "" where the reader is to ask."""


class Stationery(Struct, frozen=True):
    """What all letters of a service have in common."""

    letterhead: Letterhead
    templates: Templates
    calendar: Calendar = Calendar()


class Matter(Struct, frozen=True, kw_only=True):
    """What one letter is about.

    `message` is the policy's text with its dates filled in; `identity` that of the Communication. `recipient` and
    `address` are what is known of whom it goes to; `patient` is the Patient resource, None where it is not known.
    `plans` gives the words of each plan that is on record, none where they cannot be read; `headings` are those of the
    discharge summary.
    """

    action: str
    role: str
    identity: str
    message: str
    at: datetime
    patient: Resource | None = None
    recipient: str = ""
    address: tuple[str, ...] = ()
    reply_by: datetime | None = None
    plans: Mapping[str, tuple[str, ...]] = {}
    headings: tuple[Section, ...] = ()


def write(matter: Matter, stationery: Stationery) -> Letter:
    """The letter to one recipient.

    Raises:
        ConfigurationError: no text is written for this action and audience.
    """
    audience = audience_of(matter.role)
    template = stationery.templates.of(matter.action, audience, died=people.has_died(matter.patient))
    head = stationery.letterhead
    values = _values(matter, stationery)
    recipient = matter.recipient or (people.name_of(matter.patient) if audience is Audience.PATIENT else "")
    address = matter.address or (people.address_of(matter.patient) if audience is Audience.PATIENT else ())
    return Letter(
        action=matter.action,
        role=matter.role,
        audience=audience.value,
        title=template.title.format_map(values),
        on=matter.at,
        date=stationery.calendar.on_date(matter.at),
        reference=matter.identity.replace("-", "")[:_REFERENCE].upper(),
        recipient=tuple(filter(None, map(people.clean, (recipient, *address)))),
        about=tuple(_about(audience, matter.patient)),
        greeting=_greeting(audience, recipient),
        sections=tuple(_sections(template, matter, audience, values)),
        closing=template.closing.format_map(values),
        letterhead=head,
        enclosures=tuple(_enclosures(template, matter, audience)),
    )


def _values(matter: Matter, stationery: Stationery) -> dict[str, str]:
    head = stationery.letterhead
    return {
        "message": matter.message.strip(),
        "patient": people.name_of(matter.patient) or "the patient",
        "reply_by": stationery.calendar.on_date(matter.reply_by) if matter.reply_by else "",
        "trust": head.name,
        "phone": head.phone,
        "hours": head.hours,
        "email": head.email,
        "website": head.website,
        "crisis_phone": head.crisis_phone,
    }


def _about(audience: Audience, patient: Resource | None) -> Iterator[tuple[str, str]]:
    known = {
        "name": people.name_of(patient),
        "born": people.born(patient),
        "nhs-number": people.nhs_number_of(patient),
        "address": ", ".join(people.address_of(patient)),
    }
    for field in TOLD[audience]:
        label = _WHO.get(audience, _LABELS[field]) if field == "name" else _LABELS[field]
        yield label, known[field] or "not held in the record"


def _greeting(audience: Audience, recipient: str) -> str:
    greeting = GREETINGS.get(audience, COLLEAGUE)
    if "{recipient}" not in greeting:
        return greeting
    return greeting.format(recipient=recipient) if recipient else "Hello"


def _sections(template: Template, matter: Matter, audience: Audience, values: Mapping[str, str]) -> Iterator[Section]:
    for part in template.body:
        if part.only and audience not in part.only:
            continue
        if part.include == "discharge-headings":
            yield from matter.headings
            continue
        paragraphs = _said(part.says, values)
        items = _said(part.items, values)
        if part.include in matter.plans:
            paragraphs = (*paragraphs, *(matter.plans[part.include] or _instead(part, values)))
        if paragraphs or items:
            yield Section(heading=part.heading.format_map(values), paragraphs=paragraphs, items=items)


def _instead(part: Part, values: Mapping[str, str]) -> Iterator[str]:
    """What stands where a plan's words are not in the record."""
    if _ABSENT[part.include]:
        yield f"Your copy comes with this letter. If it is not there, please ring us on {values['phone']}."
    else:
        yield f"Please ring us on {values['phone']}, and we will go through it with you."


def _enclosures(template: Template, matter: Matter, audience: Audience) -> Iterator[str]:
    for part in template.body:
        wanted = not part.only or audience in part.only
        if wanted and matter.plans.get(part.include) == () and _ABSENT[part.include]:
            yield _ABSENT[part.include]


def _said(texts: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    """The texts with their fields filled in; those that name a field without a value are left out."""
    said: list[str] = []
    for text in texts:
        if all(values[name] for name in fields_in(text)):
            said += (clean for part in text.format_map(values).split("\n\n") if (clean := people.clean(part)))
    return tuple(said)
