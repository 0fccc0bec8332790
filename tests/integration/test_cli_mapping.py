"""`fhirbridge mapping` as it is run: what it prints, where, and its exit status."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fhirbridge.adapters.store import open_store
from fhirbridge.cli import app
from fhirbridge.core.facts import Appointment, AppointmentState
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.ports import Subject, Version
from fhirbridge.shipped import folder

NOW = datetime(2026, 1, 6, tzinfo=UTC)
ANN = Subject("ours", "Patient/p1")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["mapping", *map(str, arguments)])


def cancelled(number: int, code: str = "UNWELL") -> dict[str, Any]:
    return {
        "resourceType": "Appointment",
        "id": f"a{number}",
        "meta": {"versionId": "1", "lastUpdated": "2026-01-05T10:00:00Z"},
        "status": "cancelled",
        "cancelationReason": {
            "coding": [{"system": "https://our-epr.example/CodeSystem/cancellation-reason", "code": code}]
        },
        "start": "2026-01-05T09:00:00Z",
        "participant": [{"actor": {"reference": "Patient/p1"}}],
    }


@pytest.fixture
def own(tmp_path: Path) -> Path:
    where = tmp_path / "our-epr"
    assert run("init", where, "--extends", "uk-core").exit_code == 0
    return where


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "records.ndjson"
    nobodys = {**cancelled(3), "participant": []}
    observation = {"resourceType": "Observation", "id": "o", "meta": {"lastUpdated": "2026-01-05T10:00:00Z"}}
    resources = [cancelled(1), cancelled(2, "OTHER"), nobodys, observation]
    path.write_text("".join(json.dumps(resource) + "\n" for resource in resources))
    return path


def test_the_list() -> None:
    names = [one["mapping"] for one in json.loads(run("list", "--json").stdout)]
    assert names == ["epic", "oracle-health", "uk-core"]
    assert "oracle-health 1.0.0: Oracle Health Millennium (R4), extends uk-core" in run("list").stdout


def test_everything_that_ships_passes() -> None:
    done = run("check")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "uk-core: " in done.stderr
    assert "no findings" in done.stderr


def test_a_finding_names_file_line_and_the_nearest_and_the_status_is_1(own: Path) -> None:
    file = own / "codes" / "cancellation.yaml"
    file.write_text(file.read_text().replace("cancelled-by-patient", "canceled-by-patient"))
    done = run("check", own)
    assert done.exit_code == 1
    assert "codes/cancellation.yaml:6: 'canceled-by-patient' is no state of an appointment" in done.stdout
    assert "the nearest is 'cancelled-by-patient'" in done.stdout
    [checked] = json.loads(run("check", own, "--json").stdout)
    assert checked["findings"][0]["place"] == f"{file}:6"


def test_a_mapping_that_there_is_not_is_wrong_usage() -> None:
    done = run("check", "uk-cor")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "the nearest is 'uk-core'" in done.stderr


@pytest.mark.parametrize("parent", ["uk-core", "epic", "oracle-health"])
def test_what_init_writes_passes_the_check(tmp_path: Path, parent: str) -> None:
    where = tmp_path / "our-epr"
    assert run("init", where, "--extends", parent).exit_code == 0
    done = run("check", where)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "our-epr: 2 tests, no findings" in done.stderr
    assert Mapping.load(str(where), [folder("mappings")]).parent == parent


def test_init_overwrites_nothing(own: Path) -> None:
    (own / "mapping.yaml").write_text("mine")
    done = run("init", own)
    assert (done.exit_code, (own / "mapping.yaml").read_text()) == (2, "mine")
    assert "is there already" in done.stderr


def test_try_shows_the_line_that_gave_each_field_and_what_is_not_known(own: Path, records: Path) -> None:
    done = run("try", records, "--mapping", own)
    said = done.stdout.splitlines()
    assert done.exit_code == 0
    assert said[0] == "Appointment/a1 version 1: appointment, by rule 'appointment'"
    state = next(line for line in said if line.startswith("  state"))
    assert "cancelled-by-patient" in state
    lines = (folder("mappings") / "uk-core" / "mapping.yaml").read_text().splitlines()
    at = int(state.split("mapping.yaml:")[1].split()[0])
    assert "map: cancellation" in lines[at - 1]
    assert any("does not know https://our-epr.example/CodeSystem/cancellation-reason|OTHER" in line for line in said)
    assert any(line.startswith("Appointment/a3 version 1: unmapped by rule 'appointment': patient:") for line in said)
    assert "Observation/o: of no use here; no rule is for it" in said
    assert "4 resources: appointment 2." in said


def test_try_for_machines(own: Path, records: Path) -> None:
    done = run("try", records, "--mapping", own, "--json")
    first, _, third, last = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["resource"], first["rule"], first["fact"]["state"]) == (
        "Appointment/a1",
        "appointment",
        "cancelled-by-patient",
    )
    assert {"field", "value", "place", "path"} == set(first["found"][0])
    assert (third["fact"]["fact"], last["fact"], last["rule"]) == ("unmapped", None, None)
    assert "4 resources: appointment 2." in done.stderr


def test_try_of_something_wrong_names_file_line_and_element(tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({**cancelled(1), "status": "lost"}, indent=1))
    done = run("try", path)
    assert done.exit_code == 2
    assert f"{path}:8: Appointment.status: 'lost' is not allowed" in done.stderr


def settings(tmp_path: Path, own: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(
        f'database_url = "sqlite:///{tmp_path / "kept.db"}"\n'
        '[eprs.ours]\nbase_url = "http://127.0.0.1:1/fhir"\n'
        f'mapping = "{own}"\n'
    )
    return path


def state_and_due(tmp_path: Path, keep: list[Version] | None = None) -> tuple[list[object], list[Subject]]:
    """What the store says of the patient, and who is due; versions to keep first, decided on at once."""

    async def look() -> tuple[list[object], list[Subject]]:
        store = await open_store(f"sqlite:///{tmp_path / 'kept.db'}")
        try:
            if keep is not None:
                await store.keep("ours", keep, [], NOW)
                revision = (await store.load(ANN)).revision
                await store.commit(ANN, effects=(), outgoing=(), wakes_at=None, decided_at=NOW, revision=revision)
            known = await store.load(ANN)
            states: list[object] = [fact.state for fact in known.facts if isinstance(fact, Appointment)]
            return states, await store.due(datetime.now(UTC), 10)
        finally:
            await store.close()

    return asyncio.run(look())


def test_apply_reads_again_what_is_kept_and_asks_the_epr_nothing(tmp_path: Path, own: Path) -> None:
    before = Mapping.load("uk-core", [folder("mappings")])
    fact = before.fact(cancelled(1))
    assert fact is not None
    assert state_and_due(tmp_path, [Version(fact=fact, resource=cancelled(1))]) == ([AppointmentState.CANCELLED], [])
    config = settings(tmp_path, own)

    done = run("apply", "--epr", "ours", "--config", config)
    assert done.exit_code == 0, done.stderr
    assert "Read 1 versions again: 1 say something else, about 1 patients." in done.stderr
    assert "1 resources: appointment 1." in done.stdout
    assert state_and_due(tmp_path) == ([AppointmentState.CANCELLED_BY_PATIENT], [ANN])

    again = run("apply", "--epr", "ours", "--config", config)
    assert "0 say something else" in again.stderr


def test_apply_to_an_epr_that_there_is_not(tmp_path: Path, own: Path) -> None:
    done = run("apply", "--epr", "our", "--config", settings(tmp_path, own))
    assert done.exit_code == 2
    assert "'our' is no EPR of the settings; the nearest is 'ours'" in done.stderr
