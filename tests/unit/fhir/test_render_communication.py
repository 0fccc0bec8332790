"""Who is told, through which medium, and what counts as sent."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fhirbridge.core.decision import Create, Withdraw
from fhirbridge.core.effects import Withdrawal
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir import canonical
from fhirbridge.fhir.render import render
from tests.unit.fhir.writes import LATER, LETTER, NOTICE, NOW, PLAN, SETTING, thing


def to(role: str) -> Create:
    return Create(replace(NOTICE, key=replace(NOTICE.key, role=role)))


def test_sent_is_when_it_was_handed_over() -> None:
    kept, handed = (render(Create(LETTER), replace(SETTING, handed_over=over)).resource for over in (False, True))
    assert (kept["status"], kept.get("sent")) == ("preparation", None)
    assert (handed["status"], handed["sent"]) == ("completed", "2026-03-28T10:05:00+00:00")


@pytest.mark.parametrize(
    ("role", "recipient"),
    [
        ("patient", {"reference": "Patient/p1", "display": "Patient"}),
        ("gp", {"reference": "Organization/gp1", "display": "Registered GP practice"}),
        (
            "agency",
            {
                "type": "Organization",
                "identifier": {"system": canonical.ODS_CODE, "value": "RXE01"},
                "display": "Housing team",
            },
        ),
        ("lead-professional", {"reference": "CareTeam/north", "display": "North team, duty desk"}),
        ("school-nurse", {"display": "School nurse"}),
    ],
)
def test_the_recipient_is_as_near_as_it_is_known(role: str, recipient: dict[str, object]) -> None:
    message = render(to(role), SETTING).resource
    assert message["recipient"] == [recipient]
    assert message["extension"] == [{"url": canonical.RECIPIENT_ROLE, "valueCode": role}]


def test_everybody_who_holds_the_role_is_told() -> None:
    both = replace(SETTING, holders={"gp": ("Organization/gp1", "Practitioner/gp2")})
    recipients = render(to("gp"), both).resource["recipient"]
    assert [each["reference"] for each in recipients] == ["Organization/gp1", "Practitioner/gp2"]


@pytest.mark.parametrize(("medium", "code"), [("post", "MAILWRIT"), ("email", "EMAILWRIT"), (None, "WRITTEN")])
def test_the_medium_is_that_of_the_policy(medium: str | None, code: str) -> None:
    message = render(Create(replace(LETTER, medium=medium)), SETTING).resource
    assert message["medium"][0]["coding"][0]["code"] == code


def test_a_medium_nobody_knows_is_told_to_whoever_wrote_the_pack() -> None:
    with pytest.raises(ConfigurationError, match="unknown medium 'pigeon': use one of post, "):
        render(Create(replace(LETTER, medium="pigeon")), SETTING)


def test_it_is_about_the_plan_else_the_trigger() -> None:
    planned = render(Create(replace(NOTICE, plan=PLAN)), SETTING)
    assert planned.resource["about"] == [{"reference": f"urn:uuid:{PLAN}", "type": "CarePlan"}]
    assert planned.depends == (PLAN,)
    assert render(Create(NOTICE), SETTING).resource["about"] == [{"reference": "Appointment/a2"}]


def test_what_is_withdrawn_was_not_done_unless_it_had_begun() -> None:
    unsent = render(Withdraw(thing(LETTER), Withdrawal.RE_ENGAGED), LATER).resource
    begun = render(Withdraw(thing(LETTER, sent=NOW), Withdrawal.RE_ENGAGED), LATER).resource
    assert (unsent["status"], begun["status"]) == ("not-done", "stopped")
    assert unsent["statusReason"]["coding"][0]["code"] == "re-engaged"
