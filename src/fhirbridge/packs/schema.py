"""The JSON Schema of pack files, for editors: made from the models that read the files, with the codes that exist.

An editor that knows YAML schemas completes and checks a pack while it is written, when the file begins with
`# yaml-language-server: $schema=pack.schema.json`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from fhirbridge.core.authoring import PackFile
from fhirbridge.core.codes import ACTIONS, ROLES
from fhirbridge.core.vocabulary import BASE, OUTCOMES, SETTINGS, SIGNALS

_CODES: dict[tuple[str, str], Iterable[str]] = {
    ("Act", "task"): ACTIONS,
    ("Act", "communication"): ACTIONS,
    ("Act", "flag"): ACTIONS,
    ("Act", "care-plan"): ACTIONS,
    ("Act", "to"): ROLES,
    ("Act", "out-of-hours"): ROLES,
    ("OutcomeOf", "action"): ACTIONS,
    ("Contact", "outcome"): OUTCOMES,
    ("Contact", "without"): OUTCOMES,
    ("When", "signal"): SIGNALS,
    ("When", "setting"): SETTINGS,
    ("Pathway", "signals"): SIGNALS,
}
"""Fields that hold codes, by the model and the name in the file."""


def schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12) of a pack file."""
    (made,), definitions = msgspec.json.schema_components([PackFile], ref_template="#/$defs/{name}")
    for (model, field), codes in _CODES.items():
        _limit(definitions[model]["properties"][field], sorted(codes))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{BASE}/pack.schema.json",
        "title": "A policy pack",
        **made,
        "$defs": definitions,
    }


def _limit(field: dict[str, Any], codes: list[str]) -> None:
    """Allow only these codes wherever the field holds text."""
    if field.get("type") == "string":
        field["enum"] = codes
    for part in (*field.get("anyOf", ()), *([field["items"]] if "items" in field else [])):
        _limit(part, codes)
