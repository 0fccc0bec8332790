"""A gap: a time in which the EPR may have recorded what the service was not told of.

Until a reading has covered it, nobody can say what is not on record. So what leads towards a discharge waits for it,
because the patient may have come back meanwhile; reaching out to the patient does not.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Cause(StrEnum):
    """Why changes may have gone unnoticed."""

    NEW = "new"
    """The feed has just been set up; what changed meanwhile may not have been told."""
    NUMBERS = "event-numbers"
    """The EPR numbers its events, and some did not come."""
    RESET = "counter-reset"
    """The EPR has begun to count its events anew."""
    SILENCE = "heartbeat"
    """The EPR promised to be heard of, and was not."""
    ERROR = "subscription-error"
    """The EPR gave up delivering."""
    OFF = "subscription-off"
    """The EPR or somebody there ended the subscription."""
    LOST = "subscription-lost"
    """The subscription was gone, led elsewhere, or has not been activated."""
    DOWNTIME = "downtime"
    """The service itself was not running."""
    UNREACHABLE = "unreachable"
    """The EPR could not be asked."""


class Gap(Struct, frozen=True, kw_only=True):
    """Changes to resources of one type that an EPR made from `since` on may be unknown. All instants UTC.

    `feed` is the kind of feed that had it. `until` is the last instant at which it was seen to last: a reading that
    began before then does not cover it. There is one open gap at most for each EPR, type and cause.
    """

    epr: str
    type: str
    feed: str
    cause: Cause
    since: datetime
    until: datetime
