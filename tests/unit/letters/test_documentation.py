"""What the pages on letters and on MESH show to copy is right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from fhirbridge.fhir.itk3 import HANDLING_FIELDS, SEND_DOCUMENT
from fhirbridge.letters.audiences import ROLES, TOLD, Audience, audience_of
from fhirbridge.letters.templates import FIELDS, MADE, load_templates
from fhirbridge.settings import Settings

DOCS = Path(__file__).parents[3] / "docs"
LETTERS = (DOCS / "letters.md").read_text(encoding="utf-8")
MESSAGES = (DOCS / "gp-messages.md").read_text(encoding="utf-8")


def blocks(page: str) -> list[dict[str, Any]]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]


def test_the_settings_can_be_copied() -> None:
    letterhead, _ = blocks(LETTERS)
    (mesh,) = blocks(MESSAGES)
    settings = Settings.model_validate({**letterhead, "mesh": mesh["mesh"]})
    assert settings.letters is not None
    assert settings.mesh is not None


def test_the_text_can_be_copied(tmp_path: Path) -> None:
    _, text = blocks(LETTERS)
    (tmp_path / "opt-in-letter.yaml").write_text(yaml.safe_dump(text))
    assert load_templates(tmp_path).of("opt-in-letter", Audience.PATIENT).title == text["title"]


def test_every_field_part_and_role_is_explained() -> None:
    for name in FIELDS:
        assert f"`{{{name}}}`" in LETTERS
    for name in (*MADE, *ROLES):
        assert f"`{name}`" in LETTERS


def test_who_is_told_what_is_as_the_page_says() -> None:
    words = {"name": "name", "born": "date of birth", "nhs-number": "NHS number", "address": "address"}
    rows = [row.split("|")[1:4] for row in LETTERS.splitlines() if row.count("|") == 4 and "told" not in row]
    for _, roles, told in rows:
        for role in re.findall(r"`([\w-]+)`", roles):
            if role in ROLES and ROLES[role] not in (Audience.PATIENT, Audience.BOARD):
                said = {field for field, word in words.items() if word in told}
                assert said == set(TOLD[audience_of(role)]), role


def test_the_message_is_as_the_page_says() -> None:
    for said in (SEND_DOCUMENT.name, SEND_DOCUMENT.event, "all six fields"):
        assert said in MESSAGES
    assert len(HANDLING_FIELDS) == 6
