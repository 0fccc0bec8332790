"""Packs assigned to services, at the command line: `simulate --config`, `policy lint --config`, `policy migrate`."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fhirbridge.adapters.store import open_store
from fhirbridge.cli import app
from fhirbridge.core.own import fold
from fhirbridge.ports import Known, Subject, Version
from fhirbridge.service.settling import settle
from tests.unit.simulated_record import twice_missed
from tests.unit.test_assigning import NAME, PACK, everywhere, facts_of, record_of

UNTIL = ("--until", "2026-02-02T00:00:00Z")
NOW = datetime(2026, 1, 26, 12, tzinfo=UTC)
PATIENT = Subject("main", "Patient/p1")
SERVICES = f"""
services:
  - {{name: north, match: {{service: [Organization/north]}}, packs: [{NAME}]}}
  - {{name: south, match: {{service: [Organization/south]}}, packs: [therapy-commitment]}}
"""


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def records(tmp_path: Path) -> Path:
    of = {"p1": "Organization/north", "p2": "Organization/south", "p3": "Organization/east"}
    resources = [one for patient, service in of.items() for one in record_of(service, patient=patient)]
    return written(tmp_path / "record.ndjson", "".join(json.dumps(one) + "\n" for one in resources))


# --- simulate --------------------------------------------------------------------------------------------


def test_the_pack_is_applied_to_the_cases_that_it_is_assigned_to(records: Path, tmp_path: Path) -> None:
    config = written(tmp_path / "c.yaml", SERVICES)

    done = invoke("simulate", records, "--pack", NAME, *UNTIL, "--config", config)

    tasks = [one for line in done.stdout.splitlines() if (one := json.loads(line))["resourceType"] == "Task"]
    assert {task["for"]["reference"] for task in tasks} == {"Patient/p1"}
    assert "No pack is for 1 cases" in done.stderr


def test_the_account_names_the_cases_that_no_pack_is_for(records: Path, tmp_path: Path) -> None:
    config = written(tmp_path / "c.yaml", SERVICES)

    done = invoke("simulate", records, "--pack", NAME, *UNTIL, "--config", config, "--explain")

    assert "No pack is for EpisodeOfCare/p3-e." in done.stdout
    assert "No pack is for EpisodeOfCare/p2-e." not in done.stdout


def test_a_pack_that_is_assigned_to_nobody_is_tried_on_everybody(records: Path, tmp_path: Path) -> None:
    config = written(tmp_path / "c.yaml", SERVICES.replace(NAME, "discharge-planning"))

    done = invoke("simulate", records, "--pack", NAME, *UNTIL, "--config", config)

    assert "is assigned to no service; it is applied to every case" in done.stderr
    assert all(f"Patient/{patient}" in done.stdout for patient in ("p1", "p2", "p3"))


# --- policy lint -----------------------------------------------------------------------------------------


def test_lint_says_where_two_packs_would_ask_for_the_same_thing(tmp_path: Path) -> None:
    both = SERVICES.replace(f"packs: [{NAME}]", f"packs: [{NAME}, inactivity-discharge]")
    config = written(tmp_path / "c.yaml", both)

    done = invoke("policy", "lint", "--config", config)

    assert done.exit_code == 1
    assert f"{config}: services.north.packs: " in done.stdout
    assert f"The packs {NAME} and inactivity-discharge both ask for Task" in " ".join(done.stdout.split())


def test_lint_finds_nothing_where_each_case_has_one_pack(tmp_path: Path) -> None:
    done = invoke("policy", "lint", "--config", written(tmp_path / "c.yaml", SERVICES))

    assert (done.exit_code, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("services", "says"),
    [
        ("services: [{name: a, packs: [nonesuch]}]", "services.a.packs: This is refused: there is no pack 'nonesuch'"),
        (f"services: [{{name: a, packs: [{NAME}], match: {{setting: [ward]}}}}]", "services.0.match.setting: "),
        (
            f"services: [{{name: a, packs: [{NAME}], overrides: {{{NAME}: {{x: 1}}}}}}]",
            "'x' is no setting",
        ),
        (f"services: [{{name: a, packs: [{NAME}]}}, {{name: b, packs: [{NAME}]}}]", "services.b: A stands before it"),
        ("packs: [nonesuch]", "packs: This is refused: there is no pack 'nonesuch'"),
        ("overrides: {nonesuch: {x: 1}}", "overrides.nonesuch: This is refused: there is no pack 'nonesuch'"),
        ("overrides: {therapy-commitment: {rate: 1}}", "overrides.therapy-commitment: This is refused"),
    ],
)
def test_lint_names_the_place_of_what_is_wrong(services: str, says: str, tmp_path: Path) -> None:
    done = invoke("policy", "lint", "--config", written(tmp_path / "c.yaml", services))

    assert done.exit_code == 1
    assert says in done.stdout


# --- policy migrate --------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A service in whose store a pathway of a patient runs with other settings than the present ones."""
    url = f"sqlite:///{tmp_path / 'f.db'}"
    asyncio.run(_fill(url))
    return written(
        tmp_path / "f.yaml",
        f"database_url: {url}\neprs: {{main: {{base_url: 'http://127.0.0.1:9/fhir', subscribe: false}}}}\n"
        f"overrides: {{{NAME}: {{routine-phone: 3WD}}}}\n",
    )


async def _fill(url: str) -> None:
    facts = facts_of(twice_missed("p1"))
    store = await open_store(url)
    await store.keep(
        "main", [Version(fact=fact, resource={"resourceType": fact.source.type}) for fact in facts], (), NOW
    )
    loaded = await store.load(PATIENT)
    settled = settle(everywhere(PACK), Known(facts=facts, effects=(), references={}), NOW)
    await store.commit(
        PATIENT, effects=settled.effects, outgoing=(), wakes_at=None, decided_at=NOW, revision=loaded.revision
    )
    await store.close()


async def _settings_in(url: str) -> set[object]:
    store = await open_store(url)
    known = await store.load(PATIENT)
    await store.close()
    return {run.settings["routine-phone"] for run in fold(known.effects).runs.values()}


def test_migrating_is_shown_first_and_done_with_yes(config: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'f.db'}"

    shown = invoke("policy", "migrate", NAME, "--config", config)
    before = asyncio.run(_settings_in(url))
    done = invoke("policy", "migrate", NAME, "--config", config, "--yes")

    assert (shown.exit_code, done.exit_code) == (0, 0)
    assert "main Patient/p1: 2 running pathways" in shown.stdout
    assert "2 running pathways of 1 patients would be moved; --yes does it." in shown.stderr
    assert "2 running pathways of 1 patients were moved." in done.stderr
    assert (before, asyncio.run(_settings_in(url))) == ({"2WD"}, {"3WD"})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("nonesuch",), "'nonesuch' is no pack of the settings"), ((NAME, "--epr", "other"), "'other' is no EPR")],
)
def test_migrating_what_is_not_there_is_wrong_usage(arguments: tuple[str, ...], says: str, config: Path) -> None:
    done = invoke("policy", "migrate", *arguments, "--config", config)

    assert done.exit_code == 2
    assert says in done.stderr


def test_only_runs_of_the_version_that_is_named_move(config: Path) -> None:
    done = invoke("policy", "migrate", NAME, "--config", config, "--from", "0.0.1")

    assert (done.exit_code, done.stdout) == (0, "")
