"""Builds the channel to MESH from settings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from fhirbridge.adapters.auth.certificates import tls_context
from fhirbridge.adapters.mesh import MeshChannel, Post
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.itk3 import SEND_DOCUMENT, Sender
from fhirbridge.ports import Clock
from fhirbridge.settings import MeshSettings, Settings


def mesh_of(settings: Settings, clock: Clock) -> MeshChannel | None:
    """The channel to MESH; None where no mailbox is configured. Nothing is asked of MESH yet.

    Raises:
        ConfigurationError: a certificate cannot be used, or there is no letterhead to send letters on.
    """
    one = settings.mesh
    if one is None:
        return None
    if settings.letters is None:
        raise ConfigurationError("needs letters: what goes to practices is the letter; set letters too", place="mesh")
    if one.ca or one.certificate:
        tls_context(ca=one.ca, certificate=one.certificate, key=one.certificate_key, place="mesh")
    sender = Sender(ods=one.ods, name=settings.letters.name, telephone=settings.letters.phone, mailbox=one.mailbox)
    every = timedelta(seconds=one.poll)
    return MeshChannel(lambda: _client(one), sender, SEND_DOCUMENT, clock, every=every)


def _client(one: MeshSettings) -> Post:
    return Post(
        str(one.url),
        one.mailbox,
        one.password.get_secret_value(),
        shared_key=one.shared_key.get_secret_value().encode(),
        cert=_shown(one.certificate, one.certificate_key),
        verify=str(one.ca) if one.ca else None,
        max_chunk_size=one.chunk,
        max_retries=0,
        timeout=one.timeout,
        application_name="fhirbridge",
    )


def _shown(certificate: Path | None, key: Path | None) -> tuple[str] | tuple[str, str] | None:
    if certificate is None:
        return None
    return (str(certificate), str(key)) if key else (str(certificate),)
