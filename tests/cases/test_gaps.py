"""Cases with a gap: each pack that works towards a discharge has some, and in each waiting makes a difference."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fhirbridge.casebook.__main__ import CASES, setting
from fhirbridge.casebook.case import Case
from fhirbridge.casebook.comparing import differences, rows_of
from fhirbridge.casebook.playing import Setting, pack_of, play
from fhirbridge.casebook.reading import case_files, read_case
from fhirbridge.packs.loading import load_pack, shipped_packs

WITH_ALL = setting()
CASES_WITH_GAPS = [
    case for file in case_files(CASES) if "gap" in file.stem and (case := read_case(file, WITH_ALL.calendar)).outages
]


@pytest.fixture(scope="module")
def with_all() -> Setting:
    return WITH_ALL


def test_each_pack_that_works_towards_a_discharge_shows_that_it_waits(with_all: Setting) -> None:
    waiting = {}
    for name in shipped_packs():
        pack = load_pack(name, calendar=with_all.calendar)
        rows = {step.row for pathway in pack.pathways for step in pathway.steps if step.towards == "discharge"}
        if rows:
            waiting[name] = rows
    shown = {name: {row for case in CASES_WITH_GAPS if case.pack == name for row in case.rows} for name in waiting}

    assert len(waiting) == 4
    assert {name for name, rows in waiting.items() if not rows & shown[name]} == set()


def unheeded(case: Case) -> Case:
    """The same, as if nobody knew of the gap: what an appointment came to is learnt at its end, and nothing waits."""
    record = [
        replace(entry, known=gap.until)
        if (gap := next((one for one in case.outages if one.since <= entry.known < one.until), None))
        and entry.verb == "attended"
        else entry
        for entry in case.record
    ]
    return replace(case, outages=(), record=tuple(sorted(record, key=lambda entry: entry.known)))


@pytest.mark.parametrize("case", CASES_WITH_GAPS, ids=lambda case: case.name)
def test_had_the_service_not_waited_the_case_would_go_otherwise(case: Case, with_all: Setting) -> None:
    pack = pack_of(case, with_all)
    story = play(unheeded(case), with_all, pack)
    assert differences(case, story, rows_of(pack), with_all.calendar) != []
