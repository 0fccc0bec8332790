"""`mapping check`: each thing that it finds, with the line and the nearest that would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhirbridge.errors import NotKnown
from fhirbridge.fhir.mapping_lint import Checked, is_snomed, lint

MAPPINGS = Path(__file__).parents[3] / "mappings"

GOOD = """\
mapping: small
version: 1.0.0
time-zone: Europe/London
codes:
  states:
    - {system: "", to: {noshow: missed, fulfilled: attended}}
  risks:
    - {system: http://snomed.info/sct, to: {"401206008": self-harm-risk}}
rules:
  appointment:
    resource: Appointment
    when: participant.actor.exists()
    fact: appointment
    fields:
      patient: {path: participant.actor, types: Patient}
      state: {path: status, map: states}
      start: start
  flag:
    resource: Flag
    fact: signal
    fields:
      patient: subject
      signals: {path: code, map: risks}
  team:
    resource: CareTeam
    fact: none
"""
TESTS = """\
tests:
  - name: missed
    resource: {resourceType: Appointment, status: noshow, participant: [{actor: {reference: Patient/p1}}]}
    expect: {state: missed}
  - name: a flag
    resource: {resourceType: Flag, status: active, subject: {reference: Patient/p1}}
    expect: {signals: []}
  - name: a team
    resource: {resourceType: CareTeam}
    expect: none
"""


def checked(folder: Path, text: str = GOOD, tests: str = TESTS, **beside: str) -> Checked:
    (folder / "codes").mkdir(parents=True, exist_ok=True)
    (folder / "mapping.yaml").write_text(text)
    (folder / "tests.yaml").write_text(tests)
    for name, content in beside.items():
        (folder / f"{name}.yaml").write_text(content)
    return lint(str(folder), [MAPPINGS])


def test_a_good_mapping_has_no_flaws(tmp_path: Path) -> None:
    assert checked(tmp_path) == Checked(name="small", flaws=(), tests=3)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        (
            "start: start\n",
            "start: strat\n",
            17,
            "'strat' is no element of Appointment in FHIR R4; the nearest is 'start'",
        ),
        ("participant.actor,", "participant.actr,", 15, "'actr' is no element of Appointment.participant in FHIR R4"),
        ("when: participant.actor", "when: particpant.actor", 11, "'particpant' is no element of Appointment"),
        ("types: Patient", "types: Patiant", 15, "'Patiant' is no resource type of FHIR R4; the nearest is 'Patient'"),
        ("{noshow:", "{no-show:", 6, "'no-show' is no code of Appointment.status in FHIR R4; the nearest is 'noshow'"),
        ("noshow: missed", "noshow: mised", 6, "'mised' is no state of an appointment; the nearest is 'missed'"),
        ("self-harm-risk", "self-harm", 8, "'self-harm' is no signal; the nearest is 'self-harm-risk'"),
        ('"401206008"', '"401206009"', 8, "'401206009' is no SNOMED CT identifier"),
        ("map: risks", "map: risk", 23, "'risk' is no concept map; the nearest is 'risks'"),
        ("      signals: {path: code, map: risks}", "      signals: {value: risks}", 23, "'risks' is no signal"),
        ("  risks:\n", "  unused: []\n  risks:\n", 0, "'unused' is no map that a field asks"),
        ("      start: start\n", "      strat: start\n", 17, "'strat' is no field of the fact appointment"),
        ("    fact: none\n", "    fact: non\n", 25, "'non' is no fact; the nearest is 'none'"),
        ("extends", "extends", 0, ""),
    ],
)
def test_a_flaw_is_named_with_its_line_and_the_nearest(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    flaws = checked(tmp_path, GOOD.replace(old, new, 1)).flaws
    if not says:
        assert flaws == ()
        return
    [flaw] = [flaw for flaw in flaws if flaw.what.startswith(says)]
    file, _, at = flaw.place.rpartition(":")
    assert file == str(tmp_path / "mapping.yaml") or not line
    assert not line or int(at) in {line, line + 1}


def test_flaws_are_named_together(tmp_path: Path) -> None:
    text = GOOD.replace("start: start\n", "start: strat\n").replace("types: Patient", "types: Patiant")
    whats = [flaw.what for flaw in checked(tmp_path, text).flaws]
    assert [what.partition(" is no ")[0] for what in whats[:2]] == ["'Patiant'", "'strat'"]
    assert whats[2].startswith("missed: could not be mapped: patient: the resource names no patient")


def test_what_cannot_be_read_is_one_flaw(tmp_path: Path) -> None:
    [flaw] = checked(tmp_path, "rules: [").flaws
    assert flaw.what.startswith("not YAML")


def test_a_rule_behind_one_that_takes_everything_is_never_reached(tmp_path: Path) -> None:
    text = GOOD + "  late:\n    resource: Flag\n    when: status = 'inactive'\n    fact: none\n"
    whats = [flaw.what for flaw in checked(tmp_path, text).flaws]
    assert any(what.startswith("rule 'late' is never reached: 'flag'") for what in whats)


def test_a_rule_without_a_test_is_named(tmp_path: Path) -> None:
    [flaw] = checked(tmp_path, tests=TESTS.partition("  - name: a team")[0]).flaws
    assert flaw.what.startswith("rule 'team' has no test")
    assert flaw.place == f"{tmp_path / 'mapping.yaml'}:25"


def test_a_failing_test_is_named_with_its_line(tmp_path: Path) -> None:
    [flaw] = checked(tmp_path, tests=TESTS.replace("state: missed", "state: booked")).flaws
    assert (flaw.place, flaw.what) == (f"{tmp_path / 'tests.yaml'}:2", "missed: state: expected 'booked', got 'missed'")


def test_a_wrong_directory_is_named(tmp_path: Path) -> None:
    [flaw] = checked(tmp_path, directory="roles: {gp: {medium: pigeon}}\n").flaws
    assert "unknown medium 'pigeon'" in flaw.what
    [flaw] = checked(tmp_path, directory="roles: [\n").flaws
    assert flaw.what.startswith("not YAML")


def test_a_concept_map_in_two_places_is_refused(tmp_path: Path) -> None:
    checked(tmp_path)
    (tmp_path / "codes" / "states.yaml").write_text('- {system: "", to: {noshow: missed}}\n')
    [flaw] = checked(tmp_path).flaws
    assert flaw.what == "the concept map 'states' is in codes/states.yaml too; keep one of them"


def test_concept_maps_of_files_are_asked_before_those_of_the_parent(tmp_path: Path) -> None:
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "cancellation.yaml").write_text("- {system: urn:x, to: {A: cancelled-by-patint}}\n")
    [flaw] = checked(tmp_path, "mapping: own\nversion: 1.0.0\nextends: uk-core\n", "tests: []\n").flaws
    assert flaw.place == f"{tmp_path / 'codes' / 'cancellation.yaml'}:1"
    assert "the nearest is 'cancelled-by-patient'" in flaw.what


def test_a_mapping_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(NotKnown, match="there is no mapping 'uk-cor'; the nearest is 'uk-core'"):
        lint("uk-cor", [MAPPINGS])


@pytest.mark.parametrize(
    ("code", "valid"),
    [
        ("281399006", True),
        ("766561000000109", True),
        ("878111000000109", True),
        ("281399007", False),
        ("281390996", False),
        ("0", False),
        ("28139900a", False),
    ],
)
def test_the_check_digit_of_snomed(code: str, *, valid: bool) -> None:
    assert is_snomed(code) is valid
