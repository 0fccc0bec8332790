"""What a letter says, to whom, and what it leaves out."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fhirbridge.letters import Section, write
from fhirbridge.letters.audiences import is_letter
from fhirbridge.letters.people import address_of, born, clean, name_of, nhs_number_of
from tests.unit.letters.desk import AT, HEAD, PATIENT, STATIONERY, matter

EVERYTHING = {"Ms Test Person", "2 March 1980", "999\u00a0000\u00a00018", "12 Test Street, Testtown, ZZ99 3WZ"}


@pytest.mark.parametrize(
    ("action", "role", "told"),
    [
        ("opt-in-letter", "patient", set()),
        ("discharge-notice", "family", {"Ms Test Person"}),
        ("discharge-notice", "gp", EVERYTHING),
        ("no-contact-notice", "referrer", {"Ms Test Person", "2 March 1980", "999\u00a0000\u00a00018"}),
        ("discharge-planned-notice", "housing", {"Ms Test Person", "2 March 1980"}),
        ("hearing-notice", "commissioner", {"Ms Test Person", "2 March 1980", "999\u00a0000\u00a00018"}),
        ("safeguarding-notice", "safeguarding-children", EVERYTHING),
        (
            "child-services-notice",
            "school-nurse",
            {"Ms Test Person", "2 March 1980", "12 Test Street, Testtown, ZZ99 3WZ"},
        ),
        ("board-notice", "board-member", set()),
    ],
)
def test_everybody_is_told_what_they_need_to_know_whom_it_is_about(action: str, role: str, told: set[str]) -> None:
    letter = write(matter(action, role, recipient="The recipient"), STATIONERY)
    assert {value for _, value in letter.about} == told
    words = " ".join([letter.text, letter.title, letter.greeting, *letter.recipient])
    for kept_back in EVERYTHING - told - ({"Ms Test Person"} if role == "patient" else set()):
        assert kept_back not in words


def test_only_people_outside_the_team_get_letters() -> None:
    assert not any(map(is_letter, ["team-manager", "lead-professional", "care-coordinator", "senior-clinician", ""]))
    assert all(map(is_letter, ["patient", "gp", "family", "safeguarding-children", "education"]))


def test_the_patient_is_written_to_by_name_at_their_address() -> None:
    letter = write(matter(), STATIONERY)
    assert letter.recipient == ("Ms Test Person", "12 Test Street", "Testtown", "ZZ99 3WZ")
    assert letter.greeting == "Dear Ms Test Person"
    assert (letter.date, letter.reference) == ("Saturday 28 March 2026", "2E1D8E73")


def test_who_is_not_known_by_name_is_greeted_all_the_same() -> None:
    nobody = write(matter(patient=None), STATIONERY)
    assert (nobody.greeting, nobody.recipient) == ("Hello", ())
    assert ("Name", "not held in the record") in write(
        matter("care-change-notice", "gp", patient=None), STATIONERY
    ).about


def test_the_day_by_which_to_answer_is_given_in_full_where_the_policy_asks_for_one() -> None:
    asked = write(matter(reply_by=AT.replace(day=31)), STATIONERY)
    assert "Please tell us by Tuesday 31 March 2026" in asked.text
    assert "What we ask of you" not in write(matter(), STATIONERY).text


def test_a_line_without_its_value_is_left_out() -> None:
    bare = replace(STATIONERY, letterhead=replace(HEAD, hours="", email=""))
    text = write(matter(), bare).text
    assert "Call us on 01632 960001." in text
    assert "We answer the phone" not in text
    assert "Write to" not in text


def test_the_crisis_plan_stands_in_the_letter() -> None:
    letter = write(matter("discharge-letter", plans={"crisis-plan": ("I call my sister.",)}), STATIONERY)
    assert "Your plan for a crisis\n\nI call my sister." in letter.text
    assert letter.enclosures == ()


def test_a_crisis_plan_whose_words_cannot_be_read_is_named_for_whoever_encloses_it() -> None:
    letter = write(matter("discharge-letter", plans={"crisis-plan": ()}), STATIONERY)
    assert letter.enclosures == ("Crisis contingency plan",)
    assert "Your copy comes with this letter." in letter.text


def test_where_no_plan_was_called_for_none_is_spoken_of() -> None:
    letter = write(matter("discharge-letter"), STATIONERY)
    assert "plan" not in letter.text.lower()
    assert letter.enclosures == ()


def test_headings_that_the_record_does_not_fill_are_named_in_one_list() -> None:
    headings = (
        Section(heading="GP practice", code="1", paragraphs=("The surgery",)),
        Section(heading="Diagnoses", code="2", missing=True),
        Section(heading="Allergies", code="3", missing=True),
    )
    letter = write(matter("discharge-notice", "gp", headings=headings), STATIONERY)
    text = letter.text
    assert "GP practice\n\nThe surgery" in text
    assert "Not held in the record that this is written from\n\n- Diagnoses\n- Allergies\n\nHow to reach us" in text
    assert [section.heading for section in letter.sections if section.missing] == ["Diagnoses", "Allergies"]


@pytest.mark.parametrize("role", ["agency", "family"])
def test_only_the_gp_gets_the_headings(role: str) -> None:
    headings = (Section(heading="Diagnoses", code="2", paragraphs=("Secret",)),)
    assert "Secret" not in write(matter("discharge-notice", role, headings=headings), STATIONERY).text


def patient(**changes: Any) -> dict[str, Any]:
    return {**PATIENT, **changes}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ([{"text": "Person, Test (Ms)", "given": ["Test"], "family": "Person"}], "Test Person"),
        ([{"text": "Test of Nowhere"}], "Test of Nowhere"),
        ([{"use": "old", "family": "Former"}, {"use": "usual", "given": ["Tess"], "family": "Now"}], "Tess Now"),
        ([{"use": "official", "family": "Ended", "period": {"end": "2020-01-01"}}, {"family": "Now"}], "Now"),
        ([{"family": "Line\nbreak\u202e\u0007"}], "Line break"),
        ([], ""),
        (None, ""),
        ("A surgery", "A surgery"),
        ([None, 3], ""),
    ],
)
def test_names(name: Any, shown: str) -> None:
    assert name_of({"name": name}) == shown


def test_addresses_in_use_alone_count() -> None:
    both = [
        {"use": "old", "line": ["1 Old Road"]},
        {"use": "home", "line": ["Gone"], "period": {"end": "2020"}},
        {"use": "temp", "line": ["A hostel"], "postalCode": "ZZ99 3WZ"},
    ]
    assert address_of({"address": both}) == ("A hostel", "ZZ99 3WZ")
    assert address_of({"address": [{"text": "1 Road, Town\nZZ99"}]}) == ("1 Road", "Town", "ZZ99")
    assert address_of(None) == ()


def test_dates_of_birth_are_as_full_as_they_are_recorded() -> None:
    dates = ["1980-03-02", "1980-03", "1980", "2 March", None]
    assert [born(patient(birthDate=d)) for d in dates] == ["2 March 1980", "March 1980", "1980", "", ""]


def test_an_nhs_number_is_one_with_ten_digits() -> None:
    system = "https://fhir.nhs.uk/Id/nhs-number"
    assert nhs_number_of(patient(identifier=[{"system": system, "value": "999 000 0018"}])) == "999\u00a0000\u00a00018"
    assert nhs_number_of(patient(identifier=[{"system": system, "value": "12"}, {"value": "9990000018"}])) == ""


def test_text_is_cleaned_of_what_no_printer_shows() -> None:
    assert clean("  a\tb\r\nc\u0000\u200b ") == "a b c"
