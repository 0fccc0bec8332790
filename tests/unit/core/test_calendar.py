"""Three kinds of time, over weekends, holidays, month ends and the two nights on which the clocks change."""

from datetime import UTC, date, datetime

import pytest

from fhirbridge.core.calendar import Calendar, Elapsed, LocalPeriod, SameDay, Span, WorkingDays, span, spoken
from fhirbridge.errors import ConfigurationError

EASTER = frozenset({date(2026, 4, 3), date(2026, 4, 6)})
LONDON = Calendar(holidays=EASTER, version="easter")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT24H", Elapsed(86400)),
        ("PT1H30M", Elapsed(5400)),
        ("PT45S", Elapsed(45)),
        ("PT0H", Elapsed(0)),
        ("P1D", LocalPeriod(days=1)),
        ("P2W", LocalPeriod(days=14)),
        ("P1M", LocalPeriod(months=1)),
        ("P1M2W3D", LocalPeriod(months=1, days=17)),
        ("2WD", WorkingDays(2)),
        ("same day", SameDay()),
    ],
)
def test_a_period_is_read_as_its_kind(text: str, expected: Span) -> None:
    assert span(text) == expected


@pytest.mark.parametrize("text", ["", "P", "PT", "1D", "P1Y", "P-1D", "WD", "2wd", "tomorrow", "P1D ", "PT1D", "P1H"])
def test_what_is_no_period_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigurationError, match="write PT24H, P1D, P3W, P1M, 2WD or 'same day'"):
        span(text)


@pytest.mark.parametrize(
    ("since", "period", "due"),
    [
        # Elapsed time runs through everything.
        ("2026-02-06T10:00+00:00", "PT24H", "2026-02-07T10:00+00:00"),
        ("2026-03-28T10:00+00:00", "PT24H", "2026-03-29T11:00+01:00"),
        ("2026-10-24T10:00+01:00", "PT24H", "2026-10-25T09:00+00:00"),
        # A local period ends at the same local time.
        ("2026-03-28T10:00+00:00", "P1D", "2026-03-29T10:00+01:00"),
        ("2026-10-24T10:00+01:00", "P1D", "2026-10-25T10:00+00:00"),
        ("2026-03-17T14:00+00:00", "P3W", "2026-04-07T14:00+01:00"),
        ("2026-02-06T10:00+00:00", "P1W", "2026-02-13T10:00+00:00"),
        # 01:30 on 29 March does not exist: moved on by the hour that is skipped.
        ("2026-03-28T01:30+00:00", "P1D", "2026-03-29T02:30+01:00"),
        # 01:30 on 25 October exists twice: the first is meant.
        ("2026-10-24T01:30+01:00", "P1D", "2026-10-25T01:30+01:00"),
        # Months end where they end.
        ("2026-01-31T10:00+00:00", "P1M", "2026-02-28T10:00+00:00"),
        ("2028-01-31T10:00+00:00", "P1M", "2028-02-29T10:00+00:00"),
        ("2026-12-31T10:00+00:00", "P2M", "2027-02-28T10:00+00:00"),
        ("2026-01-30T10:00+00:00", "P1M1D", "2026-03-01T10:00+00:00"),
        # Working days end with the day.
        ("2026-02-09T10:00+00:00", "2WD", "2026-02-11T23:59:59+00:00"),
        ("2026-02-06T10:00+00:00", "2WD", "2026-02-10T23:59:59+00:00"),
        ("2026-02-07T10:00+00:00", "1WD", "2026-02-09T23:59:59+00:00"),
        ("2026-04-02T10:00+01:00", "2WD", "2026-04-08T23:59:59+01:00"),
        ("2026-03-27T10:00+00:00", "1WD", "2026-03-30T23:59:59+01:00"),
        ("2026-02-09T23:59:59+00:00", "1WD", "2026-02-10T23:59:59+00:00"),
        # 23:30 in UTC is the next day in London in summer.
        ("2026-07-06T23:30+00:00", "1WD", "2026-07-08T23:59:59+01:00"),
        ("2026-02-04T10:00+00:00", "same day", "2026-02-04T23:59:59+00:00"),
        ("2026-02-04T00:00+00:00", "same day", "2026-02-04T23:59:59+00:00"),
        ("2026-07-06T23:30+00:00", "same day", "2026-07-07T23:59:59+01:00"),
        # The very end of the day: the next one.
        ("2026-02-04T23:59:59+00:00", "same day", "2026-02-05T23:59:59+00:00"),
    ],
)
def test_when_a_period_ends(since: str, period: str, due: str) -> None:
    assert LONDON.after(at(since), span(period)) == at(due)


def test_what_is_due_is_an_instant_in_utc() -> None:
    for period in ("PT24H", "P1D", "2WD", "same day"):
        assert LONDON.after(at("2026-07-06T10:00+01:00"), span(period)).tzinfo is UTC


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 4, 2), True),
        (date(2026, 4, 3), False),
        (date(2026, 4, 4), False),
        (date(2026, 4, 5), False),
        (date(2026, 4, 6), False),
        (date(2026, 4, 7), True),
    ],
)
def test_nobody_works_on_weekends_and_holidays(day: date, works: bool) -> None:
    assert LONDON.is_working(day) is works


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("P3W", "three weeks"),
        ("P1W", "one week"),
        ("P2D", "two days"),
        ("P7D", "one week"),
        ("P1M", "one month"),
        ("P1M2D", "one month and two days"),
        ("PT24H", "24 hours"),
        ("PT1H", "one hour"),
        ("PT90M", "90 minutes"),
        ("PT45S", "45 seconds"),
        ("2WD", "two working days"),
        ("1WD", "one working day"),
        ("same day", "the end of the day"),
    ],
)
def test_a_period_in_words(text: str, words: str) -> None:
    assert spoken(text) == words


def test_a_date_is_said_in_full() -> None:
    assert LONDON.on_date(at("2026-07-06T23:30+00:00")) == "Tuesday 7 July 2026"
    assert LONDON.at_time(at("2026-07-06T23:30+00:00")) == "Tuesday 7 July 2026 at 00:30"
