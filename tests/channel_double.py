"""A channel that keeps what it is given, each key once, and says and does what a test tells it to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from fhirbridge.channels import Dispatch, Sent, Told
from fhirbridge.core.deliveries import Stage


class ChannelDouble:
    """A channel; `arrived` is what recipients hold, by key, `tries` every attempt."""

    every = timedelta(0)

    def __init__(self, name: str = "fhir", awaits: Stage = Stage.RECEIVED) -> None:
        self.name = name
        self.awaits = awaits
        self.arrived: dict[str, Dispatch] = {}
        self.tries: list[str] = []
        self.fails: dict[str, BaseException] = {}
        """What befalls messages to a destination before they arrive."""
        self.dies_after: BaseException | None = None
        """What befalls the service when a message has arrived, before it can note that."""
        self.at_once: list[Told] = []
        self.reports: list[Told] = []
        self.says_nothing: Exception | None = None
        """What befalls whoever asks for reports."""
        self.asked_about: Sequence[Sent] = ()
        self.forgot: list[Told] = []

    def destination(self, dispatch: Dispatch) -> str:
        """Where it goes."""
        return dispatch.recipient.endpoint or dispatch.recipient.name

    async def send(self, dispatch: Dispatch) -> tuple[str, Sequence[Told]]:
        """Keep it, once."""
        self.tries.append(dispatch.key)
        if error := self.fails.get(self.destination(dispatch)):
            raise error
        self.arrived.setdefault(dispatch.key, dispatch)
        if self.dies_after is not None:
            raise self.dies_after
        return f"msg-{dispatch.key}", tuple(self.at_once)

    async def learn(self, awaiting: Sequence[Sent]) -> Sequence[Told]:
        """What there is to report."""
        self.asked_about = awaiting
        if self.says_nothing is not None:
            raise self.says_nothing
        return tuple(self.reports)

    async def learnt(self, told: Sequence[Told]) -> None:
        """Forget it."""
        self.forgot += told
        self.reports = [each for each in self.reports if each not in told]
