"""The mappings that ship against their own tables, and what a mapping promises whatever the resource."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhirbridge.core import facts
from fhirbridge.fhir.fact_fields import FACTS
from fhirbridge.fhir.mapping import Mapping, Strange
from fhirbridge.fhir.mapping_lint import lint
from fhirbridge.fhir.mapping_table import Verdict, run_table
from fhirbridge.fhir.paths import is_everyday

ROOT = Path(__file__).parents[3] / "mappings"
SHIPPED = sorted(file.parent.name for file in ROOT.glob("*/mapping.yaml"))
UK_CORE = Mapping.load("uk-core", [ROOT])
VERDICTS = [
    (name, verdict) for name in SHIPPED for verdict in run_table(Mapping.load(name, [ROOT]), ROOT / name / "tests.yaml")
]

NOSHOW: dict[str, Any] = {
    "resourceType": "Appointment",
    "id": "a1",
    "meta": {"versionId": "4", "lastUpdated": "2026-01-05T10:00:00+01:00"},
    "status": "noshow",
    "start": "2026-01-05T09:00:00Z",
    "participant": [{"actor": {"reference": "Patient/p1"}}],
    "serviceType": [{"coding": [{"system": "s", "code": "1"}, {"system": "s", "code": "1"}]}],
}


@pytest.mark.parametrize("verdict", [v for _, v in VERDICTS], ids=[f"{name}: {v.name}" for name, v in VERDICTS])
def test_the_table_of_the_mapping(verdict: Verdict) -> None:
    assert verdict.failed == (), verdict.place


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_has_nothing_for_the_lint_to_find_and_an_example_and_a_page(name: str) -> None:
    assert lint(name, [ROOT]).flaws == ()
    assert all((ROOT / name / file).is_file() for file in ("README.md", "directory.yaml", "tests.yaml"))


def test_the_table_covers_every_rule() -> None:
    table = (ROOT / "uk-core" / "tests.yaml").read_text()
    assert [name for name in sorted(UK_CORE.resource_types) if f"resourceType: {name}" not in table] == []


def test_a_table_notices_what_differs(tmp_path: Path) -> None:
    table = tmp_path / "tests.yaml"
    table.write_text(
        "tests:\n"
        "  - {name: wrong state, resource: &a {resourceType: Appointment, status: noshow,"
        " participant: [{actor: {reference: Patient/p1}}]}, expect: {state: booked}}\n"
        "  - {name: wrongly none, resource: *a, expect: none}\n"
        "  - {name: refused, resource: {resourceType: Appointment, status: lost}, expect: none}\n"
        "  - {name: no use, resource: {resourceType: Basic}, expect: {fact: signal}}\n"
    )
    verdicts = run_table(UK_CORE, table)
    assert [bool(verdict.failed) for verdict in verdicts] == [True] * 4
    assert verdicts[0].failed == ("state: expected 'booked', got 'missed'",)
    assert verdicts[0].place == f"{table}:2"
    assert [verdict.rule for verdict in verdicts] == ["appointment", "appointment", "", ""]
    assert "Appointment.status" in verdicts[2].failed[0]


def test_a_table_notices_a_field_that_there_is_not(tmp_path: Path) -> None:
    table = tmp_path / "tests.yaml"
    table.write_text(
        "tests:\n  - {name: misspelt, resource: {resourceType: Appointment, status: noshow,"
        " participant: [{actor: {reference: Patient/p1}}]}, expect: {strt: null}}\n"
    )
    [verdict] = run_table(UK_CORE, table)
    assert verdict.failed[0].startswith("'strt' is no field of the fact appointment; the nearest is 'start'")


def test_a_fact_has_its_source_and_both_times_in_utc() -> None:
    fact = UK_CORE.fact(NOSHOW)
    assert fact == facts.Appointment(
        source=facts.Source("Appointment", "a1", "4"),
        known=datetime(2026, 1, 5, 9, tzinfo=UTC),
        patient="Patient/p1",
        state=facts.AppointmentState.MISSED,
        start=datetime(2026, 1, 5, 9, tzinfo=UTC),
        services=("s|1",),
    )
    assert fact.known.tzinfo is UTC


def test_a_trace_names_the_line_of_every_field() -> None:
    trace = UK_CORE.trace(NOSHOW)
    assert (trace.fact, trace.rule) == (UK_CORE.fact(NOSHOW), "appointment")
    lines = (ROOT / "uk-core" / "mapping.yaml").read_text().splitlines()
    found = {one.field: one for one in trace.found}
    assert set(found) == {"patient", "erased", "state", "start", "services"}
    for one in trace.found:
        file, line = one.place.rsplit(":", 1)
        assert file == str(ROOT / "uk-core" / "mapping.yaml")
        assert one.path.removeprefix("value: ") in lines[int(line) - 1]
    assert found["state"].value is facts.AppointmentState.MISSED


def test_a_trace_of_something_of_no_use_is_empty() -> None:
    trace = UK_CORE.trace({"resourceType": "Basic", "id": "b", "meta": {"lastUpdated": "2026-01-05T10:00:00Z"}})
    assert (trace.fact, trace.rule, trace.found) == (None, "", ())


def cancelled(*codes: tuple[str, str]) -> dict[str, Any]:
    coding = [{"system": system, "code": code} for system, code in codes]
    return {**NOSHOW, "status": "cancelled", "cancelationReason": {"coding": coding}}


def test_a_trace_names_the_codes_that_no_map_knows_once() -> None:
    trace = UK_CORE.trace(cancelled(("urn:x", "77"), ("urn:x", "77")))
    assert trace.strange == (Strange("state", "attendance, cancellation", "urn:x", "77"),)


def test_a_concept_with_one_known_coding_is_known() -> None:
    hl7 = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
    assert UK_CORE.trace(cancelled(("urn:x", "77"), (hl7, "pat"))).strange == ()


def test_a_date_that_cannot_be_is_unmapped_with_the_field() -> None:
    fact = UK_CORE.fact({**NOSHOW, "start": "2026-02-30T09:00:00Z"})
    assert isinstance(fact, facts.Unmapped)
    assert fact.patient == "Patient/p1"
    assert fact.reason.startswith("start: 2026-02-30T09:00:00Z is not possible")


def test_every_field_of_every_fact_can_be_mapped() -> None:
    derived = {"source", "known", "patient", "erased"}
    for name, (made, kinds) in FACTS.items():
        assert set(made.__struct_fields__) - derived == set(kinds), name


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_stays_on_the_fast_path(name: str) -> None:
    slow = [
        path
        for rules in Mapping.load(name, [ROOT])._rules.values()
        for rule in rules
        for field in rule.fields
        for origin, _ in field.origins
        for path in (origin.path, origin.when)
        if path and not is_everyday(path)
    ]
    assert slow == []


def test_a_mapping_may_be_shared_between_threads() -> None:
    wanted = UK_CORE.fact(NOSHOW)
    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.append(UK_CORE.fact(NOSHOW))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [wanted] * 8


ODD = st.recursive(
    st.sampled_from([None, True, 0, 1.5, "", "Patient/p1", "2026", "2026-13", "noshow"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["reference", "coding", "code", "system", "actor", "start", "end", "value", "type"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
ELEMENTS = ["status", "participant", "subject", "for", "period", "code", "extension", "start", "provision", "contained"]


@given(
    kind=st.sampled_from(sorted(UK_CORE.resource_types)),
    elements=st.dictionaries(st.sampled_from(ELEMENTS), ODD, max_size=5),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_resource_holds_the_answer_is_a_fact(kind: str, elements: dict[str, Any]) -> None:
    resource = {"resourceType": kind, "id": "x", "meta": {"lastUpdated": "2026-01-05T10:00:00Z"}, **elements}
    fact = UK_CORE.fact(resource)
    assert fact is None or isinstance(fact, facts.Fact)
    assert UK_CORE.trace(resource).fact == fact
