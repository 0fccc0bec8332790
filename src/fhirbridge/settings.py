"""What a trust may set, read once and frozen.

From the environment (`FHIRBRIDGE_…`, `__` between levels) and from a file in TOML or YAML; the environment wins. What
is wrong is refused by its name, before anything is started. Secrets never show in a message or a log.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from fhirbridge.access import AccessSettings
from fhirbridge.core.calendar import span
from fhirbridge.core.vocabulary import SETTINGS
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.capability import FeedKind, Way
from fhirbridge.fhir.itk3_rules import MAILBOX

PREFIX = "FHIRBRIDGE_"


def _period(text: str) -> str:
    try:
        span(text)
    except ConfigurationError as error:
        raise ValueError(error.message) from None
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9\-]{0,62}$")]
Risk = Annotated[str, StringConstraints(pattern=r"^(unknown|none|identified)$")]
Written = Annotated[str, StringConstraints(pattern=r"^(Task|Flag|CarePlan|Communication|Provenance|AuditEvent)$")]
Period = Annotated[str, AfterValidator(_period)]
Overrides = dict[str, dict[str, str | int]]
"""For each pack, new values of its settings."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tls(_Section):
    """Whom to trust (`ca`, else what the machine trusts) and the client certificate to show; paths of PEM files.

    `certificate_key` where the private key is not in the file of the certificate. Every kind of `auth` has these.
    """

    ca: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.certificate_key and not self.certificate:
            raise ValueError("certificate_key needs certificate; give the path of the certificate too")
        return self


class BearerAuth(Tls):
    """A token that does not expire, in a file."""

    kind: Literal["bearer"]
    token_file: Path


class SmartAuth(Tls):
    """SMART Backend Services. `key` is the path of a private key: RSA signs RS384, EC on P-384 signs ES384.

    `kid` is that of the JWK, else the key's thumbprint. `token_url`: where the EPR's SMART configuration does not say.
    """

    kind: Literal["smart"]
    client_id: str = Field(min_length=1)
    key: Path
    kid: str = ""
    scope: str = "system/*.crus"
    token_url: HttpUrl | None = None


class NhsJwtAuth(Tls):
    """The signed JWT of the NHS API platform: `client_id` is the API key, `key` an RSA key, which signs RS512."""

    kind: Literal["nhs-jwt"]
    client_id: str = Field(min_length=1)
    key: Path
    kid: str = Field(min_length=1)
    token_url: HttpUrl


class CertificateAuth(Tls):
    """A client certificate alone."""

    kind: Literal["mtls"]
    certificate: Path


Auth = Annotated[BearerAuth | SmartAuth | NhsJwtAuth | CertificateAuth, Field(discriminator="kind")]


class PollingSettings(_Section):
    """How an EPR is asked that does not tell of changes itself.

    Where it cannot say what changed either, a window of days is read again: from `past` days before today until
    `future` days after it, `slice` of them in one search. The days up to `near` around today are read each time, the
    whole every `reconcile` seconds; so is what subscriptions tell of, in case they missed something. `demands` names
    the search parameters that the EPR insists on, by type and with all their values:
    {Appointment: {location: ["1", "2"]}}.
    """

    past: int = Field(default=28, ge=1, le=730)
    future: int = Field(default=90, ge=1, le=730)
    slice: int = Field(default=7, ge=1, le=31)
    near: int = Field(default=2, ge=0, le=14)
    reconcile: float = Field(default=14_400.0, ge=300, le=604_800)
    demands: dict[str, dict[str, Annotated[tuple[str, ...], Field(min_length=1)]]] = {}

    @model_validator(mode="after")
    def _near_is_within(self) -> Self:
        if self.near > min(self.past, self.future):
            raise ValueError("near is more than past or future; it is a part of the window")
        return self


class EprSettings(_Section):
    """One EPR. `auth` is how the service shows who it is; `token` the short form of a token that does not expire.

    `notify_secret` is for a sender that no subscription of ours gave a secret to (an integration engine). `packs` are
    the policies for its patients; empty means those of the service. `trust_payload`: believe notifications where the
    EPR cannot be asked. `feed` is the best way to be used of learning of changes, where that shall not be what the EPR
    offers; `payload` what its notifications shall carry, and `heartbeat` the seconds after which a subscription to a
    topic gives a sign of life, 0 for an EPR that gives none. `writes` says how a type is written there, where that
    shall not be what the EPR offers. No more than `requests_per_second`, and `requests_at_once`, are sent to it.
    """

    base_url: HttpUrl
    mapping: str = "uk-core"
    token: SecretStr | None = None
    auth: Auth | None = None
    notify_secret: SecretStr | None = None
    trust_payload: bool = False
    subscribe: bool = True
    feed: FeedKind | None = None
    payload: Literal["empty", "id-only", "full-resource"] | None = None
    heartbeat: float = Field(default=60.0, ge=0)
    polling: PollingSettings = PollingSettings()
    packs: tuple[str, ...] = ()
    writes: dict[Written, Way] = {}
    requests_per_second: float = Field(default=100.0, gt=0)
    requests_at_once: int = Field(default=10, ge=1)

    @field_validator("base_url")
    @classmethod
    def _plain(cls, url: HttpUrl) -> HttpUrl:
        if url.username or url.password or url.query or url.fragment:
            raise ValueError("write scheme, host and path alone; credentials go into auth")
        return url

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.token and self.auth and not isinstance(self.auth, CertificateAuth):
            raise ValueError("token and auth both say how to authenticate; keep one")
        return self


