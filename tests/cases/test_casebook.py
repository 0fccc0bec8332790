"""The casebook itself: it refuses what cannot be meant, it finds what differs, and its pages do not drift unseen."""

from pathlib import Path

import pytest

from fhirbridge.casebook import pages
from fhirbridge.casebook.__main__ import CASES, main, setting
from fhirbridge.casebook.case import Case
from fhirbridge.casebook.comparing import differences, rows_of
from fhirbridge.casebook.playing import Setting, pack_of, play
from fhirbridge.casebook.reading import case_files, read_case
from fhirbridge.casebook.times import parsed, shown
from fhirbridge.core.calendar import Calendar
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.r4 import Resource
from tests.unit.fhir.conformance import faults

SOUND = """\
title: One miss after an urgent referral
why: It shows.
rows: [rdash-5.1.1-contact]
record:
  - {on: 2026-02-02 09:00, referral: R1, priority: urgent}
  - {on: 2026-02-02 09:30, signal: risk-none}
  - {on: 2026-02-04 10:00, missed: A1, from: R1}
until: 2026-02-04 12:00
writes:
  - {on: 2026-02-04 10:00, task: contact-patient, to: allocated-assessor, due: 2026-02-04,
     for: rdash-5.1.1-contact, because: []}
"""


@pytest.fixture(scope="module")
def with_all() -> Setting:
    return setting()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "rdash-disengagement"
    folder.mkdir()
    return folder / "a-case.yaml"


def read(file: Path, text: str) -> Case:
    file.write_text(text, encoding="utf-8")
    return read_case(file, Calendar())


def compared(file: Path, text: str, with_all: Setting) -> list[str]:
    case = read(file, text)
    pack = pack_of(case, with_all)
    return differences(case, play(case, with_all, pack), rows_of(pack), with_all.calendar)


@pytest.mark.parametrize(
    ("before", "after", "line", "remedy"),
    [
        ("why: It shows.\n", "", 1, "why is missing; a case needs title, why, rows, record, until, writes"),
        ("title: One", "titel: One", 1, "'titel' means nothing here; known are absent, facts, "),
        ("2026-02-04 10:00, missed", "4 Feb, missed", 7, "write 2026-03-02 09:30"),
        ("2026-02-04 10:00, missed", "2026-02-30 10:00, missed", 7, "'2026-02-30 10:00' is no instant"),
        ("on: 2026-02-04 10:00, missed", "known: 2026-02-04 10:00, missed", 7, "'on' is missing: when did it happen?"),
        ("missed: A1", "mist: A1", 7, "a line says one thing; it needs exactly one of answer, arrived, "),
        ("missed: A1", "missed: A1, attended: A2", 7, "a line says one thing"),
        ("missed: A1", "booked: A1", 7, "'known' is missing: when was the appointment booked?"),
        ("from: R1}\nuntil", "form: R1}\nuntil", 7, "'form' means nothing beside 'missed'; known are from, "),
        ("until:", "gaps: [{from: 2026-02-04}]\nuntil:", 8, "to, types is missing; a gap needs from, to and types"),
        (
            "until:",
            "gaps: [{from: 2026-02-04, to: 2026-02-03, types: [Task]}]\nuntil:",
            8,
            "a gap ends after it began",
        ),
        (
            "until:",
            "gaps: [{from: 2026-02-04, to: 2026-02-05, types: [Visit]}]\nuntil:",
            8,
            "'Visit' is no resource type of FHIR R4",
        ),
        ("due: 2026-02-04,\n", "\n", 10, "a task needs 'due', nothing else has one"),
        ("to: allocated-assessor, ", "", 10, "a task or communication needs 'to'"),
        ("for: rdash-5.1.1-contact, ", "", 10, "a write needs 'on', 'for' (the ledger rows) and exactly one of task"),
        ("until: 2026-02-04 12:00", "until: noon", 8, "'noon' is no instant"),
    ],
)
def test_a_wrong_case_is_refused_by_file_line_and_remedy(
    file: Path, before: str, after: str, line: int, remedy: str
) -> None:
    assert before in SOUND
    with pytest.raises(ConfigurationError) as refused:
        read(file, SOUND.replace(before, after))
    assert str(refused.value).startswith(f"{file}:{line}: ")
    assert remedy in str(refused.value)


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("{on: 2026-02-04 11:00, missed: A1}", "'A1' is on record already; call this one something else with 'as:'"),
        (
            "{on: 2026-02-04 11:00, corrected: A9, to: attended}",
            "makes 'A9' of the right type; there are: A1, R1, risk",
        ),
        ("{on: 2026-02-04 11:00, corrected: A1, to: seen}", "'seen' is no state: write one of missed, attended, "),
        ("{on: 2026-02-04 11:00, signal: riks}", "'riks' is no signal: write one of agency-linked, "),
        (
            "{on: 2026-02-04 11:00, cancelled: A2, by: them}",
            "'them' cancels nothing: write patient, provider or nobody",
        ),
        ("{on: 2026-02-04 11:00, family: cousin}", "'cousin' is no relationship: write one of brother, "),
        ("{on: 2026-02-04 11:00, consent: maybe}", "'maybe' is no consent: write denies or permits, then family, "),
        (
            "{on: 2026-02-04 11:00, message: hello}",
            "'hello' is no message: write one of from gp, from patient, to gp, to patient",
        ),
        ("{on: 2026-02-04 11:00, discharge-date: A1, is: none}", "makes 'A1' of the right type"),
        ("{on: 2026-02-04 11:00, reopened: E1}", "makes 'E1' of the right type"),
        ("{on: 2026-02-04 11:00, answer: contact-family}", "no open Task 'contact-family' by then; open are: contact-"),
        ("{on: 2026-02-04 11:00, task: contact-patient, outcome: ok}", "'ok' is no outcome: write one of calling-card"),
        ("{on: 2026-02-04 11:00, resource: {id: x}}", "a resource needs at least resourceType and id"),
        (
            "{on: 2026-02-04 11:00, resource: {resourceType: Flag, id: x, status: going}}",
            "Flag.status: 'going' is not allowed",
        ),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused(file: Path, with_all: Setting, line: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        compared(file, SOUND.replace("until:", f"  - {line}\nuntil:", 1), with_all)
    assert str(refused.value).startswith(f"{file}:8: ")
    assert remedy in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("until: 2026-02-04 12:00", "until: 2026-02-04 12:00", []),
        ("due: 2026-02-04,", "due: 2026-02-05,", ["due expected 2026-02-05 23:59:59, but 2026-02-04 23:59:59"]),
        (
            "task: contact-patient",
            "task: contact-family",
            ["contact-family to allocated-assessor on", "not expected: "],
        ),
        ("because: []}", "priority: asap}", ["priority expected 'asap', but 'routine'"]),
        ("for: rdash-5.1.1-contact,", "for: rdash-5.1.1-family,", ["for expected rdash-5.1.1-family, but "]),
        ("rows: [rdash-5.1.1-contact]", "rows: [rdash-9]", ["rdash-9 is no row that the pack"]),
        (
            "because: []}",
            "then: cancelled corrected on 2026-02-04 11:00}",
            ["ended expected 2026-02-04 11:00, but no time", "then expected 'cancelled corrected', but 'as written'"],
        ),
        (
            "because: []}",
            "because: [in May]}",
            ["because expected 'in May' in "],
        ),
        ("until: 2026", "absent: [contact-patient]\nuntil: 2026", ["may never be written, but was"]),
        (
            "until: 2026",
            "facts: {Appointment/A1: {state: attended}}\nuntil: 2026",
            ["Appointment/A1 state expected 'attended', but 'missed'"],
        ),
        ("until: 2026", "facts: {Appointment/A1: {state: missed, start: 2026-02-04 10:00}}\nuntil: 2026", []),
    ],
)
def test_what_differs_is_told(file: Path, with_all: Setting, before: str, after: str, said: list[str]) -> None:
    assert before in SOUND
    found = compared(file, SOUND.replace(before, after, 1), with_all)
    assert len(found) == len(said)
    assert all(words in told for words, told in zip(said, found, strict=True))


