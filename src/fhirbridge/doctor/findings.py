"""What an examination comes to."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from fhirbridge.fhir.capability import Feed, Writing
from fhirbridge.service.gaps import HeldStep, OpenGap


class Level(StrEnum):
    """What a finding means for the service."""

    FINE = "fine"
    ATTENTION = "attention"
    """It works, with less than there could be: somebody should know."""
    LACKING = "lacking"
    """It does not work."""


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was checked: what was found, what will be used of it, and what to do where it is not fine."""

    area: str
    checked: str
    found: str
    used: str = ""
    level: Level = Level.FINE
    remedy: str = ""


class HeldBack(Struct, frozen=True, kw_only=True):
    """What open gaps hold back: steps that ask for nothing new, and for how many patients one of them waits now."""

    patients: int
    steps: tuple[HeldStep, ...]


class Examination(Struct, frozen=True, kw_only=True):
    """One EPR: everything that was checked there, and the feeds and ways of writing that follow.

    `gaps` are those that are open in the service's database, `held_back` what they hold back; None without any.
    """

    epr: str
    base_url: str
    software: str = ""
    fhir_version: str = ""
    findings: tuple[Finding, ...] = ()
    feeds: tuple[Feed, ...] = ()
    writes: tuple[Writing, ...] = ()
    gaps: tuple[OpenGap, ...] = ()
    held_back: HeldBack | None = None

    @property
    def supported(self) -> bool:
        """Whether the service can work there."""
        return all(finding.level is not Level.LACKING for finding in self.findings)
