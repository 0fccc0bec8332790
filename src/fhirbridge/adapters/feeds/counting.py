"""Event numbers: what they say about events that did not come.

An EPR numbers the events of a subscription from 1 and says now and then how many there have been (Subscriptions R5
Backport, `event-number` and `events-since-subscription-start`). A number that is skipped is an event that was lost, or
one that comes late: both are read. A number below one that came before is an event that comes again or late, or the
first of a count that began anew; only the EPR's own count tells which. Pure: what was heard in, what is heard now out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from fhirbridge.core.gaps import Cause
from fhirbridge.ports import Hearing

PATIENCE = timedelta(seconds=30)
"""How long an event may be on its way after the EPR has counted it."""


def received(before: Hearing, numbers: Iterable[int], so_far: int | None, now: datetime) -> tuple[Hearing, bool]:
    """After a notification with these event numbers; and whether one was skipped."""
    top, doubtful, skipped = before.top, before.doubtful, False
    for number in sorted(set(numbers)):
        if top is None or number > top:
            skipped |= top is not None and number > top + 1
            top = number
        else:
            doubtful = True
    at = now if top != before.top else before.at
    after = replace(before, heard=now, at=at, top=top, doubtful=doubtful)
    return _promised(after, so_far, now), skipped


def counted(before: Hearing, so_far: int | None, now: datetime) -> Hearing:
    """After a notification without events, which says how many there have been."""
    after = replace(before, heard=now)
    if so_far is not None and before.top is not None and so_far < before.top:
        return replace(after, doubtful=True)
    return _promised(after, so_far, now)


def checked(before: Hearing, so_far: int | None, now: datetime) -> tuple[Hearing, Cause | None]:
    """After a check, where the EPR may have said how many events there are; and why some may be missing, if so."""
    after = before
    if so_far is None:
        if before.doubtful:
            return replace(before, at=now, top=None, doubtful=False, promised=0, promised_at=None), Cause.RESET
    elif before.top is None:
        after = replace(before, at=now, top=so_far, doubtful=False)
    elif so_far < before.top:
        return replace(before, at=now, top=so_far, doubtful=False, promised=0, promised_at=None), Cause.RESET
    else:
        after = replace(before, doubtful=False)
    waits = after.promised_at is not None and after.promised > (after.top or 0)
    if waits and after.promised_at is not None and after.promised_at <= now - PATIENCE:
        return replace(after, at=now, top=max(after.promised, so_far or 0), promised_at=None), Cause.NUMBERS
    return _promised(after, so_far, now), None


def _promised(hearing: Hearing, so_far: int | None, now: datetime) -> Hearing:
    """The EPR counts to more than what came: those events may still be on their way."""
    top = hearing.top
    if top is None or (so_far or 0) <= top:
        return replace(hearing, promised_at=None) if top is None or hearing.promised <= top else hearing
    if hearing.promised_at is not None and hearing.promised > top:
        return hearing
    return replace(hearing, promised=so_far or 0, promised_at=now)
