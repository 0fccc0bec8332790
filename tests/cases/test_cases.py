"""Every case of the casebook, played: a record and a clock in, everything that is written out, and valid."""

from pathlib import Path

import pytest
from msgspec import Struct

from fhirbridge.casebook.__main__ import CASES, setting
from fhirbridge.casebook.case import Case
from fhirbridge.casebook.comparing import differences, rows_of
from fhirbridge.casebook.playing import Setting, Story, pack_of, play
from fhirbridge.casebook.reading import case_files, read_case
from tests.validators import faults_of_written

FILES = case_files(CASES)


class Played(Struct):
    """A case with what it came to, and the rows that its pack can cite."""

    case: Case
    story: Story
    rows: frozenset[str]


@pytest.fixture(scope="module")
def with_all() -> Setting:
    return setting()


@pytest.fixture(scope="module", params=FILES, ids=[f"{file.parent.name}/{file.stem}" for file in FILES])
def played(request: pytest.FixtureRequest, with_all: Setting) -> Played:
    """One case at a time, played once for all tests of it."""
    file: Path = request.param
    case = read_case(file, with_all.calendar)
    pack = pack_of(case, with_all)
    return Played(case, play(case, with_all, pack), rows_of(pack))


def test_what_the_case_expects_is_written_and_nothing_else(played: Played, with_all: Setting) -> None:
    assert differences(played.case, played.story, played.rows, with_all.calendar) == []


def test_what_is_written_is_valid(played: Played) -> None:
    ours = [kept for versions in played.story.written.values() for kept in versions if kept.provenance is not None]
    faults = [
        fault for kept in ours for one in (kept.resource, kept.provenance) if one for fault in faults_of_written(one)
    ]

    assert faults == []
