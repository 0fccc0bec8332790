"""The console over doubles: who gets in, what the pages say, and completing a step that stands nowhere else."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhirbridge.core.vocabulary import OUTCOMES as CODES
from fhirbridge.fhir.capability import Way
from fhirbridge.ports import Delivery, Double, Receipt, Subject
from fhirbridge.web.console.outcomes import OUTCOMES
from tests.unit.web.stage import PASSWORD, BrokenAudit, Stage, enter, settle, two_misses

PAGES = ("/", "/patients", "/patients/main/p1", "/attention", "/policies", "/policies/rdash-disengagement", "/feeds")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """An EPR that takes no Tasks."""
    return Stage(tmp_path, writes={"Task": Way.OWN})


async def sign_in(stage: Stage, **more: str) -> httpx.Response:
    return await stage.http.post("/sign-in", data={"name": "a.nwosu", "password": PASSWORD, **more})


async def page(stage: Stage, path: str, status: int = 200) -> str:
    answer = await stage.http.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return answer.text


async def first_item(stage: Stage) -> str:
    found = re.search(r'href="(/items/Task/[^"]+)"', await page(stage, "/"))
    assert found is not None
    return found[1]


def hidden(text: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(token|version)" value="([^"]*)"', text))


# Doors


@pytest.mark.parametrize("path", [*PAGES, "/items/Task/x"])
async def test_nobody_sees_anything_who_has_not_signed_in(stage: Stage, path: str) -> None:
    await two_misses(stage)

    answer = await stage.http.get(path)

    assert "Okafor" not in answer.text
    assert (answer.status_code, answer.headers.get("Location", "")[:8]) in [(200, ""), (303, "/sign-in")]
    assert stage.store.audit.events == []


async def test_who_signs_in_comes_to_where_they_were_going(stage: Stage) -> None:
    answer = await sign_in(stage, to="/policies")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/policies")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-fhirbridge=")
    assert all(part in cookie for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"))
    assert "Amara Nwosu, Team manager" in await page(stage, "/")
    [event, _] = stage.store.audit.events
    assert (event["subtype"][0]["display"], event["outcome"]) == ("Login", "0")


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_nobody_is_sent_elsewhere(stage: Stage, to: str) -> None:
    assert (await sign_in(stage, to=to)).headers["Location"] == "/"


@pytest.mark.parametrize(("name", "password"), [("a.nwosu", "wrong"), ("nobody", PASSWORD), ("", "")])
async def test_the_wrong_name_or_password_does_not_open(stage: Stage, name: str, password: str) -> None:
    answer = await stage.http.post("/sign-in", data={"name": name, "password": password})

    assert answer.status_code == 401
    assert "There is a problem" in answer.text
    assert "Set-Cookie" not in answer.headers
    [event] = stage.store.audit.events
    assert event["outcome"] == "4"


async def test_after_five_wrong_passwords_even_the_right_one_waits_a_minute(stage: Stage) -> None:
    for _ in range(5):
        await sign_in(stage, password="wrong")

    assert (await sign_in(stage)).status_code == 401
    stage.clock.time += timedelta(minutes=1)
    assert (await sign_in(stage)).status_code == 303


async def test_a_session_ends_half_an_hour_after_the_last_page_or_after_twelve_hours(stage: Stage) -> None:
    await sign_in(stage)
    for _ in range(24):
        stage.clock.time += timedelta(minutes=29)
        assert "Amara Nwosu" in await page(stage, "/")
    stage.clock.time += timedelta(minutes=31)
    assert "Amara Nwosu" not in await page(stage, "/")

    await sign_in(stage)
    for _ in range(25):
        stage.clock.time += timedelta(minutes=29)
        await page(stage, "/")
    assert "Amara Nwosu" not in await page(stage, "/")


async def test_a_cookie_that_was_changed_is_none(stage: Stage) -> None:
    await sign_in(stage)
    cookie = stage.http.cookies["__Host-fhirbridge"]
    for forged in (cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), "x" + cookie, "nonsense", "a.b"):
        stage.http.cookies.clear()
        answer = await stage.http.get("/", headers={"Cookie": f"__Host-fhirbridge={forged}"})
        assert "Amara Nwosu" not in answer.text


async def test_signing_out_ends_it_and_is_witnessed(stage: Stage) -> None:
    await sign_in(stage)
    token = hidden(await page(stage, "/"))["token"]

    assert (await stage.http.post("/sign-out", data={"token": "x"})).status_code == 403
    assert (await stage.http.post("/sign-out", data={"token": token})).headers["Location"] == "/sign-in"
    assert "Amara Nwosu" not in await page(stage, "/")
    assert stage.store.audit.events[-1]["subtype"][0]["display"] == "Logout"


async def test_it_is_closed_when_nobody_is_configured(tmp_path: Path) -> None:
    stage = Stage(tmp_path, access={})

    assert "Nobody can sign in here" in await page(stage, "/")
    assert (await sign_in(stage)).status_code == 401


async def test_a_proxy_that_shows_its_secret_says_who_it_is(tmp_path: Path) -> None:
    secret = tmp_path / "proxy"
    secret.write_text("between-us\n")
    stage = Stage(tmp_path, access={"proxy": {"secret_file": secret}})
    told = {"X-Remote-User": "b.lee", "X-Remote-Name": "Bo Lee", "X-Remote-Role": "Nurse"}

    assert "Bo Lee" not in (await stage.http.get("/", headers=told)).text
    assert "Bo Lee" not in (await stage.http.get("/", headers={**told, "X-Fhirbridge-Proxy": "wrong"})).text
    assert "Bo Lee, Nurse" in (await stage.http.get("/", headers={**told, "X-Fhirbridge-Proxy": "between-us"})).text


# Pages


async def test_every_page_can_be_shown_when_there_is_nothing(stage: Stage) -> None:
    await sign_in(stage)

    assert "There is nothing to do" in await page(stage, "/")
    for path in ("/patients", "/policies", "/feeds"):
        assert "<h1>" in await page(stage, path)
    for path in ("/patients/main/nobody", "/patients/other/p1", "/items/Task/x", "/policies/other"):
        assert "Page not found" in await page(stage, path, 404)


async def test_the_work_shows_what_is_open_the_due_first(stage: Stage) -> None:
    await two_misses(stage)
    await sign_in(stage)

    text = await page(stage, "/")
    assert "Contact the patient and offer another appointment" in text
    assert "Okafor &lt;b&gt;" in text
    assert "<b>" not in text
    assert "999 012 6704" in text
    assert "Overdue" not in re.sub(r"<option.*?</option>", "", text)
    assert "Nothing that is open fits" in await page(stage, "/?due=overdue")

    stage.clock.time += timedelta(days=10)
    await sign_in(stage)
    assert "1 overdue" in await page(stage, "/?due=overdue&role=Lead+professional")
    assert "Nothing that is open fits" in await page(stage, "/?role=Team+manager")


async def test_a_patients_page_says_what_was_decided_why_and_what_comes_next(stage: Stage) -> None:
    await two_misses(stage, shares=False)
    await sign_in(stage)

    text = await page(stage, "/patients/main/p1")

    assert "Amina Okafor &lt;b&gt;" in text
    assert "1 January 1980" in text
    assert "Has been running since" in text
    assert "Appointment/p1-03-02, version 1" in text
    assert "Contact the patient" in text
    assert "on this worklist" in text
    assert "What comes next" in text
    assert "Pathways that do not run" in text


async def test_whom_sharing_keeps_from_being_told_is_said_with_the_reason(stage: Stage) -> None:
    await two_misses(stage, shares=False)
    await sign_in(stage)
    await complete(stage, outcome="no-answer")
    await settle(stage)

    text = await page(stage, "/patients/main/p1")

    [told] = re.findall(r"<strong>Try the family, a carer or an associate</strong>.*?</li>", text)
    assert "The record carries the signal sharing-refused." in told


async def test_what_was_taken_back_is_said_with_the_reason(stage: Stage) -> None:
    await two_misses(stage)
    await sign_in(stage)
    stage.clock.time += timedelta(minutes=5)
    corrected = await stage.eprs["main"].read("Appointment/p1-03-02")
    assert corrected is not None
    await enter(stage, {**corrected, "status": "fulfilled"})

    text = await page(stage, "/patients/main/p1")

    assert "What was taken back, and why" in text
    assert "no longer stands" in text


async def test_what_the_epr_refused_is_shown_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path)

    async def refuse(deliveries: list[Delivery], references: dict[str, str]) -> list[Receipt]:
        return [Receipt(row=one.row, refused="Task.priority is not known here") for one in deliveries]

    monkeypatch.setattr(stage.eprs["main"], "deliver", refuse)
    await two_misses(stage)
    await sign_in(stage)

    assert "The EPR refused: Task.priority is not known here" in await page(stage, "/patients/main/p1")
    assert "refused by the EPR" in await page(stage, "/feeds")


async def test_what_the_epr_held_twice_is_shown(stage: Stage) -> None:
    await two_misses(stage)
    subject = Subject("main", "Patient/p1")
    now = stage.clock.now()
    twice = Double(subject=subject, identity="i", kept="Task/1", double="Task/2", withdrawn=True, found=now)
    await stage.store.doubles.note(twice)
    await sign_in(stage)

    assert "marked as written in error; Task/1 stands" in await page(stage, "/patients/main/p1")


async def test_patients_are_found_by_number_and_name(stage: Stage) -> None:
    await two_misses(stage)
    await sign_in(stage)

    for said in ("999 012 6704", "9990126704", "okafor amina"):
        assert 'href="/patients/main/p1"' in await page(stage, f"/patients?q={said}")
    assert "Nobody of this number or name" in await page(stage, "/patients?q=9990126705")


async def test_a_policy_is_read_with_its_diagrams(stage: Stage) -> None:
    await sign_in(stage)

    text = await page(stage, "/policies/rdash-disengagement")
    assert "<svg" in text
    assert 'href="/policies"' in text


async def test_what_is_looked_at_is_witnessed_and_where_it_cannot_be_nothing_is_shown(stage: Stage) -> None:
    await two_misses(stage)
    await sign_in(stage)
    item = await first_item(stage)
    for path in ("/", "/patients/main/p1", item, "/patients?q=okafor"):
        before = len(stage.store.audit.events)
        await page(stage, path)
        [event] = stage.store.audit.events[before:]
        [agent] = event["agent"]
        assert (agent["who"]["identifier"]["value"], event["type"]["code"]) == ("a.nwosu", "110110")
        assert "https://main.example/fhir/Patient/p1" in [
            one.get("what", {}).get("reference") for one in event["entity"]
        ]

    stage.store.audit = BrokenAudit()
    cookies = stage.http.cookies
    stage.rebuild()
    stage.http.cookies = cookies
    for path in ("/", "/patients/main/p1", item, "/patients?q=okafor"):
        assert "Okafor" not in (await stage.http.get(path)).text


# Completing


async def complete(stage: Stage, **said: str) -> httpx.Response:
    """Fill in the form of the first item, as a browser would."""
    item = await first_item(stage)
    form = {
        **hidden(await page(stage, item)),
        "status": "completed",
        "outcome": "contact-made",
        "date": "2026-03-02",
        "time": "11:30",
        "note": "Spoke to Amina.",
        **said,
    }
    return await stage.http.post(f"{item}/completion", data=form)


async def test_a_completed_step_goes_the_way_of_everything_the_epr_tells_of(stage: Stage) -> None:
    await two_misses(stage)
    await sign_in(stage)
    item = await first_item(stage)

    answer = await complete(stage)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{item}?done")
    await settle(stage)

    text = await page(stage, item)
    assert "Contact made" in text
    assert "Amara Nwosu (Team manager)" in text
    assert "Spoke to Amina." in text
    assert 'name="outcome"' not in text
    assert item not in await page(stage, "/")
    assert stage.store.audit.events[-1] is not None
    assert "U" in [event["action"] for event in stage.store.audit.events]
    known = await stage.store.load(stage.subject("p1"))
    assert "contact-made" in [getattr(fact, "outcome", None) for fact in known.facts]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"outcome": ""}, "Choose what came of it"),
        ({"outcome": "flown-away"}, "no outcome"),
        ({"status": "vanished"}, "no way to end a step"),
        ({"date": "yesterday"}, "on which day"),
        ({"date": "2026-03-03"}, "has not happened yet"),
    ],
)
async def test_what_cannot_be_is_said_and_what_was_written_stays(stage: Stage, said: dict[str, str], told: str) -> None:
    await two_misses(stage)
    await sign_in(stage)

    answer = await complete(stage, **said)

    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert told in answer.text
    assert "Spoke to Amina." in answer.text


async def test_a_form_from_elsewhere_or_without_its_token_changes_nothing(stage: Stage) -> None:
    await two_misses(stage)
    await sign_in(stage)
    item = await first_item(stage)
    form = {**hidden(await page(stage, item)), "status": "completed", "outcome": "done"}
    form |= {"date": "2026-03-02", "time": "11:30"}

    elsewhere: dict[str, Any] = {"Origin": "https://evil.example"}
    assert (await stage.http.post(f"{item}/completion", data=form, headers=elsewhere)).status_code == 403
    crossed = {"Sec-Fetch-Site": "cross-site"}
    assert (await stage.http.post(f"{item}/completion", data=form, headers=crossed)).status_code == 403
    assert (await stage.http.post(f"{item}/completion", data={**form, "token": "x"})).status_code == 403
    assert (await stage.http.post(f"{item}/completion", content=b"x" * 100_000)).status_code == 400
    assert "Complete this step" in await page(stage, item)


async def test_who_comes_second_is_told_to_look_again(stage: Stage) -> None:
    await two_misses(stage)
    await sign_in(stage)
    item = await first_item(stage)
    form = {**hidden(await page(stage, item)), "status": "completed", "outcome": "done"}
    form |= {"date": "2026-03-02", "time": "11:30"}
    assert (await stage.http.post(f"{item}/completion", data=form)).status_code == 303

    answer = await stage.http.post(f"{item}/completion", data=form)

    assert answer.status_code == 422
    assert "Somebody changed this step" in answer.text


async def test_a_step_of_the_epr_is_completed_there(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await two_misses(stage)
    await sign_in(stage)
    item = await first_item(stage)

    text = await page(stage, item)
    assert "Staff work on it there" in text
    assert "Complete this step" not in text
    form = {**hidden(text), "status": "completed", "outcome": "done", "date": "2026-03-02", "time": "11:30"}
    assert (await stage.http.post(f"{item}/completion", data=form)).status_code == 403


def test_every_outcome_of_the_contract_can_be_chosen_once() -> None:
    offered = [code for codes in OUTCOMES.values() for code in codes]

    assert sorted(offered) == sorted(CODES)


# For everybody


class Reading(HTMLParser):
    """Reads a page as an assistive technology would: labels, headings, language, landmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


