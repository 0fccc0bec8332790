"""Packs written for one test: a frame that is right, into which a test puts what is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fhirbridge.core.authoring import PackFile
from fhirbridge.packs.lint import Flaw, lint
from fhirbridge.packs.loading import read_pack

FRAME = """\
pack: example
version: 1.0.0
title: An example
source: {{title: A policy}}
settings:
  soon: {{default: 2WD, min: 1WD, max: 5WD, title: Time to act}}
{settings}
pathways:
  - id: missed
    title: Somebody did not come
    clause: "1"
    {starts}
    steps:
      - id: example-call
        title: Call the patient
        when: start
        do:
          - {{task: contact-patient, to: team-manager, due: $soon, says: Call.}}
      - id: example-write
        title: Write to the patient
        when: {{outcome: {{of: example-call, is: failed}}}}
        do:
          - {{communication: contact-us-letter, to: patient, says: "Within {{soon}}."}}
{more}
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """A pack file with these settings, start of its pathway, and further steps or pathways (as YAML)."""

    def write(settings: str = "", starts: str = "starts: {missed: {}}", more: str = "") -> Path:
        file = tmp_path / "example.yaml"
        file.write_text(FRAME.format(settings=settings, starts=starts, more=more), encoding="utf-8")
        return file

    return write


@pytest.fixture
def linted(written: Callable[..., Path]) -> Callable[..., list[Flaw]]:
    """What lint finds in such a pack."""
    return lambda **parts: lint(written(**parts))


@pytest.fixture
def pack(written: Callable[..., Path]) -> Callable[..., PackFile]:
    """Such a pack as read."""
    return lambda **parts: read_pack(written(**parts))
