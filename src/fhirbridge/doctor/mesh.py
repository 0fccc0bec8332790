"""What the doctor makes of MESH and of certificates: found before the first letter is sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from fhirbridge.adapters.auth.expiry import good_until
from fhirbridge.adapters.mesh import MeshChannel
from fhirbridge.doctor.findings import Finding, Level
from fhirbridge.errors import ChannelError, ConfigurationError
from fhirbridge.settings import EprSettings, Settings

SOON = timedelta(days=30)
"""A certificate that ends within this has to be renewed now: it takes NHS England and a change window."""


def of_certificates(settings: Settings, name: str, epr: EprSettings, now: datetime) -> Iterator[Finding]:
    """How long the certificates that are shown to the EPR and to MESH are good for."""
    shown = ((f"eprs.{name}.auth", epr.auth), ("mesh", settings.mesh))
    for place, one in shown:
        if one is not None and one.certificate is not None:
            yield _of_certificate(one.certificate, f"{place}.certificate", now)


async def of_mesh(settings: Settings, channel: MeshChannel | None) -> list[Finding]:
    """Whether MESH knows us."""
    if settings.mesh is None or channel is None:
        return []
    try:
        await channel.shake_hands()
    except ChannelError as error:
        remedy = "look at mesh.url, mailbox, password, shared_key and certificate"
        return [_found(str(error), Level.LACKING, remedy)]
    finally:
        await channel.close()
    return [_found(f"{settings.mesh.mailbox} at {settings.mesh.url.host}", Level.FINE)]


def _found(found: str, level: Level, remedy: str = "") -> Finding:
    used = "letters to practices" if level is Level.FINE else ""
    return Finding(area="settings", checked="mesh", found=found, used=used, level=level, remedy=remedy)


def _of_certificate(certificate: Path, place: str, now: datetime) -> Finding:
    try:
        until = good_until(certificate, place)
    except ConfigurationError as error:
        return Finding(
            area="settings",
            checked=place,
            found=error.message,
            level=Level.LACKING,
            remedy="give the path of a PEM file",
        )
    ended = f"{certificate}: good until {until:%d %B %Y}"
    if until <= now:
        return Finding(
            area="settings", checked=place, found=f"{ended}: expired", level=Level.LACKING, remedy="renew it"
        )
    level = Level.ATTENTION if until - now < SOON else Level.FINE
    remedy = "renew it now" if level is Level.ATTENTION else ""
    return Finding(area="settings", checked=place, found=ended, level=level, remedy=remedy)
