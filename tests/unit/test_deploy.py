"""What the composition and its page call settings and commands are settings and commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhirbridge.cli.deferred import COMMANDS
from fhirbridge.settings import PREFIX, Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
PAGE = (DEPLOY / "README.md").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
OURS = ("service", "worker")


@pytest.mark.parametrize("name", OURS)
def test_the_environment_holds_settings(name: str) -> None:
    found = {key for key in SERVICES[name]["environment"] if key.startswith(PREFIX)}

    assert {"FHIRBRIDGE_DATABASE_URL", "FHIRBRIDGE_BROKER_URL"} <= found
    assert {key.removeprefix(PREFIX).lower() for key in found} <= set(Settings.model_fields)


@pytest.mark.parametrize("name", OURS)
def test_the_commands_are_there_and_read_what_is_mounted(name: str) -> None:
    command, option, file = SERVICES[name]["command"]
    (folder,) = SERVICES[name]["volumes"]

    assert command in {one.name for one in COMMANDS}
    assert option == "--config"
    assert Path(file).parent == Path(folder["target"])


def test_the_page_names_settings_with_their_defaults() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", PAGE, re.MULTILINE)

    assert len(rows) == 9
    for name, written in rows:
        default = Settings.model_fields[name].default
        assert written == (f"{default:g}" if isinstance(default, float) else str(default)), name
