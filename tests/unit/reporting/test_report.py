"""Figures: what was due in the period, and what became of it, per team and clause."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from xml.etree import ElementTree

import msgspec
import orjson
import pytest
from msgspec.structs import replace

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.effects import Kind
from fhirbridge.errors import SenderError
from fhirbridge.reporting import FORMATS, Duty, Period, Report, State, quarter, report
from fhirbridge.reporting.charts import chart

CALENDAR = Calendar()
QUARTER = Period(date(2026, 1, 1), date(2026, 3, 31))
DUE = datetime(2026, 2, 3, 12, tzinfo=UTC)
ROWS = ("rdash-5.3-contact", "rdash-5.3-rebook", "rdash-5.3-letter")


def duty(
    identity: str, state: State = State.IN_TIME, *, row: str = ROWS[0], team: str = "CareTeam/a", **more: object
) -> Duty:
    made = Duty(
        team=team,
        row=row,
        clause="5.3",
        title="Contact the patient & offer <another> appointment",
        patient=f"Patient/{identity}",
        case="EpisodeOfCare/e",
        identity=identity,
        kind=Kind.TASK,
        role="lead-professional",
        due=DUE,
        done=DUE - timedelta(hours=1) if state is State.IN_TIME else None,
        state=state,
    )
    return replace(made, **more)


def made(*duties: Duty) -> Report:
    return report(
        duties,
        ROWS,
        QUARTER,
        CALENDAR,
        pack="rdash-disengagement",
        version="1.0.0",
        title="Disengagement",
        until=datetime(2026, 4, 2, 9, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-Q1", date(2026, 1, 1), date(2026, 3, 31)),
        ("2024-q2", date(2024, 4, 1), date(2024, 6, 30)),
        ("2026-Q4", date(2026, 10, 1), date(2026, 12, 31)),
    ],
)
def test_a_quarter_is_three_months_of_the_year(text: str, first: date, last: date) -> None:
    assert quarter(text) == Period(first, last)


@pytest.mark.parametrize("text", ["2026-Q5", "Q1", "0000-Q1", ""])
def test_what_is_no_quarter_is_refused(text: str) -> None:
    with pytest.raises(SenderError, match="2026-Q1"):
        quarter(text)


def test_each_state_is_counted_and_they_add_up() -> None:
    found = made(*(duty(state.value, state) for state in State))
    (team,) = found.teams
    assert team.clauses[0].figures == team.figures == found.figures
    assert msgspec.to_builtins(found.figures) == {
        "due": 5,
        "in_time": 1,
        "late": 1,
        "not_done": 1,
        "withdrawn": 1,
        "open": 1,
    }


def test_the_quarter_is_that_of_the_local_clock() -> None:
    summer = Period(date(2026, 4, 1), date(2026, 6, 30))
    just_before_midnight = datetime(2026, 6, 30, 22, 59, 59, tzinfo=UTC)  # 23:59:59 in London
    assert summer.holds(just_before_midnight, CALENDAR)
    assert not summer.holds(just_before_midnight + timedelta(seconds=1), CALENDAR)
    assert made(duty("x", due=datetime(2026, 3, 31, 23, tzinfo=UTC))).teams == ()


def test_what_two_clauses_ask_for_counts_with_each_but_once_for_the_team() -> None:
    found = made(duty("one"), duty("one", row=ROWS[1]), duty("two", row=ROWS[2], team="CareTeam/b"))
    assert [(team.name, team.figures.due, len(team.clauses)) for team in found.teams] == [
        ("CareTeam/a", 1, 2),
        ("CareTeam/b", 1, 1),
    ]
    assert found.figures.due == 2


def test_clauses_stand_in_the_order_of_the_policy() -> None:
    found = made(duty("one", row=ROWS[2]), duty("two", row=ROWS[0]))
    assert [clause.row for clause in found.teams[0].clauses] == [ROWS[0], ROWS[2]]


def test_csv_has_the_cases_behind_each_figure_and_no_formulas() -> None:
    text = FORMATS["csv"](
        made(duty("a"), duty("b"), duty("c", State.LATE), duty("d", team="=cmd()")), CALENDAR
    ).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    team = next(row for row in rows if row["team"] == "CareTeam/a")
    assert (team["due"], team["in_time"], team["late"]) == ("3", "2", "1")
    assert team["in-time-cases"] == "Patient/a Patient/b"
    assert team["late-cases"] == "Patient/c"
    assert {row["team"] for row in rows} == {"CareTeam/a", "'=cmd()"}


def test_json_is_the_report() -> None:
    found = orjson.loads(FORMATS["json"](made(duty("a")), CALENDAR))
    clause = found["teams"][0]["clauses"][0]
    assert (clause["row"], clause["figures"]["due"]) == (ROWS[0], 1)
    assert clause["duties"][0]["due"] == "2026-02-03T12:00:00Z"
    assert found["period"] == {"first": "2026-01-01", "last": "2026-03-31"}


def test_the_page_has_a_table_beside_each_chart_and_escapes_what_it_shows() -> None:
    page = FORMATS["html"](made(duty("a", team="<script>"), duty("b", State.NOT_DONE)), CALENDAR).decode()
    assert page.count("<svg") == 3
    assert page.count("<caption>") >= 3
    assert "<script>" not in page
    assert "offer &lt;another&gt; appointment" in page
    assert "Thursday 1 January 2026 to Tuesday 31 March 2026" in page
    assert "http" not in page.replace('xmlns="http', "")  # it fetches nothing


def test_an_empty_quarter_says_so() -> None:
    page = FORMATS["html"](made(), CALENDAR).decode()
    assert "Nothing that this policy asks for was due from Thursday 1 January 2026 to Tuesday 31 March 2026." in page
    assert "<svg" not in page


def test_a_chart_tells_its_numbers_in_words_and_draws_them_to_scale() -> None:
    figures = made(duty("a"), duty("b"), duty("c", State.LATE)).figures
    drawn = ElementTree.fromstring(chart([("A & B", figures)], "c", "What was due"))
    assert drawn.attrib["role"] == "img"
    assert drawn.findtext("title") == "What was due"
    assert drawn.findtext("desc") == "A & B: 3 due, 2 in time, 1 late"
    widths = {one.attrib["class"]: float(one.attrib["width"]) for one in drawn.iter("rect")}
    assert widths["in_time"] == pytest.approx(2 * widths["late"], abs=2)
