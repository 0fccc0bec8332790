"""`fhirbridge policy …` as it is called: what it prints where, how it ends, and what it loads for that."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fhirbridge.cli import app
from fhirbridge.cli.deferred import COMMANDS, Deferred
from fhirbridge.generate import as_bytes, files, main, place, resources, shipped
from fhirbridge.packs.loading import pack_path, shipped_packs

HEAVY = ("sqlalchemy", "alembic", "fastapi", "starlette", "celery", "uvicorn", "httpx", "aiosqlite", "psycopg")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    file = tmp_path / "faulty.yaml"
    text = pack_path("therapy-commitment").read_text(encoding="utf-8")
    file.write_text(text.replace("to: lead-professional", "to: lead-singer", 1), encoding="utf-8")
    return file


def test_lint_of_what_ships_finds_nothing() -> None:
    result = run("policy", "lint")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Nothing found.\n")


def test_lint_prints_a_line_for_each_finding_and_ends_with_1(faulty: Path) -> None:
    result = run("policy", "lint", str(faulty))

    (line,) = result.stdout.splitlines()
    number = 1 + next(i for i, text in enumerate(faulty.read_text("utf-8").splitlines()) if "lead-singer" in text)
    assert result.exit_code == 1
    assert line.startswith(
        f"{faulty}:{number}: commitment-inform: 'lead-singer' is no role that anybody knows. Use a code of the contract"
    )


def test_lint_as_json(faulty: Path) -> None:
    result = run("policy", "lint", "--json", str(faulty))

    assert result.exit_code == 1
    assert [sorted(flaw) for flaw in json.loads(result.stdout)] == [["place", "remedy", "step", "what"]]
    assert json.loads(run("policy", "lint", "--json").stdout) == []


@pytest.mark.parametrize("command", ["lint", "show", "export"])
def test_a_pack_that_does_not_exist_is_wrong_usage_and_the_packs_are_named(command: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("fhirbridge")), "policy", command, "nowhere"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 2
    assert "there is no pack 'nowhere'" in done.stderr
    assert "rdash-disengagement" in done.stderr


def test_show_on_a_terminal() -> None:
    result = run("policy", "show", "therapy-commitment")

    assert result.exit_code == 0
    assert "Asked for when two of the last four appointments were missed." in result.stdout
    assert "What a trust may change" in result.stdout


def test_show_as_html_goes_to_standard_output_or_a_file(tmp_path: Path) -> None:
    page = run("policy", "show", "therapy-commitment", "--html").stdout
    run("policy", "show", "therapy-commitment", "--out", str(tmp_path / "page.html"))

    assert page.startswith("<!doctype html>")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page


def test_export_writes_what_is_generated_into_a_folder(tmp_path: Path) -> None:
    result = run("policy", "export", "--out", str(tmp_path))

    assert result.exit_code == 0
    for resource in resources(shipped()):
        assert (tmp_path / place(resource)).read_bytes() == as_bytes(resource)


def test_export_of_one_pack_leaves_out_the_others(tmp_path: Path) -> None:
    run("policy", "export", "therapy-commitment", "--out", str(tmp_path))

    assert [file.stem for file in (tmp_path / "PlanDefinition").iterdir()] == ["therapy-commitment"]


def test_list_names_every_pack_and_its_actions() -> None:
    packs = json.loads(run("policy", "list", "--json").stdout)

    assert [pack["pack"] for pack in packs] == list(shipped_packs())
    assert all(
        set(action) == {"type", "code", "to"}
        for pack in packs
        for pathway in pack["pathways"]
        for step in pathway["steps"]
        for action in step["actions"]
    )


def test_what_is_kept_in_the_project_is_what_is_generated(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--check"])

    assert (status, capsys.readouterr().err) == (0, "")


def test_what_is_stale_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made = files()
    first, second = list(made)[:2]
    changed = {**made, first: b"{}"}
    del changed[second]
    monkeypatch.setattr("fhirbridge.generate.files", lambda: changed)

    assert main(["--check"]) == 1
    told = capsys.readouterr().err
    assert f"{first}: is not what it is made from; run" in told
    assert f"{second}: nothing makes this file any more; run" in told


@pytest.mark.parametrize("command", COMMANDS, ids=[str(command.name) for command in COMMANDS])
def test_the_line_in_the_help_is_what_the_command_says_of_itself(command: Deferred) -> None:
    own = str(command.loaded().help)

    assert own.startswith(str(command.help).rstrip(".").split(". ")[0])


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["policy", "list", "--json"], ["policy", "lint"], ["simulate", "--help"]],
    ids=" ".join,
)
def test_what_only_reads_policies_loads_neither_store_nor_web(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from fhirbridge.cli import main\n"
        f"sys.argv = ['fhirbridge', *{arguments!r}]\n"
        "try:\n    main()\n"
        "finally:\n"
        f"    print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", [str(command.name) for command in COMMANDS])
def test_the_help_lists_every_command_and_each_has_help_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")

    assert name in run("--help").stdout
    own = run(name, "--help").stdout
    assert f"fhirbridge {name}" in own
    assert "completion" not in own
