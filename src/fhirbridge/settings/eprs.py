"""What is set for each EPR."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator

from fhirbridge.fhir.capability import FeedKind, Way
from fhirbridge.settings.authentication import Auth, CertificateAuth
from fhirbridge.settings.section import Section, Written


class PollingSettings(Section):
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
    demands: dict[str, dict[str, Annotated[tuple[str, ...], Field(min_length=1)]]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _near_is_within(self) -> Self:
        if self.near > min(self.past, self.future):
            raise ValueError("near is more than past or future; it is a part of the window")
        return self


class EprSettings(Section):
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
    writes: dict[Written, Way] = Field(default_factory=dict)
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
