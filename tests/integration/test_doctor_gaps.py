"""The doctor shows what may be missing of an EPR, from the service's own database, which it leaves as it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import respx
from typer.testing import CliRunner

from fhirbridge.adapters.store import open_store
from fhirbridge.cli import app
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.gaps import IN_WORDS, Cause, Gap
from fhirbridge.doctor import Level
from fhirbridge.doctor.gaps import Missing, of_gaps
from fhirbridge.packs.loading import load_pack
from fhirbridge.ports import Subject
from fhirbridge.service.gaps import REMEDIES
from fhirbridge.wiring.policies import calendar_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CALENDAR = calendar_of("Europe/London", "ENG")
PACKS = [load_pack("rdash-disengagement", calendar=CALENDAR)]
BASE = "https://epr.example/fhir"


def gap(kind: str, cause: Cause = Cause.ERROR, *, epr: str = "trust", since: datetime = NOON) -> Gap:
    return Gap(epr=epr, type=kind, feed="rest-hook", cause=cause, since=since, until=since)


async def kept(url: str, *gaps: Gap, held: tuple[str, ...] = ()) -> None:
    store = await open_store(url)
    for one in gaps:
        await store.gaps.found(one)
    for patient in held:
        await store.gaps.hold(Subject("trust", patient))
    await store.close()


async def looked(url: str) -> Missing:
    return await of_gaps(url, "trust", PACKS, CALENDAR)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'fhirbridge.db'}"


async def test_without_a_database_there_is_nothing_to_show_and_none_is_made(url: str, tmp_path: Path) -> None:
    missing = await looked(url)
    assert (missing.gaps, missing.held_back) == ((), None)
    [finding] = missing.found
    assert finding.level is Level.FINE
    assert "has not run" in finding.found
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 -- nothing else runs here


async def test_a_database_without_the_tables_of_this_version_is_left_as_it_is(url: str, tmp_path: Path) -> None:
    (tmp_path / "fhirbridge.db").touch()
    assert "has not run" in (await looked(url)).found[0].found


async def test_a_database_that_does_not_answer_is_said() -> None:
    [finding] = (await looked("postgresql://nobody@127.0.0.1:9/none")).found
    assert (finding.level, finding.remedy) == (Level.ATTENTION, "have the database answer, then ask again")


async def test_where_no_gap_is_open_it_says_so(url: str) -> None:
    await kept(url, gap("Task", epr="other"))
    missing = await looked(url)
    assert [(one.checked, one.found, one.level) for one in missing.found] == [("open gaps", "none", Level.FINE)]


async def test_gaps_of_one_cause_are_told_together_with_what_waits_and_what_to_do(url: str) -> None:
    later = datetime(2026, 3, 3, 8, 30, tzinfo=UTC)
    await kept(
        url,
        gap("Encounter", since=later),
        gap("Appointment"),
        gap("Appointment", Cause.DOWNTIME, since=later),
        held=("Patient/p1", "Patient/p2"),
    )

    missing = await looked(url)

    assert [(one.types, one.cause, one.since) for one in missing.gaps] == [
        (("Appointment", "Encounter"), Cause.ERROR, NOON),
        (("Appointment",), Cause.DOWNTIME, later),
    ]
    error, downtime, waits = missing.found
    assert (error.checked, downtime.checked) == ("Appointment, Encounter", "Appointment")
    assert "since Monday 2 March 2026 at 12:00" in error.found
    assert "because the EPR gave up notifying the service" in error.found
    assert "see that the service runs" in downtime.remedy
    assert "2 patients" in waits.found
    assert "Agree the discharge with the team manager" in waits.used
    assert "Contact the patient" not in waits.used
    assert missing.held_back is not None
    assert {step.step for step in missing.held_back.steps} >= {"rdash-5.6-agree", "rdash-5.3-three-weeks"}


@pytest.mark.parametrize(("held", "told"), [((), "nobody yet"), (("Patient/p1",), "1 patient ")])
async def test_how_many_wait_is_said(url: str, held: tuple[str, ...], told: str) -> None:
    await kept(url, gap("Appointment"), held=held)
    assert told in (await looked(url)).found[-1].found


def test_every_cause_has_its_words_and_what_to_do() -> None:
    assert set(IN_WORDS) == set(REMEDIES) == set(Cause)


def doctor(url: str, tmp_path: Path, *more: str) -> Any:
    config = tmp_path / "fhirbridge.yaml"
    config.write_text(f"database_url: '{url}'\neprs: {{trust: {{base_url: '{BASE}'}}}}")
    with respx.mock() as router:
        router.get(f"{BASE}/metadata").respond(503)
        return CliRunner().invoke(app, ["doctor", "--config", str(config), *more], env={"COLUMNS": "200"})


def test_the_command_shows_them_even_where_the_epr_does_not_answer(url: str, tmp_path: Path) -> None:
    asyncio.run(kept(url, gap("Appointment"), held=("Patient/p1",)))
    result = doctor(url, tmp_path)
    assert "Appointment" in result.stdout
    assert "see at the EPR why it gave up" in result.stdout

    [one] = orjson.loads(doctor(url, tmp_path, "--json").stdout)
    [shown] = one["gaps"]
    assert (shown["types"], shown["cause"], shown["since"]) == (
        ["Appointment"],
        "subscription-error",
        "2026-03-02T12:00:00Z",
    )
    assert (shown["why"], shown["remedy"]) == (IN_WORDS[Cause.ERROR], REMEDIES[Cause.ERROR])
    assert one["held_back"]["patients"] == 1
    assert {"pack", "step", "clause", "title"} == set(one["held_back"]["steps"][0])


def test_gaps_do_not_make_an_epr_unfit(url: str) -> None:
    asyncio.run(kept(url, gap("Appointment")))
    missing = asyncio.run(of_gaps(url, "trust", PACKS, Calendar()))
    assert {finding.level for finding in missing.found} == {Level.ATTENTION}
