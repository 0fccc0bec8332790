"""What the tests of letters write on, and what they write about. Nobody here is anybody."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fhirbridge.letters import Letterhead, Matter, Stationery
from fhirbridge.letters.templates import load_templates
from tests.shipped import CALENDAR

AT = datetime(2026, 3, 28, 10, 5, tzinfo=UTC)
LOGO = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 32"><rect width="80" height="32" fill="#005eb8"/></svg>'
)
HEAD = Letterhead(
    name="Test Trust",
    address=("Team base", "1 Test Road", "Testtown", "ZZ99 3VZ"),
    phone="01632 960001",
    hours="Monday to Friday, 9am to 5pm",
    crisis_phone="0808 157 0001",
    email="team@test.example",
    return_address=("PO Box 1", "Testtown"),
    signatory="The team",
    logo=LOGO,
    logo_format="svg",
    logo_says="Test Trust",
)
STATIONERY = Stationery(HEAD, load_templates(), CALENDAR)
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"use": "official", "prefix": ["Ms"], "given": ["Test"], "family": "Person"}],
    "birthDate": "1980-03-02",
    "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}],
    "address": [{"line": ["12 Test Street"], "city": "Testtown", "postalCode": "ZZ99 3WZ"}],
    "telecom": [{"system": "phone", "value": "01632 960555"}],
}


def matter(action: str = "opt-in-letter", role: str = "patient", **changes: Any) -> Matter:
    plain: dict[str, Any] = {
        "action": action,
        "role": role,
        "identity": "2e1d8e73-5a64-5f1d-8c2a-3b5c7e7a9b02",
        "message": "We missed you on Monday 2 March 2026.",
        "at": AT,
        "patient": PATIENT,
    }
    return Matter(**{**plain, **changes})
