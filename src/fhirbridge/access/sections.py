"""What the settings say about access, under `access`. All of it is empty by default, and so everything is closed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, SecretStr, StringConstraints, field_validator, model_validator

from fhirbridge.access.passwords import is_hash

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.@_\-]{0,62}$")]
Header = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9\-]{0,62}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SystemAccess(_Section):
    """A system that reads the FHIR view: its token in a file, or its SHA-256. `eprs`: what it may see; empty is all."""

    token_file: Path | None = None
    token_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    eprs: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.token_file is None) == (self.token_sha256 is None):
            raise ValueError("give the system either token_file or token_sha256")
        return self


class PersonAccess(_Section):
    """Somebody who uses the console: what they are called, in which role they work, and the hash of their password."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    role: str = ""
    password: SecretStr

    @field_validator("password")
    @classmethod
    def _hash(cls, kept: SecretStr) -> SecretStr:
        if not is_hash(kept.get_secret_value()):
            raise ValueError("is no hash of a password; make one with: fhirbridge access password")
        return kept


class ProxyAccess(_Section):
    """A reverse proxy that signs people in: the headers in which it says who they are, and the file of its secret.

    It shows the secret with each request in the header `X-Fhirbridge-Proxy`, and has to remove all of these headers
    from what browsers send.
    """

    secret_file: Path
    user: Header = "X-Remote-User"
    name: Header = "X-Remote-Name"
    role: Header = "X-Remote-Role"


class AccessSettings(_Section):
    """Who may look. `session_key_file`: a secret that processes share which serve the same console."""

    systems: dict[Name, SystemAccess] = {}
    people: dict[Name, PersonAccess] = {}
    proxy: ProxyAccess | None = None
    session_key_file: Path | None = None
