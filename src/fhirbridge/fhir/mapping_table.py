"""A mapping's own table of tests: resources, and what the mapping has to make of each.

`tests.yaml` in the folder of the mapping:

    tests:
      - name: what this shows
        resource: {resourceType: …}      # meta, id and version are filled in where they do not matter
        expect: {fact: appointment, state: missed}     # only the fields named are compared; or: expect: none
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fhirbridge.core.facts import AnyFact
from fhirbridge.errors import SenderError
from fhirbridge.fhir.located_yaml import Spot, load
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.nearest import unknown
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.validation import check

FILE = "tests.yaml"
KNOWN = "2026-01-05T12:00:00Z"
"""When resources in a table became known, if they do not say."""


class Verdict(Struct, frozen=True):
    """How one test went: `failed` says what differs, empty when nothing does. `rule` is the rule that it ran."""

    name: str
    place: str
    failed: tuple[str, ...]
    rule: str = ""


def run_table(mapping: Mapping, file: Path) -> list[Verdict]:
    """Run every test of a table.

    Raises ConfigurationError with `file:line` when the table itself cannot be read.
    """
    top = load(file).items({"tests"})
    return [_run(mapping, spot) for spot in top["tests"].sequence()] if "tests" in top else []


def as_shown(fact: AnyFact) -> dict[str, Any]:
    """A fact as JSON values, its kind under `fact`: the form of tables and of whoever shows facts to people."""
    shown: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(fact))
    return shown


def _run(mapping: Mapping, spot: Spot) -> Verdict:
    items = spot.items({"name", "resource", "expect"})
    for needed in ("name", "resource", "expect"):
        if needed not in items:
            spot.fail(f"{needed} is missing")
    name = items["name"].text()
    resource: Resource = {"id": "x1", **items["resource"].value()}
    resource["meta"] = {"versionId": "1", "lastUpdated": KNOWN, **resource.get("meta", {})}
    try:
        check(resource)
    except SenderError as error:
        return Verdict(name, spot.place, (f"the resource is refused: {error}",))
    trace = mapping.trace(resource)
    fact, rule = trace.fact, trace.rule
    expected = items["expect"]
    if expected.is_text():
        if expected.text() != "none":
            expected.fail("expect is none or the fields of a fact")
        return Verdict(name, spot.place, () if fact is None else (f"expected no fact, got {as_shown(fact)}",), rule)
    if fact is None:
        return Verdict(name, spot.place, ("the mapping has no use for it",), rule)
    return Verdict(name, spot.place, tuple(_differences(expected.value(), as_shown(fact))), rule)


def _differences(expected: dict[str, Any], shown: dict[str, Any]) -> list[str]:
    if shown["fact"] == "unmapped" and expected.get("fact") != "unmapped":
        return [f"could not be mapped: {shown['reason']}"]
    said = []
    for field, value in expected.items():
        if field not in shown:
            said.append(unknown(field, shown, f"field of the fact {shown['fact']}"))
            continue
        got = shown.get(field)
        fits = value in got if field == "reason" and isinstance(got, str) else value == got
        if not fits:
            said.append(f"{field}: expected {value!r}, got {got!r}")
    return said
