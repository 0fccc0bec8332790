"""What a trust may set about being asked, and what is refused before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhirbridge.errors import ConfigurationError
from fhirbridge.settings import read_settings

EPR = "eprs: {main: {base_url: 'https://epr.example/fhir', polling: {%s}}}"


def test_what_an_epr_insists_on_is_given_by_type_and_parameter(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(EPR % "past: 14, demands: {Appointment: {location: ['1', '2']}}")
    polling = read_settings(file).eprs["main"].polling
    assert (polling.past, polling.future, polling.near) == (14, 90, 2)
    assert polling.demands == {"Appointment": {"location": ("1", "2")}}


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("past: 0", "past"),
        ("future: 800", "future"),
        ("slice: 0", "slice"),
        ("near: 5, past: 3", "near is more than past"),
        ("reconcile: 10", "reconcile"),
        ("demands: {Appointment: {location: []}}", "location"),
        ("every: 5", "every"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, written: str, named: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(EPR % written)
    with pytest.raises(ConfigurationError, match=named):
        read_settings(file)


def test_an_instant_to_follow_from_needs_an_offset(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("follow_from: 2026-03-01T00:00:00")
    with pytest.raises(ConfigurationError, match=r"follow_from.*timezone"):
        read_settings(file)
    file.write_text("follow_from: 2026-03-01T00:00:00+00:00")
    assert read_settings(file).follow_from is not None
