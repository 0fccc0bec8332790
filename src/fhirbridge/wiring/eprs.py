"""Builds the client of an EPR, with the credentials that the settings name; and finds the EPR's mapping.

Keys, tokens and certificates are read from their files here, once. What is wrong with them is refused by the name of
the setting, and nothing of what they hold is ever said.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import HttpUrl

from fhirbridge.adapters.auth import AssertedToken, BearerToken, Credentials, SigningKey, tls_context
from fhirbridge.adapters.epr import FhirEpr, Throttle
from fhirbridge.adapters.system_clock import SystemClock
from fhirbridge.errors import ConfigurationError, NotKnown
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.settings import BearerAuth, CertificateAuth, EprSettings, NhsJwtAuth, SmartAuth
from fhirbridge.shipped import folder


def epr_of(name: str, one: EprSettings) -> FhirEpr:
    """The client of this EPR; nothing is asked yet.

    Raises:
        ConfigurationError: a key, token or certificate cannot be used; names the setting.
    """
    throttle = Throttle(one.requests_per_second, one.requests_at_once)
    return FhirEpr(name, str(one.base_url), auth=_credentials(name, one), tls=_tls(name, one), throttle=throttle)


def mapping_of(name: str, one: EprSettings) -> Mapping:
    """The mapping of this EPR.

    Raises:
        ConfigurationError: there is none of that name, or it is wrong.
    """
    try:
        return Mapping.load(one.mapping, [folder("mappings")])
    except NotKnown as error:
        raise ConfigurationError(str(error), place=f"eprs.{name}.mapping") from error


def _credentials(name: str, one: EprSettings) -> Credentials | None:
    # Assertions and tokens live in real time, whatever time a demonstration plays in.
    clock = SystemClock()
    place = f"eprs.{name}.auth"
    base_url = str(one.base_url)
    match one.auth:
        case BearerAuth(token_file=file):
            return BearerToken(_secret_in(file, f"{place}.token_file"))
        case SmartAuth(client_id=client, kid=kid, scope=scope, token_url=url) as auth:
            key = SigningKey.read(auth.key, kid, rsa="RS384", ec="ES384", place=f"{place}.key")
            endpoint = _endpoint(one, url, place)
            return AssertedToken(name, client, key, clock=clock, base_url=base_url, token_url=endpoint, scope=scope)
        case NhsJwtAuth(client_id=client, kid=kid, token_url=url) as auth:
            key = SigningKey.read(auth.key, kid, rsa="RS512", ec=None, place=f"{place}.key")
            return AssertedToken(
                name, client, key, clock=clock, base_url=base_url, token_url=_endpoint(one, url, place)
            )
        case CertificateAuth() | None:
            return BearerToken(one.token.get_secret_value()) if one.token else None


def _endpoint(one: EprSettings, url: HttpUrl | None, place: str) -> str:
    if url is not None and url.scheme != "https" and one.base_url.scheme == "https":
        raise ConfigurationError("is http; a token endpoint has to be https", place=f"{place}.token_url")
    return str(url or "")


def _tls(name: str, one: EprSettings) -> ssl.SSLContext | None:
    auth = one.auth
    if auth is None or not (auth.ca or auth.certificate):
        return None
    if not str(one.base_url).startswith("https://"):
        raise ConfigurationError("is http; certificates need https", place=f"eprs.{name}.base_url")
    return tls_context(ca=auth.ca, certificate=auth.certificate, key=auth.certificate_key, place=f"eprs.{name}.auth")


def _secret_in(file: Path, place: str) -> str:
    try:
        secret = file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}", place=place) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} holds no token; write the token alone, in ASCII", place=place) from None
    if not secret or len(secret.split()) != 1:
        raise ConfigurationError(f"{file} holds no token; write the token alone, in one line", place=place)
    return secret
