"""The console in Chromium: signing in, the work, a patient, completing a step and seeing it gone; and for everybody."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright, expect

from fhirbridge.fhir.capability import Way
from tests.unit.web.stage import PASSWORD, Stage, settle, two_misses
from tests.unit.web.trouble import trouble

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
STEP = "Contact the patient and offer another appointment"


@asynccontextmanager
async def served(stage: Stage) -> AsyncIterator[str]:
    """The application on loopback; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(stage.app, log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listening.close()


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    """Two people who missed appointments, at an EPR that takes no Tasks; the one is overdue."""
    stage = Stage(tmp_path, writes={"Task": Way.OWN}, public_url="http://127.0.0.1")
    await two_misses(stage, "p1", shares=False)
    stage.clock.time += timedelta(days=4)
    await settle(stage)
    await two_misses(stage, "p2")
    return stage


@pytest.fixture
async def browser(stage: Stage) -> AsyncIterator[Page]:
    """A page of Chromium at the door of the console. Nothing may go wrong in it unnoticed."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: make browser installs it")
    async with served(stage) as url, async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await chromium.new_page(base_url=url, locale="en-GB", timezone_id="Europe/London")
        wrong: list[str] = []
        page.on("console", lambda told: wrong.append(told.text) if "Content Security" in told.text else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto("/")
        yield page
        await chromium.close()
        assert wrong == []


async def sign_in(page: Page) -> None:
    await page.get_by_label("Name").fill("a.nwosu")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Work")


async def test_a_person_works_through_a_step(browser: Page, stage: Stage) -> None:
    page = browser
    await sign_in(page)
    await expect(page.locator("tbody tr")).to_have_count(2)
    await expect(page.locator("tbody tr").first).to_contain_text("Overdue")

    await page.get_by_label("Due", exact=True).select_option("Overdue")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.locator("tbody").get_by_role("link", name="Amina Okafor").click()
    await expect(page.get_by_text("Has been running since").first).to_be_visible()

    await page.get_by_role("link", name=STEP).click()
    await page.get_by_role("button", name="Complete").click()
    await expect(page.get_by_role("alert")).to_contain_text("Choose what came of it")
    await page.get_by_label("What came of it").select_option(label="No answer")
    await page.get_by_label("Note").fill("Rang twice.")
    await page.get_by_role("button", name="Complete").click()
    await expect(page.get_by_role("status")).to_contain_text("Completed")
    await settle(stage)

    await page.get_by_role("link", name="Work", exact=True).click()
    await expect(page.locator("tbody").get_by_text(STEP)).to_have_count(1)
    await page.goto("/patients/main/p1")
    await expect(page.get_by_text("answered Friday 6 March 2026 at 12:00: no answer")).to_be_visible()
    await expect(page.get_by_role("link", name="Opt in letter")).to_be_visible()

    await page.get_by_role("button", name="Sign out").click()
    await page.goto("/patients/main/p1")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


async def test_it_works_without_a_mouse(browser: Page) -> None:
    page = browser
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    await page.get_by_label("Name").focus()
    await page.keyboard.type("a.nwosu")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Work")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await page.get_by_role("link", name=STEP).first.evaluate("one => one === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(STEP)


async def test_a_person_finds_what_needs_attention(browser: Page, stage: Stage) -> None:
    page = browser
    await sign_in(page)
    await page.get_by_role("link", name="Needs attention").click()
    await expect(page.get_by_role("heading", name="Nothing needs attention")).to_be_visible()
    await expect(page.locator("table")).to_have_count(0)

    await trouble(stage)
    await page.reload()
    await expect(page.get_by_role("heading", name="Nothing needs attention")).to_have_count(0)
    for table, told in (
        ("Recorded in main", "Appointment, Encounter"),
        ("Held back", "It was written 12 times within an hour."),
        ("Not read", "Consent/unsaid"),
    ):
        await expect(page.get_by_role("table", name=table)).to_contain_text(told)
    await page.get_by_text("Steps that wait").click()
    await expect(page.get_by_text("Agree the discharge with the team manager")).to_be_visible()

    await page.get_by_role("table", name="Held back").get_by_role("link", name="Amina Okafor").click()
    await expect(page.get_by_text("1 record of this patient could not be read")).to_be_visible()
    await page.get_by_role("link", name="What to do", exact=True).click()
    await expect(page).to_have_url(re.compile("/attention#unread$"))


async def test_axe_finds_nothing_against_any_page(browser: Page, stage: Stage) -> None:
    page = browser
    await _no_faults(page)
    await sign_in(page)
    await page.goto("/attention")
    await _no_faults(page)
    await page.goto("/")
    item = await page.get_by_role("link", name=STEP).first.get_attribute("href")
    await trouble(stage)
    people = ("/patients?q=okafor", "/patients/main/p1", "/attention")
    for path in ("/", *people, str(item), "/policies", "/feeds", "/items/Task/x"):
        for width in (1180, 360):
            await page.set_viewport_size({"width": width, "height": 800})
            await page.goto(path)
            for closed in await page.locator("details").all():
                await closed.evaluate("one => { one.open = true }")
            await _no_faults(page)


async def _no_faults(page: Page) -> None:
    found = (await Axe().run(page)).response["violations"]
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == [], page.url