def test_what_no_row_of_interest_cites_may_be_left_out(file: Path, with_all: Setting) -> None:
    text = SOUND[: SOUND.index("writes:")] + "writes: []\n"
    assert len(compared(file, text, with_all)) == 1
    assert compared(file, text + "only: [rdash-5.1.1-family]\n", with_all) == []


def test_the_record_is_fhir(with_all: Setting) -> None:
    """Every resource that any case of the casebook expands to is valid R4."""
    seen: dict[str, Resource] = {}
    for path in case_files(CASES):
        case = read_case(path, with_all.calendar)
        for resource in play(case, with_all, pack_of(case, with_all)).received:
            seen.setdefault(str({name for name in resource if name != "meta"}) + resource["resourceType"], resource)
    assert len(seen) > len({resource["resourceType"] for resource in seen.values()})
    assert [fault for resource in seen.values() for fault in faults(resource)] == []


def test_instants_are_shown_as_they_are_read() -> None:
    calendar = Calendar()
    for text in ("2026-02-04 10:00", "2026-07-04 10:00:30", "2026-10-25 01:30", "2026-10-25 01:30+00:00"):
        at = parsed(text, calendar)
        assert at is not None
        assert shown(at, calendar) == text


def test_a_page_that_drifted_is_named_with_its_line(file: Path, tmp_path: Path, with_all: Setting) -> None:
    made = pages.made([read(file, SOUND)], with_all.calendar)
    folder = tmp_path / "pages"
    pages.write(made, folder)
    assert pages.drifted(made, folder) == []
    page = folder / "rdash-disengagement.md"
    page.write_text(page.read_text(encoding="utf-8").replace("Missed before", "Missed after", 1), encoding="utf-8")
    (folder / "old.md").write_text("old", encoding="utf-8")
    first, second = pages.drifted(made, folder)
    assert first.startswith(f"{folder / 'old.md'}: nothing makes this page any more")
    assert second.startswith(f"{page}:")
    assert second.endswith("has drifted; run python -m fhirbridge.casebook --write")
    pages.write(made, folder)
    assert pages.drifted(made, folder) == []


def test_a_case_is_printed_as_ndjson(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SOUND, encoding="utf-8")
    assert main(["--fhir", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(line.startswith('{"resourceType":') for line in lines)


def test_a_wrong_file_ends_with_two_and_one_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("title: x\n", encoding="utf-8")
    assert main(["--show", str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"{file}:1: why is missing")
