"""How what the service writes reaches people outside the EPR: the port of channels, and the rows they work through.

For each Communication and each recipient that a channel serves there is one row, a dispatch, made from the effect
`Addressed` in the transaction that decides the Communication, and stopped by `Withdrawn` while nobody has claimed it.
Whoever wants to send it claims it first, so nobody else does. What became of it, and whatever is reported of it later,
is kept with the effect that tells `decide` (`core.deliveries` is the table of what can be reported), and makes the
patient due. A dispatch that was claimed by somebody who then died is claimed again and sent under the same `key`: the
channel itself sees to it that nothing arrives twice. All instants are UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct

from fhirbridge.core.deliveries import Recipient as Recipient
from fhirbridge.core.deliveries import Report, Stage
from fhirbridge.fhir.r4 import Resource


class Dispatch(Struct, frozen=True, kw_only=True):
    """One Communication to one recipient, to be sent.

    `key` is a UUID, the same whenever this is sent again, and names nobody. `identity` is the Communication's.
    `epr` and `patient` (`Patient/id`) say whom it is about; `person` is the R4 Patient as last known. `communication`
    is the R4 Communication as it was decided, with its letter as an attachment where it is one. `attempts` so far.
    """

    row: int
    key: str
    epr: str
    patient: str
    identity: str
    recipient: Recipient
    communication: Resource
    person: Resource | None = None
    attempts: int = 0


class Told(Struct, frozen=True, kw_only=True):
    """One report of a dispatch, which `about` names: its key, or the reference that the channel gave it.

    `happened` is the instant that whoever reports it gives; `token` what the channel needs in `learnt`, if anything.
    """

    about: str
    report: Report
    happened: datetime
    code: str = ""
    says: str = ""
    token: str = ""


class Sent(Struct, frozen=True, kw_only=True):
    """A dispatch that was handed over and of which more is awaited; `reference` is what the channel called it."""

    key: str
    reference: str
    since: datetime


class Channel(Protocol):
    """One way to reach recipients. Errors: `ChannelUnavailable` (again later), `ChannelRefused` (never, as it is)."""

    name: str
    awaits: Stage
    """The stage that settles a dispatch of this channel."""
    every: timedelta
    """How often it is asked for reports at most."""

    def destination(self, dispatch: Dispatch) -> str:
        """What fails and recovers as one: a dispatch waits while its destination is left alone."""
        ...

    async def send(self, dispatch: Dispatch) -> tuple[str, Sequence[Told]]:
        """Hand it over: what the channel calls it, and what it reports at once, besides that it was handed over.

        Sending the same `key` again is harmless: it arrives once.
        """
        ...

    async def learn(self, awaiting: Sequence[Sent]) -> Sequence[Told]:
        """What has been reported since, of these and of whatever was sent earlier."""
        ...

    async def learnt(self, told: Sequence[Told]) -> None:
        """These are durable now: the channel may forget them."""
        ...


class Practices(Protocol):
    """Where the GP practice of a patient is looked up whose record names none."""

    async def practice_of(self, patient: Resource) -> str:
        """The ODS code of the practice; empty where it is not known.

        Raises:
            ChannelUnavailable: it cannot be asked now.
            ConfigurationError: it is set up wrongly.
        """
        ...


class Dispatches(Protocol):
    """The rows, beside those of the `Store`, whose `commit` makes and stops them."""

    async def to_send(self, now: datetime, limit: int) -> list[Dispatch]:
        """Dispatches that may be sent now, oldest first: unclaimed, or claimed by somebody whose time is over."""
        ...

    async def claim(self, row: int, now: datetime, until: datetime) -> bool:
        """Take it for oneself until then; False when another has it, or it was stopped or sent."""
        ...

    async def handed_over(self, row: int, reference: str, told: Sequence[Told], now: datetime) -> None:
        """Keep that it was handed over, and what was reported with that, as effects; makes the patient due."""
        ...

    async def undeliverable(self, row: int, why: str, now: datetime) -> None:
        """Keep that its channel refuses it for good, as an effect; makes the patient due."""
        ...

    async def put_off(self, row: int, until: datetime, why: str) -> None:
        """Give the claim back and try again not before `until`; counts one attempt more."""
        ...

    async def awaiting(self, channel: str, limit: int) -> list[Sent]:
        """What was handed over to this channel, and of which it may have more to say, oldest first."""
        ...

    async def report(self, channel: str, told: Told, now: datetime, *, sender: str = "") -> bool:
        """Keep the report as an effect and make the patient due; the same report again changes nothing.

        False when nothing of the channel is called that, or it was sent to somebody else than `sender` (an endpoint).
        """
        ...

    async def look_again(self, now: datetime) -> int:
        """Make everybody due of whom a Communication has no recipient yet: the directory may know better now."""
        ...
