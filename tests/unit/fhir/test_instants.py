"""Dates and times of FHIR as instants and days."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from fhirbridge.errors import SenderError
from fhirbridge.fhir.instants import to_birth_date, to_end, to_instant

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-05T09:00:00Z", datetime(2026, 1, 5, 9, tzinfo=UTC)),
        ("2026-07-05T09:00:00+01:00", datetime(2026, 7, 5, 8, tzinfo=UTC)),
        ("2026-01-05T09:00:00.5-14:00", datetime(2026, 1, 5, 23, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-05T09:00:00.123456789Z", datetime(2026, 1, 5, 9, 0, 0, 123_456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2026-07-05", datetime(2026, 7, 4, 23, tzinfo=UTC)),
        ("2026-07", datetime(2026, 6, 30, 23, tzinfo=UTC)),
        ("2026", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_an_instant_is_the_first_moment(text: str, instant: datetime) -> None:
    found = to_instant(text, LONDON)
    assert found == instant
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-07-05T09:00:00+01:00", datetime(2026, 7, 5, 8, tzinfo=UTC)),
        ("2026-07-05", datetime(2026, 7, 5, 22, 59, 59, tzinfo=UTC)),
        ("2024-02", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("2026", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9999-12-31", None),
        ("9999-12-31T23:59:59-14:00", None),
    ],
)
def test_an_end_includes_its_day(text: str, instant: datetime | None) -> None:
    assert to_end(text, LONDON) == instant


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1990-02-03", date(1990, 2, 3)),
        ("1990-02", date(1990, 2, 28)),
        ("1990-12", date(1990, 12, 31)),
        ("1990", date(1990, 12, 31)),
    ],
)
def test_of_a_partial_birth_date_the_last_day_counts(text: str, day: date) -> None:
    assert to_birth_date(text) == day


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1799-12-31",
        "2026-02-30",
        "2026-01-05T09:00:00",
        "2026-01-05 09:00:00Z",
        "2026-01-05T25:00:00Z",
        "2026-01-05T09:00:00+24:00",
        "2026-W01-1",
        "20260105",
        "",
        5,
        None,
    ],
)
def test_what_cannot_be_is_refused(value: object) -> None:
    with pytest.raises(SenderError):
        to_instant(value, LONDON)
