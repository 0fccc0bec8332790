"""The guide for receivers shows what is really sent, and what is really understood."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhirbridge.core.deliveries import Report
from fhirbridge.fhir import message
from fhirbridge.fhir.message_answer import heard
from fhirbridge.settings import Settings
from tests.unit.fhir.conformance import faults
from tests.unit.fhir.receiver_messages import COMMUNICATION, KEY, PERSON, SOURCE, TO

PAGE = (Path(__file__).parents[2] / "docs" / "channels.md").read_text(encoding="utf-8")
EXAMPLES: list[dict[str, Any]] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def test_the_message_of_the_guide_is_what_is_sent() -> None:
    assert EXAMPLES[0] == message.message(KEY, COMMUNICATION, PERSON, TO, SOURCE)


@pytest.mark.parametrize(
    ("number", "report"), [(1, Report.INFRASTRUCTURE_GOOD), (2, Report.BUSINESS_BAD), (3, Report.ANSWERED)]
)
def test_what_the_guide_has_receivers_say_is_understood(number: int, report: Report) -> None:
    assert len(EXAMPLES) == 4
    found = heard(EXAMPLES[number])
    assert (found.about, found.report) == (KEY, report)
    assert faults(EXAMPLES[number]) == []


def test_the_settings_of_the_page_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    settings = Settings(**yaml.safe_load(block.replace("…", "x" * 16)))
    assert settings.delivery == Settings().delivery, "the page shows what holds by default"
    assert settings.receivers["riverside"].way == "message"


def test_two_receivers_are_told_apart_by_endpoint_and_secret() -> None:
    one = {"endpoint": "https://a.example", "secret": "x" * 16}
    for other in (one | {"secret": "y" * 16}, one | {"endpoint": "https://b.example"}):
        with pytest.raises(ValueError, match="two receivers have the same"):
            Settings.model_validate({"receivers": {"one": one, "other": other}})


def test_a_deadline_is_a_period() -> None:
    with pytest.raises(ValueError, match="'soon' is no period: write PT24H"):
        Settings.model_validate({"delivery": {"fhir": "soon"}})


def test_the_page_names_every_status_we_answer_with() -> None:
    assert re.findall(r"\| (\d{3}) \|", PAGE) == ["200", "400", "401", "404", "413", "503"]
