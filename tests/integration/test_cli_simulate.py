"""`fhirbridge simulate` and `policy list` as they are run: a process, its exit status, its two streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fhirbridge.cli import app
from tests.unit.simulated_record import twice_missed

UNTIL = ("--until", "2026-02-02T00:00:00Z")
PACK = ("--pack", "rdash-disengagement")


def fhirbridge(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("fhirbridge")), *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FHIRBRIDGE_")}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean, check=False)


def invoke(*arguments: object) -> Result:
    """The same in this process, where starting another would show nothing more."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "record.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in twice_missed("p1")))
    return path


def test_data_goes_to_standard_output_and_words_to_standard_error(record: Path) -> None:
    done = fhirbridge("simulate", record, *PACK, *UNTIL)

    kinds = [json.loads(line)["resourceType"] for line in done.stdout.splitlines()]
    assert (done.returncode, kinds[:2]) == (0, ["Task", "Provenance"])
    assert "Read 6 versions about 1 patients" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_output_can_go_to_a_file(record: Path, tmp_path: Path) -> None:
    to_file = invoke("simulate", record, *PACK, *UNTIL, "--out", tmp_path / "out.ndjson")

    assert (to_file.exit_code, to_file.stdout) == (0, "")
    assert (tmp_path / "out.ndjson").read_text() == invoke("simulate", record, *PACK, *UNTIL).stdout


def test_the_account_instead(record: Path) -> None:
    done = invoke("simulate", record, *PACK, *UNTIL, "--explain")

    assert done.exit_code == 0
    assert "rdash-5.3-contact" in done.stdout
    assert not done.stdout.startswith("{")


def test_settings_of_the_service_count(record: Path, tmp_path: Path) -> None:
    settings = tmp_path / "fhirbridge.toml"
    settings.write_text("[overrides.rdash-disengagement]\nroutine-phone = '3WD'\n")

    done = invoke("simulate", record, *PACK, *UNTIL, "--config", settings)

    due = json.loads(done.stdout.splitlines()[0])["restriction"]["period"]["end"]
    assert (done.exit_code, due) == (0, "2026-01-29T23:59:59+00:00")


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        (
            "overrides: {rdash-disengagement: {routine-phone: 99WD}}",
            "overrides.rdash-disengagement: rdash-disengagement: ",
        ),
        ("overrides: {nonesuch: {x: 1}}", "overrides.nonesuch: there is no pack 'nonesuch'"),
        ("pack: [nonesuch]", "pack: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(settings: str, cause: str, record: Path, tmp_path: Path) -> None:
    file = tmp_path / "fhirbridge.yaml"
    file.write_text(settings)

    done = invoke("simulate", record, *PACK, *UNTIL, "--config", file)

    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{file}: {cause}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ((*PACK, "--until", "2026-02-02"), "--until: '2026-02-02' is not an instant; write date, time and offset"),
        ((*PACK, "--until", "2026-02-02T10:00:00"), "write date, time and offset"),
        (("--pack", "nonesuch", *UNTIL), "there is no pack 'nonesuch'"),
        ((*PACK, *UNTIL, "--mapping", "nonesuch"), "there is no mapping 'nonesuch'"),
        ((*PACK, *UNTIL, "--config", "/nonesuch.toml"), "/nonesuch.toml: cannot be read"),
        ((*PACK, *UNTIL, "--out", "/nonesuch/out"), "/nonesuch/out: cannot be written"),
        (UNTIL, "Missing option '--pack'"),
        ((*PACK, *UNTIL, "--frob"), "--frob"),
    ],
)
def test_wrong_usage_ends_with_two_and_one_line(record: Path, arguments: tuple[str, ...], cause: str) -> None:
    done = invoke("simulate", record, *arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert cause in done.stderr
    assert done.stderr.count("\n") == 1


def test_bad_input_is_named_by_file_line_and_element(record: Path) -> None:
    record.write_text(record.read_text() + '{"resourceType": "Appointment", "id": "a"}\n')

    done = fhirbridge("simulate", record, *PACK, *UNTIL)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"fhirbridge: {record}:7: Appointment.meta.lastUpdated: is missing")
    assert done.stderr.count("\n") == 1


def test_policies_are_listed_for_machines() -> None:
    done = invoke("policy", "list", "--json")

    packs = {pack["pack"]: pack for pack in json.loads(done.stdout)}
    pack = packs["rdash-disengagement"]
    steps = {step["id"]: step for pathway in pack["pathways"] for step in pathway["steps"]}
    assert done.exit_code == 0
    assert set(pack) == {"pack", "version", "title", "source", "pathways"}
    assert set(pack["pathways"][0]) == {"id", "title", "steps"}
    contact = steps["rdash-5.3-contact"]
    assert set(contact) == {"id", "clause", "title", "actions"}
    assert (contact["clause"], contact["actions"]) == (
        "5.3",
        [{"type": "Task", "code": "contact-patient", "to": "lead-professional"}],
    )


def test_policies_are_listed_for_people() -> None:
    done = invoke("policy", "list")

    assert done.exit_code == 0
    assert "rdash-5.3-contact" in done.stdout
    assert not done.stdout.startswith("[")
