"""A gap: a time in which the EPR may have recorded what the service was not told of.

Until a reading has covered it, nobody can say what is not on record. So what leads towards a discharge waits for it,
because the patient may have come back meanwhile; reaching out to the patient does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.decision import Reason
from fhirbridge.core.wording import listed


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


def held_because(gaps: Iterable[Gap], calendar: Calendar) -> tuple[Reason, ...]:
    """Why what leads towards a discharge waits: since when changes of which types may be unknown, and from what cause.

    One sentence for each cause, the oldest gap of it first.
    """
    of: dict[Cause, list[Gap]] = {}
    for gap in sorted(gaps, key=lambda gap: (gap.since, gap.type)):
        of.setdefault(gap.cause, []).append(gap)
    return tuple(_sentence(cause, several, calendar) for cause, several in of.items())


def _sentence(cause: Cause, gaps: list[Gap], calendar: Calendar) -> Reason:
    types = listed(dict.fromkeys(gap.type for gap in gaps), "and")
    return Reason(
        f"What the EPR recorded since {calendar.at_time(gaps[0].since)} may not be known ({types}), because "
        f"{IN_WORDS[cause]}; what leads towards a discharge waits until it has been read."
    )


IN_WORDS = {
    Cause.NEW: "the service had only begun to be told of changes",
    Cause.NUMBERS: "some of the EPR's numbered events did not come",
    Cause.RESET: "the EPR began to count its events anew",
    Cause.SILENCE: "the EPR was not heard of, though it had promised signs of life",
    Cause.ERROR: "the EPR gave up notifying the service",
    Cause.OFF: "the subscription was turned off at the EPR",
    Cause.LOST: "the subscription was not in force at the EPR",
    Cause.DOWNTIME: "the service was not running",
    Cause.UNREACHABLE: "the EPR could not be reached",
}
"""Each cause, as it continues a sentence after "because"."""
