"""Sending: dispatches to their channels, and what channels report back into the store.

A dispatch is claimed before it is sent. Whoever dies between sending and recording leaves a claim that runs out; it is
then sent again under the same key, which its channel knows. A destination that does not answer is left alone for longer
and longer, and holds up no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from fhirbridge.channels import Channel, Dispatch
from fhirbridge.errors import ChannelError, ChannelRefused, ChannelUnavailable
from fhirbridge.ports import Clock, Store, Subject
from fhirbridge.service import reading
from fhirbridge.service.measures import DISPATCHED, FAILURES, REPORTS
from fhirbridge.service.pauses import Pauses, wait
from fhirbridge.service.site import said, shown

BATCH = 50
AWAITING = 500
CLAIM = timedelta(minutes=10)
"""How long one attempt may take; longer than any channel waits for an answer."""
NOT_SET_UP = timedelta(minutes=5)

_log = structlog.get_logger(__name__)


class Sending:
    """Everything that goes through channels, over one store. Belongs to one event loop."""

    def __init__(self, store: Store, channels: Mapping[str, Channel], clock: Clock) -> None:
        self.channels = channels
        self._store = store
        self._clock = clock
        self._pauses = Pauses()
        self._learnt: dict[str, datetime] = {}

    async def turn(self) -> bool:
        """Send what waits, and ask the channels what they have heard; whether there may be more of it at once."""
        sent = await self.send()
        learnt = await self.learn()
        return sent > 0 or learnt > 0

    async def send(self) -> int:
        """Send a batch; how many were handed over, or refused for good."""
        waiting = await self._store.dispatches.to_send(self._clock.now(), BATCH)
        return sum(await reading.each(waiting, self._send_one))

    async def learn(self) -> int:
        """Take in what channels report, each no more often than it wants to be asked; how many reports that was."""
        now = self._clock.now()
        asked = [channel for name, channel in self.channels.items() if self._is_asked(name, channel, now)]
        return sum(await reading.each(asked, self._learn_from))

    async def _send_one(self, dispatch: Dispatch) -> int:
        now = self._clock.now()
        channel = self.channels.get(dispatch.recipient.channel)
        if channel is None:
            await self._store.dispatches.put_off(dispatch.row, now + NOT_SET_UP, "the channel is not set up")
            _log.error("a channel is not set up; what it should send waits", channel=dispatch.recipient.channel)
            return 0
        destination = (channel.name, channel.destination(dispatch))
        if until := self._pauses.until(destination, now):
            await self._store.dispatches.put_off(dispatch.row, until, "its destination is left alone for now")
            return 0
        if not await self._store.dispatches.claim(dispatch.row, now, now + CLAIM):
            return 0
        try:
            if not dispatch.communication:
                raise ChannelRefused("what was to be sent is no longer kept; send it by hand, from the record")
            reference, told = await channel.send(dispatch)
        except ChannelRefused as refusal:
            await self._refused(dispatch, refusal)
            return 1
        except Exception as error:  # one message must not hold up the others; this one is tried again
            await self._failed(dispatch, destination, error)
            return 0
        self._pauses.succeeded(destination)
        await self._store.dispatches.handed_over(dispatch.row, reference, told, self._clock.now())
        DISPATCHED.labels(channel.name, "handed over").inc()
        return 1

    async def _refused(self, dispatch: Dispatch, refusal: ChannelRefused) -> None:
        channel = dispatch.recipient.channel
        DISPATCHED.labels(channel, "refused").inc()
        _log.error("a channel refuses a message", channel=channel, subject=_shown(dispatch), why=said(refusal))
        await self._store.dispatches.undeliverable(dispatch.row, str(refusal), self._clock.now())

    async def _failed(self, dispatch: Dispatch, destination: tuple[str, str], error: Exception) -> None:
        now, channel = self._clock.now(), dispatch.recipient.channel
        FAILURES.labels("send", type(error).__name__).inc()
        if isinstance(error, ChannelUnavailable):
            until = self._pauses.failed(destination, now, error.retry_after)
        else:
            until = now + wait(dispatch.attempts + 1)
        about = {"channel": channel, "subject": _shown(dispatch), "until": until.isoformat()}
        if isinstance(error, ChannelError):
            _log.warning("not sent; it will be tried again", why=said(error), **about)
        else:
            _log.error("not sent; it will be tried again", exc_info=error, **about)
        await self._store.dispatches.put_off(dispatch.row, until, type(error).__name__)

    def _is_asked(self, name: str, channel: Channel, now: datetime) -> bool:
        last = self._learnt.get(name)
        return (last is None or now - last >= channel.every) and self._pauses.until((name, "reports"), now) is None

    async def _learn_from(self, channel: Channel) -> int:
        now = self._clock.now()
        self._learnt[channel.name] = now
        try:
            told = await channel.learn(await self._store.dispatches.awaiting(channel.name, AWAITING))
        except ChannelError as error:
            FAILURES.labels("learn", type(error).__name__).inc()
            retry_after = error.retry_after if isinstance(error, ChannelUnavailable) else None
            until = self._pauses.failed((channel.name, "reports"), now, retry_after)
            _log.warning("a channel cannot be asked", channel=channel.name, until=until.isoformat(), why=said(error))
            return 0
        for each in told:
            REPORTS.labels(channel.name, each.report.value).inc()
            if not await self._store.dispatches.report(channel.name, each, self._clock.now()):
                _log.warning("a report is about nothing that was sent", channel=channel.name, report=each.report.value)
        if told:
            await channel.learnt(told)
        self._pauses.succeeded((channel.name, "reports"))
        return len(told)


def _shown(dispatch: Dispatch) -> str:
    return shown(Subject(dispatch.epr, dispatch.patient))
