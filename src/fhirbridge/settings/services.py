"""Which packs each service follows, and how much may come in or go out."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from fhirbridge.core.vocabulary import SETTINGS
from fhirbridge.settings.section import Name, Overrides, Risk, Section


class Match(Section):
    """Which cases belong to a service: those with one of its keys, and in one of its settings; empty means any.

    A key is the reference of a HealthcareService, Organization or CareTeam, or a service type as `system|code`.
    """

    service: tuple[Annotated[str, StringConstraints(pattern=r"^(\w+/[A-Za-z0-9\-.]{1,64}|\S+\|\S+)$")], ...] = ()
    setting: tuple[str, ...] = ()

    @field_validator("setting")
    @classmethod
    def _known(cls, settings: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(settings) - SETTINGS:
            raise ValueError(f"{min(unknown)!r} is no setting of an episode; write {', '.join(sorted(SETTINGS))}")
        return settings


class ServiceSettings(Section):
    """The policies of one service: packs by name or path, and what it sets otherwise than `Settings` does."""

    name: Name
    match: Match = Match()
    packs: tuple[str, ...] = Field(min_length=1)
    overrides: Overrides = Field(default_factory=dict)
    risk_when_unrecorded: Risk | None = None

    @model_validator(mode="after")
    def _of_its_packs(self) -> Self:
        if stray := set(self.overrides) - set(self.packs):
            raise ValueError(f"overrides names {min(stray)!r}, which is none of its packs: {', '.join(self.packs)}")
        return self


class Limits(Section):
    """What a request may be: `body` in bytes, `depth` in levels of JSON."""

    body: int = Field(default=5_000_000, ge=1_000)
    depth: int = Field(default=64, ge=8)


class LoopSettings(Section):
    """How much is written at most before another system is taken to answer each write: then it is held back.

    `obligation`: writes in an hour about one obligation, however often it is asked for anew. `letter`: times in a day
    that one letter is sent. `patient`: looks in an hour at one patient that each write more of the same.
    """

    obligation: int = Field(default=12, ge=4)
    letter: int = Field(default=3, ge=1)
    patient: int = Field(default=30, ge=10)
