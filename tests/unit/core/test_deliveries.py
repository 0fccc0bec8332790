"""How far a message has come: the table of what can be reported, whatever the order in which it is heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.core.deliveries import (
    FAILED,
    MOVES,
    Consignment,
    Recipient,
    Report,
    Said,
    Stage,
    report_of_code,
    said,
    standing,
)
from fhirbridge.core.effects import Addressed, AnyEffect, HandedOver, Key, Kind, Reported, Written
from fhirbridge.core.own import fold

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

GOES = {
    "waiting": "handed-over>handed-over accepted>accepted undeliverable>undelivered collected>collected "
    "infrastructure-bad>rejected infrastructure-good>taken-in business-bad>refused deceased>deceased "
    "business-good>received answered>received",
    "handed-over": "accepted>accepted undeliverable>undelivered collected>collected infrastructure-bad>rejected "
    "infrastructure-good>taken-in business-bad>refused deceased>deceased business-good>received answered>received",
    "accepted": "undeliverable>undelivered collected>collected infrastructure-bad>rejected "
    "infrastructure-good>taken-in business-bad>refused deceased>deceased business-good>received answered>received",
    "undelivered": "collected>collected infrastructure-bad>rejected infrastructure-good>taken-in "
    "business-bad>refused deceased>deceased business-good>received answered>received",
    "collected": "infrastructure-bad>rejected infrastructure-good>taken-in business-bad>refused deceased>deceased "
    "business-good>received answered>received",
    "rejected": "infrastructure-bad>rejected infrastructure-good>taken-in business-bad>refused deceased>deceased "
    "business-good>received answered>received",
    "taken-in": "infrastructure-bad>rejected infrastructure-good>taken-in business-bad>refused deceased>deceased "
    "business-good>received answered>received",
    "refused": "business-bad>refused deceased>deceased business-good>received answered>received",
    "deceased": "business-bad>refused deceased>deceased business-good>received answered>received",
    "received": "business-bad>refused deceased>deceased business-good>received answered>received",
}
"""The table again, by hand: what is not written here leads nowhere."""

TO: dict[str, tuple[Report, ...]] = {
    "waiting": (),
    "handed-over": (Report.HANDED_OVER,),
    "accepted": (Report.HANDED_OVER, Report.ACCEPTED),
    "undelivered": (Report.HANDED_OVER, Report.UNDELIVERABLE),
    "collected": (Report.HANDED_OVER, Report.COLLECTED),
    "rejected": (Report.HANDED_OVER, Report.INFRASTRUCTURE_BAD),
    "taken-in": (Report.HANDED_OVER, Report.INFRASTRUCTURE_GOOD),
    "refused": (Report.INFRASTRUCTURE_GOOD, Report.BUSINESS_BAD),
    "deceased": (Report.DECEASED,),
    "received": (Report.COLLECTED, Report.INFRASTRUCTURE_GOOD, Report.BUSINESS_GOOD),
}
"""A way to each stage."""


def heard(*reports: Report) -> tuple[Said, ...]:
    return tuple(said(report, NOON + timedelta(hours=hour)) for hour, report in enumerate(reports))


def consignment(*reports: Report, awaits: Stage = Stage.RECEIVED) -> Consignment:
    return Consignment(
        to=Recipient(name="Organization/gp", shown="Practice", role="gp", channel="mesh"),
        awaits=awaits,
        within="P5D",
        chase="1WD",
        addressed=NOON,
        reports=heard(*reports),
    )


@pytest.mark.parametrize("report", Report)
@pytest.mark.parametrize("stage", Stage)
def test_each_report_leads_where_the_table_says_and_an_illegal_one_nowhere(stage: Stage, report: Report) -> None:
    goes = dict(move.split(">") for move in GOES[stage].split())
    reached = standing(heard(*TO[stage]))
    assert reached.stage is stage
    assert standing(heard(*TO[stage], report)).stage == goes.get(report, stage)
    assert set(MOVES[stage]) == {Report(each) for each in goes}


reports = st.lists(
    st.builds(said, st.sampled_from(Report), st.integers(0, 6).map(lambda hour: NOON + timedelta(hours=hour))),
    max_size=8,
)


@given(reports.flatmap(lambda them: st.tuples(st.just(them), st.permutations(them + them[:3]))))
def test_the_order_in_which_reports_arrive_and_how_often_makes_no_difference(
    both: tuple[list[Said], list[Said]],
) -> None:
    once, again = both
    assert standing(once) == standing(again)


@given(reports.flatmap(lambda them: st.tuples(st.just(them), st.permutations(them + them[:3]))))
def test_what_is_folded_from_reports_does_not_depend_on_their_order_either(
    both: tuple[list[Said], list[Said]],
) -> None:
    first, second = (fold([*SENT, *(reported(said) for said in some)]).things["letter"] for some in both)
    assert first.consignments[0].standing == second.consignments[0].standing
    assert first.consignments[0].received == second.consignments[0].received
    assert first.sent == second.sent == NOON


KEY = Key("Patient/p", "EpisodeOfCare/e", "pack", Kind.COMMUNICATION, "discharge-notice", "gp", "scope")
PRACTICE = Recipient(name="Organization/gp", shown="Practice", role="gp", channel="mesh")
SENT: tuple[AnyEffect, ...] = (
    Written(identity="letter", at=NOON, key=KEY, run="run", pathway="p", steps=("step",), since=NOON),
    Addressed(identity="letter", at=NOON, to=PRACTICE, awaits=Stage.RECEIVED, within="P5D", chase="1WD"),
    HandedOver(identity="letter", at=NOON, recipient=PRACTICE.name),
)


def reported(said: Said) -> Reported:
    return Reported(identity="letter", at=NOON, recipient=PRACTICE.name, report=said.report, happened=said.at)


def test_a_report_about_another_recipient_is_not_this_ones() -> None:
    other = Reported(identity="letter", at=NOON, recipient="somebody", report=Report.BUSINESS_BAD, happened=NOON)
    assert fold([*SENT, other]).things["letter"] == fold(SENT).things["letter"]


def test_not_known_here_may_follow_an_earlier_good_word_by_hours() -> None:
    sent = consignment(Report.HANDED_OVER, Report.INFRASTRUCTURE_GOOD, Report.BUSINESS_BAD)
    assert sent.failed
    assert sent.received is None
    late_word = Report.BUSINESS_GOOD
    assert consignment(*(each.report for each in sent.reports), late_word).received == NOON + timedelta(hours=3)


@pytest.mark.parametrize(
    ("awaits", "settles"),
    [
        (Stage.COLLECTED, Report.COLLECTED),
        (Stage.COLLECTED, Report.BUSINESS_GOOD),
        (Stage.TAKEN_IN, Report.INFRASTRUCTURE_GOOD),
        (Stage.RECEIVED, Report.ANSWERED),
    ],
)
def test_what_is_awaited_or_anything_better_settles_it(awaits: Stage, settles: Report) -> None:
    assert consignment(Report.HANDED_OVER, awaits=awaits).received is None
    assert consignment(Report.HANDED_OVER, settles, awaits=awaits).received == NOON + timedelta(hours=1)


def test_less_than_what_is_awaited_does_not() -> None:
    assert consignment(Report.HANDED_OVER, Report.INFRASTRUCTURE_GOOD).received is None


def test_an_acknowledgement_that_overtakes_our_own_record_says_that_it_was_sent() -> None:
    assert consignment().sent is None
    assert consignment(Report.UNDELIVERABLE).sent is None
    assert consignment(Report.BUSINESS_GOOD).sent == NOON


def test_only_the_failed_stages_are_for_a_person() -> None:
    assert {"undelivered", "rejected", "refused", "deceased"} == FAILED


@pytest.mark.parametrize(
    ("code", "report"),
    [
        ("10001", Report.INFRASTRUCTURE_BAD),
        ("20012", Report.INFRASTRUCTURE_BAD),
        ("20013", Report.INFRASTRUCTURE_GOOD),
        ("20014", Report.INFRASTRUCTURE_BAD),
        ("20015", Report.INFRASTRUCTURE_BAD),
        ("20016", None),
        ("30001", Report.BUSINESS_GOOD),
        ("30002", Report.BUSINESS_BAD),
        ("30003", Report.BUSINESS_BAD),
        ("30004", Report.DECEASED),
        ("30005", None),
        ("-30001", None),
        ("ok", None),
        ("", None),
    ],
)
def test_the_codes_of_itk3(code: str, report: Report | None) -> None:
    assert report_of_code(code) is report
