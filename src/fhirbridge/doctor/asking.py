"""Asking the EPR: is it there, does it let the service in, and does it let it read each type.

Each type is read under an id that no resource has: 404 shows that the service may, and no patient's data comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fhirbridge.doctor.findings import Finding, Level
from fhirbridge.doctor.judging import INDISPENSABLE
from fhirbridge.errors import EprError, EprRefused, EprUnauthorised, EprUnavailable
from fhirbridge.fhir.capability import Capability
from fhirbridge.ports import Resource

NOBODY = "fhirbridge-doctor"

_FORBIDDEN = 403


class Asked(Protocol):
    """As much of an EPR as an examination needs."""

    name: str

    async def capability(self) -> Resource:
        """Its CapabilityStatement."""
        ...

    async def read(self, reference: str) -> Resource | None:
        """The current version of `Type/id`; None when unknown."""
        ...


async def reach(epr: Asked, means: str) -> tuple[Finding, Capability | None]:
    """Whether the EPR answers; with what it can do, if so. `means` is how the service authenticates, in words."""
    try:
        capability = Capability.of(await epr.capability())
    except EprUnauthorised as error:
        return _refused(epr, error, means), None
    except EprUnavailable as error:
        return _unreached(epr, error, "check base_url, the network and TLS; then ask again"), None
    except EprError as error:
        if isinstance(error, EprRefused) and error.status == _FORBIDDEN:
            return _refused(epr, error, means), None
        return _unreached(epr, error, "set base_url to the FHIR base of the EPR, without /metadata; check auth"), None
    return Finding(area="connection", checked="reachable", found="yes", used=capability.software), capability


async def let_in(epr: Asked, types: Sequence[str], means: str, security: Sequence[str]) -> list[Finding]:
    """Whether the service may read these types."""
    barred = []
    for one in types:
        try:
            await epr.read(f"{one}/{NOBODY}")
        except EprUnauthorised as error:
            return [_refused(epr, error, means)]
        except EprRefused as error:
            if error.status == _FORBIDDEN:
                barred.append(one)
        except EprError as error:
            return [_unreached(epr, error, "ask again when the EPR is well")]
    wants = f"; the EPR names {', '.join(security)}" if security else ""
    authorised = Finding(area="connection", checked="authorised", found=f"yes{wants}", used=means)
    return [authorised, *map(_barred, barred)]


def _barred(resource_type: str) -> Finding:
    return Finding(
        area="connection",
        checked=f"may read {resource_type}",
        found="no (403)",
        level=Level.LACKING if resource_type in INDISPENSABLE else Level.ATTENTION,
        remedy=f"have the client allowed system/{resource_type}.rs in the EPR, and ask for it in auth.scope",
    )


def _refused(epr: Asked, error: EprError, means: str) -> Finding:
    return Finding(
        area="connection",
        checked="authorised",
        found=_said(epr, error),
        used=means,
        level=Level.LACKING,
        remedy="check auth in the settings, and how the service is registered in the EPR",
    )


def _unreached(epr: Asked, error: EprError, remedy: str) -> Finding:
    return Finding(area="connection", checked="reachable", found=_said(epr, error), level=Level.LACKING, remedy=remedy)


def _said(epr: Asked, error: EprError) -> str:
    """What the error says, without the name of the EPR, which is at the head of the table."""
    return str(error).removeprefix(f"{epr.name}: ")
