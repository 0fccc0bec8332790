"""What is written about somebody who has died is written for that, and never asks after them."""

from __future__ import annotations

import pytest

from fhirbridge.letters.audiences import Audience
from fhirbridge.letters.people import has_died
from fhirbridge.letters.templates import load_templates

TEMPLATES = load_templates()


def test_a_notice_about_somebody_who_has_died_has_words_of_its_own() -> None:
    alive = TEMPLATES.of("care-change-notice", Audience.GP)
    died = TEMPLATES.of("care-change-notice", Audience.GP, died=True)

    assert alive.title == "This patient's care may change"
    assert died.title == "We have learnt that your patient has died"
    said = " ".join(text for part in died.body for text in (part.heading, *part.says, *part.items))
    assert "{message}" in said
    assert "crisis" not in said
    assert "seen or heard" not in said


def test_where_nothing_is_written_for_that_the_same_words_go_out() -> None:
    assert TEMPLATES.of("correction-notice", Audience.GP, died=True) is TEMPLATES.by_action["correction-notice"]


@pytest.mark.parametrize(
    ("patient", "died"),
    [
        (None, False),
        ({}, False),
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2026-02-04"}, True),
    ],
)
def test_who_has_died_is_read_from_the_record(patient: dict[str, object] | None, died: bool) -> None:
    assert has_died(patient) is died
