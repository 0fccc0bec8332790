"""Builds the channels that the settings name, and says what their deliveries have to come to."""

from __future__ import annotations

from contextlib import AsyncExitStack

from fhirbridge.adapters.fhir_receiver import FhirChannel, Receiver
from fhirbridge.adapters.post import PostChannel
from fhirbridge.adapters.practices_file import PracticesFile
from fhirbridge.channels import Channel, Practices
from fhirbridge.ports import Clock
from fhirbridge.service.addressing import Addressing, Way
from fhirbridge.settings import Settings
from fhirbridge.wiring.mesh import mesh_of

PROCESS_MESSAGE = "/fhir/$process-message"
"""Where receivers answer."""


async def channels_of(settings: Settings, clock: Clock, stack: AsyncExitStack) -> dict[str, Channel]:
    """The channels by name; what they hold is closed with `stack`.

    Raises:
        ConfigurationError: a folder cannot be used, or a certificate; names the setting.
    """
    found: list[Channel] = []
    if settings.post is not None:
        found.append(PostChannel(settings.post.folder, clock))
    if settings.receivers:
        receivers = [
            Receiver(
                endpoint=str(one.endpoint).rstrip("/"),
                way=one.way,
                token=one.token.get_secret_value() if one.token else "",
            )
            for one in settings.receivers.values()
        ]
        channel = FhirChannel(receivers, f"{settings.reached_at}{PROCESS_MESSAGE}", clock)
        found.append(await stack.enter_async_context(channel))
    if (mesh := mesh_of(settings, clock)) is not None:
        stack.push_async_callback(mesh.close)
        found.append(mesh)
    return {channel.name: channel for channel in found}


def addressing_of(settings: Settings, channels: dict[str, Channel]) -> Addressing:
    """How recipients are reached, through these channels."""
    within = {"mesh": settings.delivery.mesh, "fhir": settings.delivery.fhir, "post": settings.delivery.post}
    ways = {name: Way(channel.awaits, within[name]) for name, channel in channels.items()}
    return Addressing(ways=ways, chase=settings.delivery.chase)


def practices_of(settings: Settings) -> Practices | None:
    """Where the practice of a patient is looked up whose record names none; None where nowhere is.

    Raises:
        ConfigurationError: the file cannot be read, or a line of it is wrong.
    """
    return PracticesFile(settings.practices) if settings.practices is not None else None
