"""Mappings as files: what extends what, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhirbridge.core import facts
from fhirbridge.errors import ConfigurationError, NotKnown
from fhirbridge.fhir.mapping import Mapping

UK_CORE = Path(__file__).parents[3] / "mappings"

GOOD = """\
mapping: small
version: 1.0.0
time-zone: Europe/London
codes:
  states:
    - {system: "", to: {noshow: missed, "ful*": attended}}
rules:
  appointment:
    resource: Appointment
    fact: appointment
    fields:
      patient: {path: participant.actor, types: Patient}
      state: {path: status, map: states}
      start: start
"""


def load(tmp_path: Path, text: str, name: str = "small") -> Mapping:
    (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / name / "mapping.yaml").write_text(text)
    return Mapping.load(name, [tmp_path, UK_CORE])


def appointment(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Appointment",
        "id": "a1",
        "meta": {"lastUpdated": "2026-01-05T10:00:00Z"},
        "participant": [{"actor": {"reference": "Patient/p1"}}],
        **elements,
    }


def state(mapping: Mapping, **elements: Any) -> object:
    fact = mapping.fact(appointment(**elements))
    return fact.state if isinstance(fact, facts.Appointment) else fact


def test_a_small_mapping_works(tmp_path: Path) -> None:
    mapping = load(tmp_path, GOOD)
    assert (mapping.name, mapping.version, set(mapping.resource_types)) == ("small", "1.0.0", {"Appointment"})
    assert state(mapping, status="noshow") is facts.AppointmentState.MISSED
    assert state(mapping, status="fulfilled") is facts.AppointmentState.ATTENDED
    assert isinstance(mapping.fact(appointment(status="booked")), facts.Unmapped)


def test_a_folder_is_as_good_as_a_name(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    assert Mapping.load(str(tmp_path / "small"), []).name == "small"


def test_extending_states_only_what_differs(tmp_path: Path) -> None:
    mapping = load(
        tmp_path,
        """\
mapping: trust
version: 2.0.0
extends: uk-core
codes:
  cancellation:
    - {system: https://trust.example/reasons, to: {UNWELL: cancelled-by-patient}}
  appointment-status:
    - {system: "", to: {arrived: attended}}
rules:
  appointment:
    fields:
      start: extension('https://trust.example/real-start').value.ofType(dateTime)
  waiting:
    resource: Appointment
    when: status = 'waitlist'
    fact: none
""",
        "trust",
    )
    reason = {"coding": [{"system": "https://trust.example/reasons", "code": "UNWELL"}]}
    assert mapping.name == "trust"
    assert mapping.title == "UK Core (R4)"
    assert [file.parent.name for file in mapping.files] == ["trust", "uk-core"]
    assert state(mapping, status="cancelled", cancelationReason=reason) is facts.AppointmentState.CANCELLED_BY_PATIENT
    assert state(mapping, status="arrived") is facts.AppointmentState.ATTENDED, "the nearer map is asked first"
    assert state(mapping, status="noshow") is facts.AppointmentState.MISSED, "the rest is taken over"
    assert state(mapping, status="waitlist") is None, "an own rule comes before those taken over"
    real = {"url": "https://trust.example/real-start", "valueDateTime": "2026-01-05T09:05:00Z"}
    trace = mapping.trace(appointment(status="noshow", start="2026-01-05T09:00:00Z", extension=[real]))
    assert isinstance(trace.fact, facts.Appointment)
    assert trace.fact.start is not None
    assert trace.fact.start.minute == 5
    places = {found.field: Path(found.place.rsplit(":", 1)[0]).parent.name for found in trace.found}
    assert (places["start"], places["state"]) == ("trust", "uk-core")


def test_an_unknown_mapping_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(NotKnown, match=r"no mapping 'epr-x'; choose one of: .*uk-core"):
        Mapping.load("epr-x", [tmp_path, UK_CORE])


def test_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mapping.yaml").write_text("mapping: b\nversion: 1.0.0\nextends: a\n")
    with pytest.raises(ConfigurationError, match="in a circle"):
        load(tmp_path, "mapping: a\nversion: 1.0.0\nextends: b\n", "a")


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("fact: appointment", "fact: apointment", 8, "'apointment' is no fact; the nearest is 'appointment'"),
        ("resource: Appointment", "resource: Termin", 8, "'Termin' is no resource type of FHIR R4"),
        (
            "      start: start",
            "      begin: start",
            14,
            "'begin' is no field of the fact appointment; allowed are .*start",
        ),
        ("      start: start", "      start: start.", 14, r"FHIRPath 'start\.', position 7"),
        ("      start: start", "      start: {path: start, map: states}", 14, "a instant is no code"),
        (
            "      start: start",
            "      start: {path: start, whn: status}",
            14,
            "'whn' means nothing here; known are .*; the nearest is 'when'",
        ),
        ("      start: start", "      start: {when: status}", 14, "give either path or value"),
        ("      start: start", "      start: start\n      start: end", 15, "'start' is here twice"),
        ("map: states", "map: stats", 13, "'stats' is no concept map; the nearest is 'states'"),
        ("map: states", "map: states, take: best", 13, "take is first or last"),
        ("noshow: missed", "noshow: mised", 6, "'mised' is no state of an appointment; the nearest is 'missed'"),
        ("      patient: {path: participant.actor, types: Patient}\n", "", 8, "patient is missing"),
        ("      state: {path: status, map: states}\n", "", 8, "appointment needs state"),
        ("time-zone: Europe/London\n", "", 1, "time-zone is missing"),
        ("version: 1.0.0\n", "", 1, "version is missing"),
        ("rules:\n", "rules: []\nwrong:\n", 8, "'wrong' means nothing here"),
        ("rules:\n", "rules: [\n", 0, "not YAML"),
        ("    fact: appointment\n", "", 8, "needs resource and fact"),
        ('system: "", ', "", 6, "system is missing"),
    ],
)
def test_a_wrong_mapping_is_refused_with_file_and_line(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError, match=says) as error:
        load(tmp_path, GOOD.replace(old, new, 1))
    file, _, at = error.value.place.rpartition(":")
    assert file == str(tmp_path / "small" / "mapping.yaml")
    if line:
        assert int(at) in {line, line + 1}, error.value


def test_an_unknown_time_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no time zone 'Europe/Londn'"):
        load(tmp_path, GOOD.replace("Europe/London", "Europe/Londn"))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is empty"):
        load(tmp_path, "")
