"""docs/policies.md says what is so: its example is clean, its conditions mean what stands beside them."""

import re
import tomllib
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import pytest
import yaml
from msgspec.structs import fields

from fhirbridge.core.authored_conditions import When
from fhirbridge.core.authoring import PackFile, Pathway
from fhirbridge.core.calendar import Calendar, span
from fhirbridge.core.compiling import compile_pack
from fhirbridge.core.sentences import Sentences, said
from fhirbridge.packs.lint import lint
from fhirbridge.packs.loading import read_pack

TEXT = (Path(__file__).parents[3] / "docs" / "policies.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[0]
CONDITIONS = TEXT.split("## Conditions")[1].split("\n## ")[0]
ROWS = re.findall(r"^\| `([a-z-]+: .*?)` \| (.*) \|$", CONDITIONS, re.MULTILINE)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    file = tmp_path / "home-visits.yaml"
    file.write_text(EXAMPLE, encoding="utf-8")
    return file


def test_the_example_is_clean(example: Path) -> None:
    assert lint(example) == []


@pytest.mark.parametrize(("written", "meaning"), ROWS, ids=[written for written, _ in ROWS])
def test_a_condition_means_what_stands_beside_it(written: str, meaning: str, example: Path) -> None:
    when = msgspec.convert(yaml.safe_load(f"{{{written}}}"), When)

    assert said(Sentences(read_pack(example)).condition(when)) == meaning


def test_every_condition_is_explained() -> None:
    explained = {written.partition(":")[0] for written, _ in ROWS}

    assert explained | {"all", "any", "not"} == {each.encode_name for each in fields(When)}


def test_every_anchor_is_explained() -> None:
    anchors = get_args(get_type_hints(Pathway)["once_per"])
    table = TEXT.split("| once per |")[1].split("\n\n")[0]

    assert set(re.findall(r"`([a-z-]+)`", table)) - {"signals", "outcomes"} == set(anchors)


def test_every_period_is_one() -> None:
    table = TEXT.split("## Periods and settings")[1].split("\n\n")[1]

    assert all(span(written) for line in table.splitlines()[2:] for written in re.findall(r"`([^`]+)`", line))


def test_the_overrides_are_taken(example: Path) -> None:
    overrides = tomllib.loads(re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)[0])["overrides"]
    pack: PackFile = read_pack(example)

    compiled = compile_pack(pack, calendar=Calendar(), overrides=overrides[pack.pack])

    assert compiled.settings["answer"] == "P3W"
