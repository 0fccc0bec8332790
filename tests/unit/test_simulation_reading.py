"""Files of records, and where a flaw is said to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.errors import SenderError
from fhirbridge.simulation import read
from fhirbridge.simulation.places import line_at, path_of
from fhirbridge.simulation.reading import Deleted
from tests.unit.simulated_record import Resource, stored, twice_missed

RECORD = twice_missed("p1")
AT = "2026-01-01T09:00:00Z"
PERSON = stored("Patient", "p", AT)


def file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def ndjson(*resources: Resource) -> str:
    return "".join(json.dumps(one) + "\n" for one in resources)


def bundle(*entries: Any, kind: str = "collection") -> str:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)}, indent=1)


def whole(*resources: Resource) -> str:
    return bundle(*({"resource": one} for one in resources))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.ndjson", ndjson(*RECORD)),
        ("r.ndjson", "\ufeff" + ndjson(*RECORD) + "\n\n"),
        ("r.txt", ndjson(*RECORD)),
        ("r.json", whole(*RECORD)),
        ("r.json", json.dumps(json.loads(whole(*RECORD)))),
        ("r.ndjson", json.dumps(json.loads(whole(*RECORD)))),
    ],
    ids=["ndjson", "byte-order-mark", "ndjson-by-content", "bundle", "bundle-on-a-line", "bundle-in-ndjson"],
)
def test_every_form_gives_the_same(tmp_path: Path, name: str, text: str) -> None:
    assert list(read([file(tmp_path, name, text)])) == RECORD


def test_a_single_resource_is_read(tmp_path: Path) -> None:
    assert list(read([file(tmp_path, "p.json", json.dumps(PERSON, indent=2))])) == [PERSON]


def test_a_folder_is_read_with_what_lies_below(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    file(tmp_path, "a.json", whole(RECORD[0]))
    file(tmp_path / "below", "b.ndjson", ndjson(RECORD[1]))
    file(tmp_path, "notes.txt", "not a record")

    assert list(read([tmp_path])) == RECORD[:2]


def test_what_the_server_said_about_a_search_is_no_record(tmp_path: Path) -> None:
    outcome = {"search": {"mode": "outcome"}, "resource": {"resourceType": "OperationOutcome"}}

    assert list(read([file(tmp_path, "s.json", bundle(outcome, {"resource": PERSON}, kind="searchset"))])) == [PERSON]


def test_a_deletion_of_a_history_is_read(tmp_path: Path) -> None:
    entry = {"request": {"method": "DELETE", "url": "Patient/p"}, "response": {"status": "204", "lastModified": AT}}

    assert list(read([file(tmp_path, "h.json", bundle(entry, kind="history"))])) == [Deleted("Patient/p", AT)]


@pytest.mark.parametrize(
    ("text", "place", "element"),
    [
        ("{\n 'a': 1}", ":2", "not JSON"),
        ("", ":1", "not JSON"),
        ("[]", ":1", "not a JSON object"),
        (json.dumps({**PERSON, "resourceType": "Person7"}, indent=1), ":2", "resourceType"),
        (json.dumps({**PERSON, "id": "a b"}, indent=1), ":3", "Patient.id"),
        (json.dumps({**PERSON, "birthDate": "2026-02-30"}, indent=1), ":8", "Patient.birthDate"),
        (json.dumps({**PERSON, "meta": {}}, indent=1), ":4", "Patient.meta.lastUpdated"),
        (whole(PERSON, {**PERSON, "birthDate": "2026-13-01"}), ":23", "Bundle.entry[1]: Patient.birthDate"),
        (bundle({"fullUrl": "x"}), ":5", "Bundle.entry[0].resource"),
        (bundle(7), ":5", "Bundle.entry[0]"),
        (bundle({"resource": []}), ":6", "Bundle.entry[0]"),
        (bundle({"request": {"method": "DELETE", "url": "Patient/p"}}), ":5", "response.lastModified"),
    ],
)
def test_a_flaw_is_named_with_its_line_and_element(tmp_path: Path, text: str, place: str, element: str) -> None:
    path = file(tmp_path, "r.json", text)

    with pytest.raises(SenderError) as refused:
        list(read([path]))

    assert str(refused.value).startswith(f"{path}{place}: ")
    assert element in str(refused.value)


def test_the_line_of_ndjson_is_that_of_the_file(tmp_path: Path) -> None:
    path = file(tmp_path, "r.ndjson", ndjson(PERSON) + "\n" + ndjson({**PERSON, "gender": "m"}))

    with pytest.raises(SenderError, match=r"r\.ndjson:3: Patient\.gender: "):
        list(read([path]))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SenderError, match=r"none\.json: cannot be read: No such file"):
        list(read([tmp_path / "none.json"]))
    with pytest.raises(SenderError, match="holds no file that ends in"):
        list(read([tmp_path]))


TEXT = """{
  "a": [1, {"b": [[], {}]},
    {"c":
      "x"}]
}"""


@pytest.mark.parametrize(
    ("path", "line"),
    [([], 1), (["a"], 2), (["a", 1, "b"], 2), (["a", 2], 3), (["a", 2, "c"], 4), (["a", 9], 2), (["z"], 1), ([3], 1)],
)
def test_lines_of_elements(path: list[str | int], line: int) -> None:
    assert line_at(TEXT, path) == line


def test_the_path_of_an_element() -> None:
    assert path_of("Encounter.participant[0].period.end") == ["participant", 0, "period", "end"]
    assert path_of("resourceType") == ["resourceType"]
