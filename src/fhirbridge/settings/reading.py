"""All settings of one service, and how they are read: the environment before the file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AwareDatetime, Field, HttpUrl, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from fhirbridge.access import AccessSettings
from fhirbridge.errors import ConfigurationError
from fhirbridge.settings.eprs import EprSettings
from fhirbridge.settings.recipients import (
    DeliverySettings,
    LetterSettings,
    MeshSettings,
    PostSettings,
    ReceiverSettings,
)
from fhirbridge.settings.section import PREFIX, Name, Overrides, Risk
from fhirbridge.settings.services import Limits, LoopSettings, ServiceSettings


class Settings(BaseSettings):
    """All settings of one service. Durations are in seconds.

    `overrides` gives, for each pack, new values of its settings. `risk_when_unrecorded` is what silence about risk
    means in this service. Nothing is begun because of what happened before `follow_from`, an instant with an
    offset: give it where the EPR has a past that others have dealt with. `services` assigns packs to the services:
    the first that matches a case applies, and `packs` is not used then. An EPR with packs of its own keeps to
    those. `pack_archive` is a folder with older versions of packs, NAME@VERSION.yaml, which running pathways stay
    with. `access` says who may look; nobody may by default. Without `letters` nothing goes out as a letter, but as
    its words alone. An EPR is left alone once `opens_after` calls in a row failed. Rows that are settled are kept for
    `keep_settled` seconds; that, alarms and a look at what was written are seen to every `tidy_every`. `public_url`
    is where EPRs reach it; by default the host and port it listens on. A worker shows what its processes count on
    `metrics_port` of `host`, unless that is 0.

    `post`, `receivers` and `mesh` are the ways to people outside the EPR, `delivery` by when they have to confirm.
    `practices` is a CSV file with the columns nhs_number and ods, for patients whose record names no GP practice.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    database_url: str = "sqlite:///fhirbridge.db"
    broker_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: HttpUrl | None = None
    eprs: dict[Name, EprSettings] = {}
    packs: tuple[str, ...] = ("rdash-disengagement",)
    services: tuple[ServiceSettings, ...] = ()
    pack_archive: Path | None = None
    letters: LetterSettings | None = None
    mesh: MeshSettings | None = None
    post: PostSettings | None = None
    receivers: dict[Name, ReceiverSettings] = {}
    delivery: DeliverySettings = DeliverySettings()
    practices: Path | None = None
    overrides: Overrides = {}
    risk_when_unrecorded: Risk = "unknown"
    follow_from: AwareDatetime | None = None
    zone: str = "Europe/London"
    holidays: str = "ENG"
    opens_after: int = Field(default=3, ge=1)
    keep_settled: float = Field(default=90 * 86400.0, ge=86400.0)
    tidy_every: float = Field(default=300.0, gt=0)
    lease: float = Field(default=60.0, gt=0)
    poll: float = Field(default=1.0, gt=0)
    check_subscriptions: float = Field(default=300.0, gt=0, le=86_400)
    overlap: float = Field(default=600.0, ge=0, le=86_400)
    worker_processes: int = Field(default=2, ge=0)
    metrics_port: int = Field(default=0, ge=0, le=65535)
    limits: Limits = Limits()
    loops: LoopSettings = LoopSettings()
    access: AccessSettings = AccessSettings()
    log_level: Annotated[str, StringConstraints(pattern=r"^(debug|info|warning|error)$")] = "info"

    @field_validator("broker_url")
    @classmethod
    def _redis(cls, url: str) -> str:
        if url and not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("write redis://HOST:PORT/DATABASE")
        return url

    @field_validator("receivers")
    @classmethod
    def _each_its_own(cls, receivers: dict[str, ReceiverSettings]) -> dict[str, ReceiverSettings]:
        for what in ("endpoint", "secret"):
            values = [str(getattr(one, what)) if what == "endpoint" else one.secret for one in receivers.values()]
            if any(values.count(value) > 1 for value in values):
                raise ValueError(f"two receivers have the same {what}; give each its own")
        return receivers

    @field_validator("services")
    @classmethod
    def _told_apart(cls, services: tuple[ServiceSettings, ...]) -> tuple[ServiceSettings, ...]:
        names = [service.name for service in services]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two services are called {twice!r}; rename one")
        return services

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before the file, which comes in as the initial values."""
        return env_settings, init_settings

    @property
    def reached_at(self) -> str:
        """The URL by which EPRs reach the service, without a slash at its end."""
        return str(self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def read_settings(config: Path | None = None) -> Settings:
    """The settings from the environment and, if given, a file (`.toml`, `.yaml`, `.yml`).

    Raises:
        ConfigurationError: names the setting, and the file where it is the file's.
    """
    values = _from_file(config) if config else {}
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        written = config is not None and bool(first["loc"]) and first["loc"][0] in values
        raise ConfigurationError(_said(first["msg"]), place=f"{config}: {name}" if written else name) from None


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def _from_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", place=str(path)) from None
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"is not TOML or YAML: {' '.join(str(error).split())[:200]}", place=str(path)
        ) from None
    if not isinstance(values, dict):
        raise ConfigurationError("holds no settings: write NAME: VALUE", place=str(path))
    return values
