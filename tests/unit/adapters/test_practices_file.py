"""The practice of a patient, from a file that somebody else keeps up to date."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fhirbridge.adapters.practices_file import PracticesFile
from fhirbridge.errors import ConfigurationError
from tests.unit.fhir.receiver_messages import PERSON


async def test_a_practice_is_found_by_the_nhs_number_and_again_when_the_file_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "practices.csv"
    file.write_text("nhs_number,name,ods\n999 000 0018,Robin,A81001\n", encoding="utf-8-sig")
    practices = PracticesFile(file)
    assert await practices.practice_of(PERSON) == "A81001"
    assert await practices.practice_of({"resourceType": "Patient"}) == ""
    file.write_text("nhs_number,ods\n9990000018,A81002\n")
    os.utime(file, (1, 1))
    assert await practices.practice_of(PERSON) == "A81002"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nhs_number,practice\n", "practices.csv:1: has no column ods"),
        ("", "practices.csv:1: has no column"),
        ("nhs_number,ods\n9990000018,A81001\n9990000026,surgery\n", "practices.csv:3: ods is no ODS code"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_line(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "practices.csv"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        PracticesFile(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"practices: .* cannot be read"):
        PracticesFile(tmp_path / "none.csv")
