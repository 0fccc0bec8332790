"""How the service shows an EPR, or MESH, who it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, model_validator

from fhirbridge.settings.section import Section


class Tls(Section):
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
