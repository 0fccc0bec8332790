"""Caseload: who owns how many people's open tasks, over several EPRs."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from fhirbridge.core.calendar import Calendar
from fhirbridge.errors import ConfigurationError
from fhirbridge.packs.loading import load_pack
from fhirbridge.reporting import CASELOAD_FORMATS, Coordinated, caseload, limit_of

CALENDAR = Calendar()
PACK = load_pack("twelve-point-discharge", calendar=CALENDAR)
UNTIL = datetime(2026, 4, 2, 9, tzinfo=UTC)


def task(patient: str, owner: str | None = "Practitioner/c", epr: str = "a", identity: str = "1") -> Coordinated:
    return Coordinated(epr=epr, patient=patient, identity=identity, owner=owner, read=True)


def test_a_person_counts_once_however_many_tasks_there_are() -> None:
    (one,) = caseload(PACK, [task("p1"), task("p1", identity="2"), task("p2")], UNTIL, 2).coordinators
    assert (one.people, one.tasks, one.over) == (("p1", "p2"), 3, False)


def test_the_same_reference_in_two_eprs_is_two_coordinators_and_two_people() -> None:
    found = caseload(PACK, [task("p1"), task("p1", epr="b"), task("p1", None, epr="c")], UNTIL, 1)
    assert [(one.epr, one.people, one.over) for one in found.coordinators] == [
        ("a", ("p1",), False),
        ("b", ("p1",), False),
    ]
    assert [(one.epr, one.coordinated) for one in found.unallocated] == [("c", False)]


def test_the_limit_is_the_policys_own() -> None:
    assert limit_of(PACK) == 15
    assert limit_of(replace(PACK, settings={**PACK.settings, "caseload": 12})) == 12


def test_a_policy_without_a_limit_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"twelve-point-discharge: has no setting `caseload`.*--limit"):
        limit_of(replace(PACK, settings={}))


def test_no_cell_is_a_formula() -> None:
    text = CASELOAD_FORMATS["csv"](caseload(PACK, [task("p1", "=cmd()")], UNTIL, 15), CALENDAR).decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["coordinator"] == "'=cmd()"


def test_the_page_escapes_what_it_shows() -> None:
    page = CASELOAD_FORMATS["html"](caseload(PACK, [task("<script>")], UNTIL, 15), CALENDAR).decode()
    assert "<script>" not in page
    assert "a: Practitioner/c" in page
