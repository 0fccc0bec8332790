"""What would be wrong with a letter is found by name before anybody gets one, and every letter can be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from fhirbridge.cli import app
from fhirbridge.core.calendar import Calendar
from fhirbridge.doctor import Level
from fhirbridge.doctor.configured import of_letters
from fhirbridge.errors import ConfigurationError
from fhirbridge.settings import Settings, read_settings
from fhirbridge.wiring.letters import LARGEST_LOGO, lint_letters, stationery_of
from fhirbridge.wiring.policies import pack_of
from tests.unit.letters.desk import LOGO

LETTERS: dict[str, Any] = {
    "name": "Test Trust",
    "address": ["1 Test Road", "Testtown"],
    "phone": "01632 960001",
    "crisis_phone": "0808 157 0001",
}
PACK = pack_of("rdash-disengagement", Settings(), Calendar())


def settings(**letters: Any) -> Settings:
    return Settings.model_validate({"letters": {**LETTERS, **letters}})


def flaws(one: Settings) -> list[str]:
    return [str(flaw) for flaw in lint_letters(one, [PACK], Calendar())]


def test_nothing_is_wrong_with_what_ships() -> None:
    assert flaws(settings()) == []


def test_without_a_letterhead_the_doctor_says_what_follows() -> None:
    (finding,) = of_letters(Settings(), [PACK], Calendar())
    assert (finding.level, finding.remedy) == (
        Level.ATTENTION,
        "set letters: its name, address, phone and crisis_phone",
    )


def test_the_doctor_names_a_field_that_is_unknown(tmp_path: Path) -> None:
    text = 'actions: [opt-in-letter]\nto: [patient]\ntitle: T\nbody: [{says: ["Dear {pateint}"]}]\n'
    (tmp_path / "opt-in-letter.yaml").write_text(text, encoding="utf-8")
    (finding,) = of_letters(settings(texts=str(tmp_path)), [PACK], Calendar())
    assert finding.level is Level.LACKING
    assert f"{tmp_path / 'opt-in-letter.yaml'}: body, part 1: unknown field {{pateint}}" in finding.found


def test_a_letter_that_no_text_is_for_any_more_is_named(tmp_path: Path) -> None:
    text = "actions: [discharge-letter]\nto: [family]\ntitle: T\nbody: []\n"
    (tmp_path / "discharge-letter.yaml").write_text(text, encoding="utf-8")
    assert flaws(settings(texts=str(tmp_path))) == [
        "'discharge-letter' is not written to patient: it is for family alone"
    ]


@pytest.mark.parametrize("missing", sorted(LETTERS))
def test_a_letterhead_lacks_nothing_that_a_reader_needs(tmp_path: Path, missing: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"letters": {k: v for k, v in LETTERS.items() if k != missing}}))
    with pytest.raises(ConfigurationError, match=rf"letters\.{missing}: Field required"):
        read_settings(file)


def test_a_logo_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    for name, content, told in (
        ("logo.gif", b"GIF89a", "is no picture that can be used"),
        ("empty.svg", b"", "has 0 bytes"),
        ("large.png", b"x" * (LARGEST_LOGO + 1), "at most 300 KB"),
        ("broken.png", b"none", "the logo cannot be used"),
    ):
        (tmp_path / name).write_bytes(content)
        (flaw,) = flaws(settings(logo=str(tmp_path / name), logo_says="Test Trust"))
        assert flaw.startswith("letters.logo: ")
        assert told in flaw
    (tmp_path / "logo.svg").write_bytes(LOGO)
    assert flaws(settings(logo=str(tmp_path / "logo.svg"))) == [
        "letters.logo_says: say in words what the logo shows, for those who cannot see it"
    ]
    assert "cannot be read: No such file" in flaws(settings(logo=str(tmp_path / "none.svg"), logo_says="T"))[0]


def test_a_font_is_one_that_is_there(tmp_path: Path) -> None:
    assert flaws(settings(font="Frutiger"))[0].startswith("letters.font: no font is called 'Frutiger'; there are ")
    assert flaws(settings(fonts=str(tmp_path / "none"))) == [f"letters.fonts: {tmp_path / 'none'} is no folder"]
    assert stationery_of(settings(font="New Computer Modern"), Calendar()) is not None


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["letter", *arguments])


def test_letters_are_listed_with_whom_they_go_to() -> None:
    lines = run("list").stdout.splitlines()
    assert {"opt-in-letter\tpatient", "discharge-notice\tgp", "child-services-notice\tschool-nurse"} <= set(lines)
    assert not [line for line in lines if line.endswith("team-manager")]


def test_a_letter_can_be_looked_at(tmp_path: Path) -> None:
    done = run("show", "opt-in-letter", "--out", str(tmp_path / "a.pdf"))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")
    assert run("show", "discharge-notice", "--role", "gp", "--out", str(tmp_path / "b.png")).exit_code == 0
    assert sorted(file.name for file in tmp_path.glob("*.png")) == ["b-1.png", "b-2.png"]


def test_looking_at_what_is_not_there_is_told(tmp_path: Path) -> None:
    for arguments, told in (
        (["no-such-letter", "--out", "a.pdf"], "no-such-letter: no letter of that kind; there are: board-notice"),
        (["opt-in-letter", "--role", "gp", "--out", "a.pdf"], "gp: no letter of that kind; there are: patient"),
        (["opt-in-letter", "--out", "a.doc"], "--out: write FILE.pdf or FILE.png"),
        (["opt-in-letter", "--out", str(tmp_path / "none" / "a.pdf")], "cannot be written"),
    ):
        done = run("show", *arguments)
        assert (done.exit_code, told in done.stderr) == (2, True), done.stderr


def test_what_is_wrong_is_found_at_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"letters": {**LETTERS, "font": "None"}}))
    done = run("check", "--config", str(file))
    assert (done.exit_code, done.stdout.split(":")[0]) == (1, "letters.font")
    file.write_text(yaml.safe_dump({"letters": LETTERS}))
    assert run("check", "--config", str(file)).exit_code == 0