async def test_pages_can_be_read_by_everybody(stage: Stage) -> None:
    await two_misses(stage)
    door = await page(stage, "/sign-in")
    await sign_in(stage)
    item = await first_item(stage)
    pages = [await page(stage, path) for path in ("/", "/patients?q=okafor", "/patients/main/p1", item, "/feeds")]
    for text in [door, *pages, await page(stage, "/policies"), await page(stage, "/items/Task/x", 404)]:
        reading = Reading()
        reading.feed(text)
        assert [one["lang"] for one in reading.of("html")] == ["en-GB"]
        assert len(reading.of("title")) == len(reading.of("h1")) == len(reading.of("main")) == 1
        assert "#main" in [one.get("href") for one in reading.of("a")]
        labelled = {one.get("for") for one in reading.of("label")}
        fields = [one for one in reading.of("input", "select", "textarea") if one.get("type") != "hidden"]
        assert {one["id"] for one in fields} <= labelled
        assert all(one.get("scope") in ("col", "row") for one in reading.of("th"))
        levels = [int(tag[1]) for tag, _ in reading.tags if re.fullmatch("h[1-6]", tag) and tag != "header"]
        assert all(after - before <= 1 for before, after in pairwise(levels)), levels
        names = [one["id"] for _, one in reading.tags if "id" in one]
        assert len(names) == len(set(names))
        assert not reading.of("script")
        assert not [one for _, one in reading.tags if "style" in one or any(key.startswith("on") for key in one)]
