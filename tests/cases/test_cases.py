"""Every case of the casebook, played: a record and a clock in, everything that is written out."""

from pathlib import Path

import pytest

from fhirbridge.casebook.__main__ import CASES, setting
from fhirbridge.casebook.comparing import differences, rows_of
from fhirbridge.casebook.playing import Setting, pack_of, play
from fhirbridge.casebook.reading import case_files, read_case

FILES = case_files(CASES)


@pytest.fixture(scope="module")
def with_all() -> Setting:
    return setting()


@pytest.mark.parametrize("file", FILES, ids=[f"{file.parent.name}/{file.stem}" for file in FILES])
def test_what_the_case_expects_is_written_and_nothing_else(file: Path, with_all: Setting) -> None:
    case = read_case(file, with_all.calendar)
    pack = pack_of(case, with_all)
    assert differences(case, play(case, with_all, pack), rows_of(pack), with_all.calendar) == []
