"""A letter about nobody, to look at: every field has a value, none of them is anybody's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fhirbridge.letters.audiences import Audience, audience_of
from fhirbridge.letters.discharge import HEADINGS, unfilled
from fhirbridge.letters.letter import Letter, Section
from fhirbridge.letters.writing import Matter, Stationery, write

AT = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
PATIENT = {
    "resourceType": "Patient",
    "id": "sample",
    "name": [{"use": "official", "prefix": ["Ms"], "given": ["Sam"], "family": "Sample"}],
    "birthDate": "1980-03-02",
    "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}],
    "address": [{"line": ["Flat 2", "12 Sample Street"], "city": "Sampleton", "postalCode": "ZZ99 3WZ"}],
}
MESSAGE = "We missed you on Monday 2 March 2026. What the policy says has to be told stands here."
_RECIPIENTS = {Audience.FAMILY: "Mx Alex Sample", Audience.GP: "Sample Practice"}
PLANS = {
    "crisis-plan": (
        "What tells me that I am becoming unwell: I sleep little, and I stop answering the phone.",
        "What helps: a walk, music, calling my sister.",
        "Whom I call: the crisis line on this page, at any time.",
    ),
    "safety-plan": ("We agreed that Sam calls the crisis line when the thoughts come back, and stays with a friend.",),
    "plan": ("A nurse visits on Thursday. If nobody is at home, the team tries again on Friday.",),
}


def sample(action: str, role: str, stationery: Stationery, message: str = MESSAGE) -> Letter:
    """The letter that this action would send to this role, about nobody.

    Raises:
        ConfigurationError: no text is written for it.
    """
    audience = audience_of(role)
    itself = audience is Audience.PATIENT
    return write(
        Matter(
            action=action,
            role=role,
            identity="5a3b1e00-0000-5000-8000-000000000000",
            message=message,
            at=AT,
            patient=PATIENT,
            recipient="" if itself else _RECIPIENTS.get(audience, "Sample Service"),
            address=() if itself else ("1 High Street", "Sampleton", "ZZ99 3WZ"),
            reply_by=AT + timedelta(weeks=3),
            plans=PLANS,
            headings=_headings() if action == "discharge-notice" and audience is Audience.GP else (),
        ),
        stationery,
    )


def _headings() -> tuple[Section, ...]:
    filled = {
        "Patient demographics": "Ms Sam Sample; born 2 March 1980; NHS number 999 000 0018.",
        "GP practice": "Sample Practice",
        "Person completing record": "Written from the record, without a person's hand, for the team.",
        "Discharge details": "The episode of care ended on Friday 13 March 2026. No appointment was attended.",
        "Distribution list": "GP, agency, family and patient.",
    }
    held = [Section(heading=h.title, code=h.code, paragraphs=(filled[h.title],)) for h in HEADINGS if h.title in filled]
    return (*held, *(unfilled(heading) for heading in HEADINGS if heading.title not in filled))
