"""What comes out depends on the set of versions that went in: on no order, repetition, cut or number of processes."""

from __future__ import annotations

import os
import random
import signal
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import caseload
from fhirbridge.errors import FhirbridgeError, SenderError
from fhirbridge.simulation import DryRun, Line, Patient, Yield, collect, final, final_lines, play, read, spread
from fhirbridge.simulation.reading import pieces, read_piece
from tests.shipped import CALENDAR, shipped_mapping, shipped_pack

MAPPING = shipped_mapping()
BY = DryRun(packs=(shipped_pack(),), calendar=CALENDAR)
UNTIL = datetime(2025, 3, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    made = tmp_path_factory.mktemp("caseload")
    caseload.write(made, 60, files=1, seed=7)
    return (made / "caseload-0.ndjson").read_bytes().splitlines(keepends=True)


def known(patient: Patient, until: datetime) -> Yield:
    """What is known about a patient, a line for each version."""
    versions = (version.fact for version in patient.versions)
    told = (f"{fact.source.versioned} {fact.known.isoformat()}\n".encode() for fact in versions)
    return Yield([Line(UNTIL, patient.reference, n, text) for n, text in enumerate(told)], {"seen": 1})


def written(by: DryRun, patient: Patient, until: datetime) -> Yield:
    return Yield(final_lines(play(patient, by, until)))


def spread_out(inputs: list[Path], processes: int, work: object = known) -> bytes:
    with spread(inputs, MAPPING, UNTIL, work, processes=processes) as (_, found):  # type: ignore[arg-type]
        return b"".join(found)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), files=st.integers(1, 3), repeated=st.integers(0, 40))
def test_no_order_and_no_repetition_matters(
    seed: int, files: int, repeated: int, lines: list[bytes], tmp_path: Path
) -> None:
    chance = random.Random(seed)
    shuffled = lines + chance.choices(lines, k=repeated)
    chance.shuffle(shuffled)
    names = [tmp_path / f"{number}.ndjson" for number in range(files)]
    for number, name in enumerate(names):
        name.write_bytes(b"".join(shuffled[number::files]))
    ordered = tmp_path / "ordered.ndjson"
    ordered.write_bytes(b"".join(sorted(lines)))
    assert spread_out(names, 1) == spread_out([ordered], 1)


def test_as_many_processes_as_there_are_write_the_same_bytes(lines: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"".join(lines))
    (tmp_path / "b.ndjson").write_bytes(b"".join(reversed(lines[:50])))
    work = partial(written, BY)
    alone = spread_out([tmp_path], 1, work)
    assert alone == spread_out([tmp_path], 3, work)
    patients = collect(read([tmp_path]), MAPPING, UNTIL).patients
    all_at_once = final(write for patient in patients for write in play(patient, BY, UNTIL))
    assert alone == b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in all_at_once)
    assert alone


@given(size=st.integers(1, 30_000))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_line_lies_in_one_piece(size: int, lines: list[bytes], tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    few = [*lines[:20], b"\n", *lines[20:24], lines[24].rstrip(b"\n")]
    file.write_bytes(b"".join(few))
    found = [one for piece in pieces([file], size) for one in read_piece(piece)]
    assert found == [orjson.loads(line) for line in few if line.strip()]


@pytest.mark.parametrize("size", [500, 9_000, 1_000_000])
@pytest.mark.parametrize("at", [0, 1, 7, 19])
def test_a_flaw_names_its_line_wherever_the_file_is_cut(size: int, at: int, lines: list[bytes], tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    file.write_bytes(b"".join([*lines[:at], b'{"resourceType": "Appointmen"}\n', *lines[at:20]]))
    with pytest.raises(SenderError) as caught:
        [one for piece in pieces([file], size) for one in read_piece(piece)]
    assert caught.value.place.startswith(f"{file}:{at + 1}:")


def test_of_several_flaws_the_first_is_told(lines: list[bytes], tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.ndjson").write_bytes(lines[number] + b"{}\n")
    with pytest.raises(SenderError, match=r"0\.ndjson:2"):
        spread_out([tmp_path], 2)


def ended_from_outside(patient: Patient, until: datetime) -> Yield:
    os.kill(os.getpid(), signal.SIGKILL)
    return known(patient, until)


def test_a_process_that_is_ended_from_outside_is_told_and_not_waited_for(lines: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"".join(lines))
    with pytest.raises(FhirbridgeError, match="ended from outside, most likely for want of memory; free some"):
        spread_out([tmp_path], 2, ended_from_outside)


def test_without_an_end_it_is_worked_through_up_to_the_last_version(lines: list[bytes], tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    file.write_bytes(b"".join(lines))
    last = max(orjson.loads(line)["meta"]["lastUpdated"] for line in lines)
    with spread([file], MAPPING, None, known) as (counts, found):
        told = list(found)
    assert counts.until == datetime.fromisoformat(last)
    assert (counts.later, counts.patients, counts.of_work) == (0, 3, {"seen": 3})
    assert len(told) == counts.versions == len(set(lines))


def test_what_was_deleted_goes_from_the_record_of_whoever_it_was_about(lines: list[bytes], tmp_path: Path) -> None:
    appointment = next(one for one in map(orjson.loads, lines) if one["resourceType"] == "Appointment")
    moved = orjson.loads(orjson.dumps(appointment).replace(b"Patient/p", b"Patient/q"))
    moved["meta"] |= {"versionId": "9", "lastUpdated": "2025-03-01T00:00:00Z"}
    gone = {"request": {"method": "DELETE", "url": f"Appointment/{appointment['id']}"}}
    gone["response"] = {"lastModified": "2025-03-02T00:00:00Z"}
    bundle = {
        "resourceType": "Bundle",
        "type": "history",
        "entry": [gone, {"resource": moved}, {"resource": appointment}],
    }
    (tmp_path / "a.json").write_bytes(orjson.dumps(bundle))
    told = spread_out([tmp_path], 2).decode().splitlines()
    assert sum("-deleted" in line for line in told) == 2
