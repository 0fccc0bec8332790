"""What needs attention, on a page of its own and with the patient: gaps, held-back writes, records not read."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhirbridge.fhir.capability import Way
from tests.unit.web.stage import PASSWORD, BrokenAudit, Stage, two_misses
from tests.unit.web.trouble import HELD_FOR, trouble


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    """Somebody signed in, at an EPR that takes no Tasks."""
    stage = Stage(tmp_path, writes={"Task": Way.OWN})
    await stage.http.post("/sign-in", data={"name": "a.nwosu", "password": PASSWORD})
    return stage


async def page(stage: Stage, path: str = "/attention") -> str:
    answer = await stage.http.get(path)
    assert answer.status_code == 200, answer.text
    return " ".join(answer.text.split())


async def test_where_nothing_is_wrong_it_says_so_of_each(stage: Stage) -> None:
    await two_misses(stage)
    text = await page(stage)
    assert "Nothing needs attention" in text
    assert "No gap is open" in text
    assert "Nothing is held back" in text
    assert "Everything that came in could be read" in text
    assert "<table" not in text


async def test_gaps_are_told_with_what_waits_and_what_to_do(stage: Stage) -> None:
    await two_misses(stage)
    await trouble(stage)
    text = await page(stage)
    assert "Nothing needs attention" not in text
    assert '<th scope="row">Mon 2 Mar 2026, 12:00</th><td>Appointment, Encounter</td>' in text
    assert "<td>The EPR gave up notifying the service.</td><td>See at the EPR why it gave up" in text
    assert "A step waits for 1 patient, and is decided on as soon as it has:" in text
    assert "Agree the discharge with the team manager" in text
    assert "Contact the patient and offer" not in text.partition('id="held"')[0]


async def test_held_back_writes_are_told_with_their_reason_and_the_way_out(stage: Stage) -> None:
    await two_misses(stage)
    await trouble(stage)
    held = (await page(stage)).partition('id="held"')[2].partition('id="unread"')[0]
    assert "It was written 12 times within an hour." in held
    assert 'href="/patients/main/p1">Amina Okafor &lt;b&gt;</a>' in held
    assert "<td>Mon 2 Mar 2026, 12:00</td><td>Mon 2 Mar 2026, 12:20</td>" in held
    assert "fhirbridge loops --release" in held

    stage.clock.time += HELD_FOR
    assert "Nothing is held back" in await page(stage)


async def test_records_that_could_not_be_read_are_told_with_why_and_what_counts_meanwhile(stage: Stage) -> None:
    await two_misses(stage)
    await trouble(stage)
    unread = (await page(stage)).partition('id="unread"')[2]
    nobodys, patients = unread.split("<tr>")[2:4]
    assert "Appointment/not-so" in nobodys
    assert "not known" in nobodys
    assert "&#39;not-so&#39; is not allowed" in nobodys
    assert "What was read of it before goes on to count." in nobodys
    assert "Consent/unsaid" in patients
    assert "Okafor" in patients
    assert "It counts for nothing." in patients


async def test_the_patient_s_page_says_it_too(stage: Stage) -> None:
    await two_misses(stage)
    await trouble(stage)
    text = await page(stage, "/patients/main/p1")
    assert "1 record of this patient could not be read" in text
    assert "Consent/unsaid, version 1, since Monday 2 March 2026 at 12:00" in text
    assert "Held back until Mon 2 Mar 2026, 12:20" in text
    assert 'href="/attention#gaps"' in await page(stage, "/feeds")


async def test_more_than_a_page_takes_is_counted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhirbridge.web.console.attention._ON_THE_PAGE", 1)
    await two_misses(stage)
    await trouble(stage)
    await stage.store.gaps.hold(stage.subject("p2"))
    text = await page(stage)
    assert "The oldest 1 of 2." in text
    assert "and 1 more." in text


async def test_who_is_shown_is_witnessed(stage: Stage) -> None:
    await two_misses(stage)
    await trouble(stage)
    await page(stage)
    event = stage.store.audit.events[-1]
    assert "https://main.example/fhir/Patient/p1" in [one.get("what", {}).get("reference") for one in event["entity"]]

    stage.store.audit = BrokenAudit()
    cookies = stage.http.cookies
    stage.rebuild()
    stage.http.cookies = cookies
    assert "Okafor" not in (await stage.http.get("/attention")).text
