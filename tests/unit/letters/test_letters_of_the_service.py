"""What is decided goes out as a letter: made once, from the record as it is then, and never holding anything up."""

from __future__ import annotations

import base64
import io
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from pypdf import PdfReader

from fhirbridge.core.vocabulary import BASE
from fhirbridge.letters import Stationery
from fhirbridge.ports import Resource
from fhirbridge.service import Service
from tests.unit.letters.desk import HEAD, PATIENT, STATIONERY
from tests.unit.stage import START, Stage, appointment, episode, signal

ORIGIN = {"system": f"{BASE}/CodeSystem/origin", "code": "fhirbridge"}


class Writing(Stage):
    """A service with a letterhead, and a patient in receipt of services without risk who does not come."""

    def __init__(self, stationery: Stationery | None = STATIONERY) -> None:
        super().__init__()
        self.site = replace(self.site, stationery=stationery)
        self.service = Service(self.store, {"main": self.site}, self.clock)

    async def patient_who_does_not_come(self, **changes: Any) -> None:
        await self.enter({**PATIENT, "generalPractitioner": [{"reference": "Organization/gp1"}], **changes})
        await self.epr.update({"resourceType": "Organization", "id": "gp1", "name": "The surgery"})
        await self.enter(episode())
        await self.enter(signal("risk-none"))
        for name, status, ago in (("a0", "fulfilled", 21), ("a1", "noshow", 7), ("a2", "noshow", 1)):
            await self.enter(appointment(name, status, START - timedelta(days=ago)))
        await self.settle()

    async def end_of_the_episode(self) -> None:
        self.clock.time += timedelta(days=1)
        episode = await self.epr.read("EpisodeOfCare/e1")
        assert episode is not None
        await self.enter({**episode, "status": "finished", "period": {"start": "2026-01-05", "end": "2026-03-03"}})
        await self.settle()

    async def plan(self, **elements: Any) -> None:
        await self.enter(
            {
                "resourceType": "CarePlan",
                "id": "plan",
                "status": "active",
                "intent": "plan",
                "subject": {"reference": "Patient/p1"},
                "category": [{"coding": [{"system": f"{BASE}/CodeSystem/action", "code": "crisis-plan"}]}],
                **elements,
            }
        )
        await self.settle()

    async def sent(self, action: str, role: str) -> Resource:
        found = [one async for one in self.epr.search("Communication", {"patient": "Patient/p1"})]
        (wanted,) = (
            one
            for one in found
            if one["category"][0]["coding"][0]["code"] == action and one["extension"][0]["valueCode"] == role
        )
        return wanted


def text_of(communication: Resource) -> str:
    (attached,) = (each["contentAttachment"] for each in communication["payload"] if "contentAttachment" in each)
    pages = PdfReader(io.BytesIO(base64.b64decode(attached["data"]))).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


async def test_the_gp_is_told_of_the_discharge_under_the_national_headings() -> None:
    stage = Writing()
    await stage.patient_who_does_not_come()
    await stage.end_of_the_episode()
    text = text_of(await stage.sent("discharge-notice", "gp"))
    for said in (
        "The surgery",
        "NHS number: 999\u00a0000\u00a00018",
        "The episode of care ended on Tuesday 3 March 2026. Last appointment attended: Monday 9 February 2026.",
        "Appointments missed since then: Monday 23 February 2026 and Sunday 1 March 2026.",
        "The record says that no risk was known.",
        "Not held in the record that this is written from • Clinical summary • Diagnoses",
    ):
        assert said.replace("\u00a0", " ") in text.replace("\u00a0", " ")


async def test_the_patients_letter_carries_the_plan_that_a_person_wrote() -> None:
    stage = Writing()
    await stage.patient_who_does_not_come()
    await stage.end_of_the_episode()
    await stage.plan(
        description="I call my sister.", activity=[{"detail": {"status": "in-progress", "description": "Rest"}}]
    )
    letter = await stage.sent("discharge-letter", "patient")
    assert "Your plan for a crisis I call my sister. Rest If you want" in text_of(letter)
    assert [set(each) for each in letter["payload"]] == [{"contentString"}, {"contentAttachment"}, {"contentReference"}]
    assert letter["contained"][0]["resourceType"] == "Composition"


async def test_a_plan_without_words_is_to_be_enclosed() -> None:
    stage = Writing()
    await stage.patient_who_does_not_come()
    await stage.end_of_the_episode()
    await stage.plan()
    assert "Enclosed: Crisis contingency plan" in text_of(await stage.sent("discharge-letter", "patient"))


async def test_a_letter_that_cannot_be_set_goes_as_its_words_alone(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Writing()
    await stage.patient_who_does_not_come(name=[{"family": "李"}])
    await stage.end_of_the_episode()
    notice = await stage.sent("discharge-notice", "gp")
    assert [set(each) for each in notice["payload"]] == [{"contentString"}]
    assert "李" not in capsys.readouterr().out


async def test_without_a_letterhead_there_are_words_alone() -> None:
    stage = Writing(None)
    await stage.patient_who_does_not_come()
    await stage.end_of_the_episode()
    assert len((await stage.sent("discharge-notice", "gp"))["payload"]) == 1


async def test_the_team_reads_its_notices_in_the_record() -> None:
    stage = Writing()
    await stage.patient_who_does_not_come()
    stage.clock.time += timedelta(days=7)
    await stage.settle()
    notice = await stage.sent("overdue-notice", "team-manager")
    assert len(notice["payload"]) == 1


async def test_a_patient_without_a_letter_has_nothing_read_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Writing(replace(STATIONERY, letterhead=replace(HEAD, name="Trust")))
    read: list[str] = []
    last = stage.store.last

    async def noting(epr: str, reference: str) -> Any:
        read.append(reference)
        return await last(epr, reference)

    monkeypatch.setattr(stage.store, "last", noting)
    await stage.patient_who_does_not_come()
    assert [reference for reference in read if reference == "Organization/gp1"] == []
