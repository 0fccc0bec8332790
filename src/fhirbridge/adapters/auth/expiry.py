"""How long a certificate is good for, so that it is renewed before it is refused (RFC 5280, 4.1.2.5)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates

from fhirbridge.errors import ConfigurationError


def good_until(certificate: Path, place: str) -> datetime:
    """Until when the certificate in this PEM file is good, UTC; of a chain, the one that ends first.

    Raises:
        ConfigurationError: the file cannot be read, or holds none; `place` is the setting it comes from.
    """
    try:
        chain = load_pem_x509_certificates(certificate.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{certificate} cannot be read: {error.strerror}", place=place) from None
    except ValueError:
        raise ConfigurationError(f"{certificate} holds no certificate in PEM", place=place) from None
    return min(each.not_valid_after_utc for each in chain)
