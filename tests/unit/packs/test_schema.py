"""The schema accepts what ships and refuses what reading refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fhirbridge.fhir.located_yaml import LOADER
from fhirbridge.packs.loading import pack_path, shipped_packs
from fhirbridge.packs.schema import schema

CHECKER = jsonschema.Draft202012Validator(schema())


def as_json(file: Path) -> Any:
    return json.loads(json.dumps(yaml.load(file.read_text(encoding="utf-8"), Loader=LOADER), default=str))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("name", shipped_packs())
def test_it_accepts_what_ships(name: str) -> None:
    assert not list(CHECKER.iter_errors(as_json(pack_path(name))))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda pack: pack.pop("version"), "$"),
        (lambda pack: pack.update(colour="red"), "$"),
        (lambda pack: pack["pathways"][0].update({"once-per": "moon"}), "$.pathways[0]['once-per']"),
        (lambda pack: pack["pathways"][0]["steps"][0]["do"][0].update(to="chef"), "$.pathways[0].steps[0].do[0].to"),
        (
            lambda pack: pack["pathways"][0]["steps"][0]["do"][0].update(task="shout"),
            "$.pathways[0].steps[0].do[0].task",
        ),
        (lambda pack: pack["pathways"][0]["starts"].update(signal="smoke"), "$.pathways[0].starts"),
    ],
)
def test_it_refuses_what_is_none(
    written: Callable[..., Path], change: Callable[[dict[str, Any]], object], place: str
) -> None:
    pack = as_json(written())
    change(pack)

    assert next(CHECKER.iter_errors(pack)).json_path.startswith(place)
