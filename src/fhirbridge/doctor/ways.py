"""Whether everybody whom the directory names can be reached by the channels that the settings set up."""

from __future__ import annotations

from collections.abc import Iterator

from fhirbridge.doctor.findings import Finding, Level
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.directory import Contact, Directory, Organisation
from fhirbridge.settings import Settings
from fhirbridge.wiring.channels import practices_of

_SET_UP = {"post": "post.folder", "fhir": "receivers", "mesh": "mesh"}
"""The setting that a channel needs."""


def of_ways(settings: Settings, directory: Directory) -> Iterator[Finding]:
    """Channels that are asked for and not set up, and receivers that the settings do not name."""
    there = {"post": settings.post is not None, "fhir": bool(settings.receivers), "mesh": settings.mesh is not None}
    named = list(_named(directory))
    for channel, is_set_up in there.items():
        asking = sorted({name for name, one in named if one.channel == channel})
        if asking and not is_set_up:
            yield Finding(
                area="settings",
                checked=channel,
                found=f"{', '.join(asking)} should be reached by {channel}, which is not set up",
                level=Level.LACKING,
                remedy=f"set {_SET_UP[channel]}, or give them another channel in the directory",
            )
    if settings.receivers:
        yield from _receivers(settings, named)
    if settings.practices is not None:
        yield _practices(settings)


def _receivers(settings: Settings, named: list[tuple[str, Contact | Organisation]]) -> Iterator[Finding]:
    known = {str(one.endpoint).rstrip("/") for one in settings.receivers.values()}
    strangers = sorted(name for name, one in named if one.channel == "fhir" and one.endpoint.rstrip("/") not in known)
    yield Finding(
        area="settings",
        checked="receivers",
        found=f"no receiver has the endpoint of {', '.join(strangers)}" if strangers else f"{len(known)} configured",
        level=Level.LACKING if strangers else Level.FINE,
        remedy="add it to receivers with the same endpoint, and agree a secret with them" if strangers else "",
    )


def _practices(settings: Settings) -> Finding:
    try:
        practices_of(settings)
    except ConfigurationError as error:
        remedy = "mend the file; the columns are nhs_number and ods"
        return Finding(area="settings", checked="practices", found=str(error), level=Level.LACKING, remedy=remedy)
    return Finding(area="settings", checked="practices", found=str(settings.practices), used="patients without a GP")


def _named(directory: Directory) -> Iterator[tuple[str, Contact | Organisation]]:
    yield from directory.roles.items()
    for team in directory.teams:
        yield from ((f"{role} of {team.name}", contact) for role, contact in team.roles.items())
    yield from ((organisation.name, organisation) for organisation in directory.organisations)
