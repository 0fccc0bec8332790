"""TLS towards an EPR: whom the service trusts, and the client certificate that it shows (RFC 8705, RFC 8446)."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import httpx

from fhirbridge.errors import ConfigurationError


@cache
def usual_trust() -> ssl.SSLContext:
    """TLS 1.2 or newer that trusts whom everybody trusts. One for all clients: reading those certificates is slow."""
    return _usual()


def tls_context(
    *, ca: Path | None = None, certificate: Path | None = None, key: Path | None = None, place: str
) -> ssl.SSLContext:
    """TLS 1.2 or newer that always verifies the EPR's certificate and name.

    `ca` are the certificates to trust instead of the usual ones; `certificate` the service's own with its chain, `key`
    its private key where that is in another file. All PEM. `place` is the setting they come from.

    Raises:
        ConfigurationError: a file cannot be read, or key and certificate do not fit.
    """
    if not ca and not certificate:
        return usual_trust()
    context = _trusting(ca, f"{place}.ca") if ca else _usual()
    if certificate:
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{certificate} cannot be used with its key: {_why(error)}; both have to be unencrypted PEM",
                place=f"{place}.certificate",
            ) from None
    return context


def _usual() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _trusting(ca: Path, place: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=ca)
    except OSError as error:
        raise ConfigurationError(f"{ca} cannot be used: {_why(error)}", place=place) from None
    return context


def _no_password() -> str:
    """Nobody is there to be asked for one."""
    return ""


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not PEM"
    return (error.strerror if isinstance(error, OSError) else None) or "not PEM"