class Match(_Section):
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


class ServiceSettings(_Section):
    """The policies of one service: packs by name or path, and what it sets otherwise than `Settings` does."""

    name: Name
    match: Match = Match()
    packs: tuple[str, ...] = Field(min_length=1)
    overrides: Overrides = {}
    risk_when_unrecorded: Risk | None = None

    @model_validator(mode="after")
    def _of_its_packs(self) -> Self:
        if stray := set(self.overrides) - set(self.packs):
            raise ValueError(f"overrides names {min(stray)!r}, which is none of its packs: {', '.join(self.packs)}")
        return self


class Limits(_Section):
    """What a request may be: `body` in bytes, `depth` in levels of JSON."""

    body: int = Field(default=5_000_000, ge=1_000)
    depth: int = Field(default=64, ge=8)


class LoopSettings(_Section):
    """How much is written at most before another system is taken to answer each write: then it is held back.

    `obligation`: writes in an hour about one obligation, however often it is asked for anew. `letter`: times in a day
    that one letter is sent. `patient`: looks in an hour at one patient that each write more of the same.
    """

    obligation: int = Field(default=12, ge=4)
    letter: int = Field(default=3, ge=1)
    patient: int = Field(default=30, ge=10)


class LetterSettings(_Section):
    """The trust's letterhead, and where its own wording and fonts are.

    `crisis_phone` is answered day and night. `return_address` shows in the window of an envelope: give one that says
    nothing about the service. `logo` is an SVG, PNG or JPEG with `logo_says` in place of it for those who cannot see
    it. `texts` is a folder with wording of your own, `fonts` one with fonts, of which `font` names the one to use.
    """

    name: str = Field(min_length=1)
    address: tuple[str, ...] = Field(min_length=1)
    phone: str = Field(min_length=3)
    crisis_phone: str = Field(min_length=3)
    return_address: tuple[str, ...] = ()
    email: str = ""
    hours: str = ""
    website: str = ""
    signatory: str = ""
    signatory_title: str = ""
    logo: Path | None = None
    logo_says: str = ""
    texts: Path | None = None
    font: str = ""
    fonts: Path | None = None


class MeshSettings(Tls):
    """Our mailbox at MESH, through which letters reach GP practices in England.

    `mailbox`, `password` and `shared_key` are those NHS England gave; `certificate` is the client certificate that live
    MESH asks for. `ods` is the organisation that sends; its name and telephone number are those of the letterhead.
    `chunk` is the size in bytes above which a message goes in parts, `timeout` the seconds that one request may take,
    `poll` those between two looks into the mailbox.
    """

    url: HttpUrl
    mailbox: str
    password: SecretStr
    shared_key: SecretStr
    ods: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{3,10}$")]
    chunk: int = Field(default=75_000_000, ge=1_000, le=100_000_000)
    timeout: float = Field(default=60.0, gt=0)
    poll: float = Field(default=300.0, ge=0)

    @field_validator("mailbox")
    @classmethod
    def _is_one(cls, mailbox: str) -> str:
        if not MAILBOX.fullmatch(mailbox):
            raise ValueError(
                "is no MESH mailbox; write 5 to 20 capitals and digits, as X26HC005, not a telephone number"
            )
        return mailbox


class PostSettings(_Section):
    """Print and post: `folder` is where hybrid mail picks up letters; made where it is missing."""

    folder: Path


class ReceiverSettings(_Section):
    """One FHIR receiver. `endpoint` is its base URL, the same as in the directory; `way` what it takes.

    `token` is what it gave us to show; `secret` what it has to show us when it answers.
    """

    endpoint: HttpUrl
    way: Literal["message", "transaction"] = "message"
    token: SecretStr | None = None
    secret: SecretStr = Field(min_length=16)


class DeliverySettings(_Section):
    """By when what was sent has to be confirmed, counted from the hand-over, for each channel: `P5D`, `2WD`, `PT36H`.

    `chase` is the time that a person has to find out, once it was not. MESH itself gives up after five days.
    """

    mesh: Period = "P5D"
    fhir: Period = "P5D"
    post: Period = "2WD"
    chase: Period = "1WD"


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
    is where EPRs reach it; by default the host and port it listens on.

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
        ConfigurationError: names the setting or the file.
    """
    values = _from_file(config) if config else {}
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise ConfigurationError(_said(first["msg"]), place=name) from None


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
