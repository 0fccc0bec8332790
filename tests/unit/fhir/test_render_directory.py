"""Who stands behind a role, and what a wrong directory is told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.facts import Person, Referral, Source, Team
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.directory import Contact, Directory, record_holders
from fhirbridge.fhir.directory_file import load_directory, read_directory
from fhirbridge.fhir.render import Rendering
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
    directory = load_directory(path)
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
        ({"role": {}}, r"d\.yaml:1: 'role' means nothing here"),
        ({"roles": {"gp": {"phone": "1"}}}, r"d\.yaml:3: roles.gp: Object contains unknown field `phone`"),
        ({"roles": {"gp": {"reference": "Location/x"}}}, r"d\.yaml:3: 'Location/x' must be Type/id"),
        ({"roles": {"gp": {"reference": "Organization/"}}}, "must be Type/id"),
        ({"roles": {"gp": {"ods": "rx"}}}, "'rx' is no ODS code"),
        ({"roles": {"gp": {"ods": "RX1", "reference": "Organization/x"}}}, "both a reference and an ODS code"),
        (
            {"teams": [{"name": "N", "services": [], "roles": {"gp": {"medium": "fax"}}}]},
            "unknown medium 'fax': use one of",
        ),
        (
            {"teams": [{"name": n, "services": ["CareTeam/x"]} for n in "AB"]},
            "both 'A' and 'B' claim service CareTeam/x",
        ),
    ],
)
def test_a_wrong_directory_is_told_where_and_what(data: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read_directory(data, "d.yaml")


PRACTICE: dict[str, Any] = {
    "ods": "A81001",
    "name": "Example Surgery",
    "references": ["Organization/gp1"],
    "channel": "mesh",
    "mailbox": "X26OT001",
    "telephone": "0161 496 0000",
}


@pytest.mark.parametrize(
    ("element", "complaint"),
    [
        ({"mailbox": "01614960000"}, r"d\.yaml:7: '01614960000' is a telephone number: write it as telephone"),
        ({"mailbox": "x26"}, "'x26' is no MESH mailbox: write capitals and digits"),
        ({"channel": "messh"}, r"d\.yaml:6: unknown channel 'messh': use one of epr, post, fhir, mesh.*mesh"),
        ({"channel": "post"}, r"d\.yaml:6: goes by post and has no address"),
        ({"channel": "fhir"}, "goes by fhir and has no endpoint"),
        ({"channel": "fhir", "endpoint": "http://gp.example/fhir"}, "is no https URL"),
        ({"channel": None}, r"d\.yaml:2: gives a mailbox and no channel: write channel: mesh"),
        ({"telephone": "call us"}, r"d\.yaml:8: 'call us' is no telephone number"),
        ({"ods": "V81999"}, r"d\.yaml:2: V81999 stands for a practice that is not known: leave it out"),
        ({"references": ["Location/x"]}, "must be Type/id"),
        ({"phone": "1"}, "unknown field `phone`"),
    ],
)
def test_what_would_reach_nobody_is_refused_with_line_and_remedy(element: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read_directory({"organisations": [PRACTICE | element]}, "d.yaml")


def test_no_two_organisations_claim_a_code_or_a_reference() -> None:
    with pytest.raises(ConfigurationError, match="A81001 is here twice"):
        read_directory({"organisations": [PRACTICE, PRACTICE | {"references": []}]}, "d.yaml")
    with pytest.raises(ConfigurationError, match="Organization/gp1 belongs to A81001 already"):
        read_directory({"organisations": [PRACTICE, PRACTICE | {"ods": "A81002"}]}, "d.yaml")


def test_whom_the_record_names_is_reached_as_the_directory_knows() -> None:
    directory = read_directory({"roles": {"gp": {"display": "GP practice"}}, "organisations": [PRACTICE]}, "d.yaml")
    setting = Rendering(now=KNOWN, directory=directory, holders={"gp": ("Organization/gp1", "Practitioner/g")})
    practice, person = setting.contacts("gp", "Patient/p1")
    assert (practice.display, practice.ods, practice.channel) == ("Example Surgery", "A81001", "mesh")
    assert practice.as_reference() == {"reference": "Organization/gp1", "display": "Example Surgery"}
    assert (person.display, person.channel, person.mailbox) == ("GP practice", None, "")
    (by_code,) = Rendering(now=KNOWN, directory=directory, practice="A81001").contacts("gp", "Patient/p1")
    assert (by_code.mailbox, by_code.telephone) == ("X26OT001", "0161 496 0000")
    assert by_code.as_reference()["identifier"]["value"] == "A81001"


def test_a_practice_that_is_not_known_is_nobody() -> None:
    person = Person(
        source=Source("Patient", "p1", "1"),
        known=KNOWN,
        patient="Patient/p1",
        practitioners=("Organization/unknown",),
        practice="V81999",
    )
    assert record_holders(person) == {}
    (nobody,) = Rendering(now=KNOWN, practice="V81999").contacts("gp", "Patient/p1")
    assert not nobody.resolved
    assert nobody.as_reference() == {"display": "GP"}


@pytest.mark.parametrize(
    ("wall", "who"),
    [
        ("2026-03-02 16:59", "Manager"),
        ("2026-03-02 17:00", "On call"),
        ("2026-03-03 08:59", "On call"),
        ("2026-03-03 09:00", "Manager"),
        ("2026-03-07 08:00", "On call"),
        ("2026-03-07 12:00", "Manager"),
        ("2026-04-03 12:00", "Holiday cover"),
        ("2026-04-04 08:00", "On call"),
    ],
)
def test_who_is_on_call_goes_by_the_local_clock(wall: str, who: str) -> None:
    week = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "17:00", "until": "09:00", "display": "On call"}
    holiday = {"days": ["holiday"], "display": "Holiday cover"}
    manager = {"display": "Manager", "reference": "Practitioner/m", "rota": [week, holiday]}
    directory = read_directory({"roles": {"team-manager": manager}}, "d.yaml")
    calendar = Calendar(holidays=frozenset({date(2026, 4, 3)}))
    now = calendar.instant(datetime.fromisoformat(wall))
    (contact,) = Rendering(now=now, calendar=calendar, directory=directory).contacts("team-manager", "Patient/p1")
    assert (contact.display, contact.resolved) == (who, who == "Manager")


@pytest.mark.parametrize(
    ("shift", "complaint"),
    [
        ({"days": ["monday"], "display": "X"}, "'monday' is no day"),
        ({"days": ["mon"], "from": "9:00", "display": "X"}, "'9:00' is no time of day"),
        ({"days": ["mon"]}, "says when, and not who"),
        ({"days": ["mon"], "reference": "Location/x"}, "must be Type/id"),
    ],
)
def test_a_rota_says_when_and_who(shift: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read_directory({"roles": {"team-manager": {"rota": [shift]}}}, "d.yaml")


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
