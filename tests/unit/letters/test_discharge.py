"""The headings of the national discharge summary: what the record fills, and that the rest is named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fhirbridge.core.facts import AnyFact, Appointment, AppointmentState, Episode, Referral, Signal, Source
from fhirbridge.core.timeline import Record
from fhirbridge.letters.discharge import HEADINGS, Ending, summary
from tests.shipped import CALENDAR
from tests.unit.letters.desk import HEAD, PATIENT


def at(day: int, month: int = 3) -> datetime:
    return datetime(2026, month, day, 10, tzinfo=UTC)


EPISODE = Episode(
    source=Source("EpisodeOfCare", "e1", "2"),
    known=at(20),
    patient="Patient/p1",
    status="finished",
    start=at(5, 1),
    end=at(20),
    services=("HealthcareService/s",),
    referrals=("ServiceRequest/r1",),
)


def visit(name: str, day: int, state: AppointmentState) -> Appointment:
    return Appointment(
        source=Source("Appointment", name, "1"),
        known=at(day),
        patient="Patient/p1",
        state=state,
        start=at(day),
        services=("HealthcareService/s",),
    )


def signal(code: str, **changes: Any) -> Signal:
    plain: dict[str, Any] = {
        "source": Source("Flag", code, "1"), "known": at(1), "patient": "Patient/p1", "signals": (code,),
        "start": at(1),
    }  # fmt: skip
    return Signal(**{**plain, **changes})


def headings(*facts: AnyFact, **changes: Any) -> dict[str, str]:
    record = Record.of([EPISODE, *facts])
    ending = Ending(
        **{
            "record": record,
            "case": record.cases[0],
            "calendar": CALENDAR,
            "letterhead": HEAD,
            "patient": PATIENT,
            **changes,
        }
    )
    return {section.heading: " ".join(section.paragraphs) for section in summary(ending) if not section.missing}


def test_every_heading_is_there_filled_or_named_as_missing_and_the_mandatory_are_named_first() -> None:
    record = Record.of([EPISODE])
    sections = summary(Ending(record=record, case=record.cases[0], calendar=CALENDAR, letterhead=HEAD))
    assert {section.code for section in sections} == {heading.code for heading in HEADINGS}
    missing = [section.heading for section in sections if section.missing]
    assert missing[:5] == [
        "Patient demographics", "GP practice", "Clinical summary", "Diagnoses", "Allergies and adverse reactions",
    ]  # fmt: skip
    assert sum(heading.mandatory for heading in HEADINGS) == 6


def test_how_the_care_went() -> None:
    said = headings(
        visit("a1", 2, AppointmentState.MISSED),
        visit("a2", 9, AppointmentState.ATTENDED),
        visit("a3", 16, AppointmentState.MISSED),
        visit("a4", 18, AppointmentState.MISSED),
    )["Discharge details"]
    assert said == (
        "The episode of care ended on Friday 20 March 2026. Last appointment attended: Monday 9 March 2026. "
        "Appointments missed since then: Monday 16 March 2026 and Wednesday 18 March 2026."
    )


def test_somebody_who_was_never_seen() -> None:
    said = headings(visit("a1", 2, AppointmentState.MISSED))["Discharge details"]
    assert said.endswith("No appointment was attended. Appointments missed: Monday 2 March 2026.")


def test_risks_and_legal_status_are_those_when_care_ended() -> None:
    found = headings(
        signal("risk-high"),
        signal("section-117"),
        signal("self-harm-risk", end=at(10), active=False),
        signal("safeguarding-adult", start=at(25), known=at(25)),
    )
    assert found["Safety alerts"] == "On record when care ended: risk high."
    assert found["Legal information"] == "Eligible for aftercare under section 117 of the Mental Health Act."


def test_recorded_absence_of_risk_is_said_and_silence_is_missing() -> None:
    assert headings(signal("risk-none"))["Safety alerts"] == "The record says that no risk was known."
    assert "Safety alerts" not in headings()


def test_who_referred_and_who_is_told() -> None:
    referral = Referral(
        source=Source("ServiceRequest", "r1", "1"),
        known=at(3),
        patient="Patient/p1",
        status="active",
        priority="urgent",
        authored=at(2),
    )
    found = headings(referral, told=("gp", "agency", "patient"), practice="The surgery")
    assert found["Referrer details"] == "Referred on Monday 2 March 2026; priority urgent."
    assert found["Distribution list"] == "GP, agency and patient."
    assert "how to come back" in found["Information and advice given"]
    assert found["GP practice"] == "The surgery"
    assert "Information and advice given" not in headings(told=("gp",))


def test_who_the_patient_is() -> None:
    assert headings()["Patient demographics"] == (
        "Ms Test Person; born 2 March 1980; NHS number 999\u00a0000\u00a00018; 12 Test Street, Testtown, ZZ99 3WZ; "
        "telephone 01632 960555."
    )
