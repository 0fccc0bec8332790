"""Who stands behind a role, and what a wrong directory is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from fhirbridge.core.facts import Person, Referral, Source, Team
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.directory import Contact, Directory, read_directory, record_holders
from fhirbridge.fhir.wording import display, sentences
from fhirbridge.shipped import folder

KNOWN = datetime(2026, 3, 1, tzinfo=UTC)
TWO_TEAMS: dict[str, Any] = {
    "roles": {"team-manager": {"display": "Team manager", "reference": "Practitioner/any", "medium": "email"}},
    "teams": [
        {
            "name": "North",
            "services": ["HealthcareService/n"],
            "roles": {"team-manager": {"reference": "Practitioner/n"}},
        },
        {"name": "South", "services": ["HealthcareService/s"], "roles": {"team-manager": {"display": "Ask for Jo"}}},
    ],
}


def test_the_shipped_directory_is_sound() -> None:
    path = folder("mappings") / "uk-core" / "directory.yaml"
    directory = read_directory(yaml.safe_load(path.read_text()), str(path))
    assert directory.resolve("gp").display == "Registered GP practice"
    assert not directory.resolve("team-manager").resolved, (
        "no EPR has the example's resources unless it has its service"
    )
    assert directory.resolve("team-manager", ("HealthcareService/example-community-team",)).resolved


def test_the_teams_own_entry_comes_first_element_by_element() -> None:
    directory = read_directory(TWO_TEAMS, "directory.yaml")
    north = Contact(display="Team manager", reference="Practitioner/n", medium="email")
    assert directory.resolve("team-manager", ("HealthcareService/x", "HealthcareService/n")) == north
    assert directory.resolve("team-manager", ("HealthcareService/s",)).display == "Ask for Jo"
    assert directory.resolve("team-manager", ("HealthcareService/s",)).reference == "Practitioner/any"
    assert directory.resolve("team-manager").reference == "Practitioner/any"
    assert directory.resolve("mdt-lead") == Contact(display="MDT lead")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"role": {}}, "unknown field `role`"),
        ({"roles": {"gp": {"phone": "1"}}}, "unknown field `phone`"),
        ({"roles": {"gp": {"reference": "Location/x"}}}, r"d\.yaml: roles\.gp: 'Location/x' must be Type/id"),
        ({"roles": {"gp": {"reference": "Organization/"}}}, "must be Type/id"),
        ({"roles": {"gp": {"ods": "rx"}}}, "'rx' is no ODS code"),
        ({"roles": {"gp": {"ods": "RX1", "reference": "Organization/x"}}}, "both a reference and an ODS code"),
        ({"teams": [{"name": "N", "services": [], "roles": {"gp": {"medium": "fax"}}}]}, "team 'N', roles.gp: unknown"),
        (
            {"teams": [{"name": n, "services": ["CareTeam/x"]} for n in "AB"]},
            "both 'A' and 'B' claim service CareTeam/x",
        ),
    ],
)
def test_a_wrong_directory_is_told_where_and_what(data: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read_directory(data, "d.yaml")


def test_the_record_names_holders_and_what_cannot_hold_a_role_is_left_out() -> None:
    source = Source("Patient", "p1", "1")
    person = Person(source=source, known=KNOWN, patient="Patient/p1", practitioners=("Organization/gp1",))
    referral = Referral(source=source, known=KNOWN, patient="Patient/p1", status="active", requester="Practitioner/r")
    team = Team(
        source=source,
        known=KNOWN,
        patient="Patient/p1",
        status="active",
        holders=("care-coordinator=Practitioner/c", "care-coordinator=Practitioner/d", "advocate=Observation/o"),
    )
    assert record_holders(person, referral, team) == {
        "care-coordinator": ("Practitioner/c", "Practitioner/d"),
        "gp": ("Organization/gp1",),
        "referrer": ("Practitioner/r",),
    }
    assert record_holders() == {}


def test_nobody_is_in_an_empty_directory() -> None:
    assert Directory().resolve("gp") == Contact(display="GP")


@pytest.mark.parametrize(
    ("code", "words"),
    [("contact-patient", "Contact patient"), ("child-gp", "Child GP"), ("mdtm-plan", "MDTM plan"), ("dna", "DNA")],
)
def test_codes_in_words(code: str, words: str) -> None:
    assert display(code) == words


def test_sentences_end_and_are_said_once() -> None:
    assert sentences(["Ring now", "", "Is it urgent?", "Ring now."]) == "Ring now. Is it urgent?"
