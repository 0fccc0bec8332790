"""What has to be done now and then: look for what an EPR holds twice, raise alarms, let go of old rows.

A dead letter whose obligation has come due is an alarm: somebody was to act by then and has not been told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import structlog

from fhirbridge.core.own import fold
from fhirbridge.errors import EprError
from fhirbridge.ports import DeadLetter, Store
from fhirbridge.service.doubling import read_back
from fhirbridge.service.measures import DEAD, FAILURES, OVERDUE, PURGED
from fhirbridge.service.replaying import dead_letters
from fhirbridge.service.site import Site, said, shown

_AT_ONCE = 500

_log = structlog.get_logger(__name__)


async def tidy(
    store: Store, sites: Mapping[str, Site], now: datetime, *, keep: timedelta, answering: Collection[str]
) -> list[DeadLetter]:
    """Do all of it; the dead letters that are overdue. `keep` is how long settled rows are kept.

    Raises:
        StoreUnavailable: it is done next time.
    """
    for name in sorted(answering):
        try:
            await read_back(store, sites[name], now)
        except EprError as error:
            FAILURES.labels("read back", type(error).__name__).inc()
            _log.warning("what was written cannot be read back", epr=name, why=said(error))
    while gone := await store.retention.purge(now - keep, _AT_ONCE):
        PURGED.inc(gone)
    return await overdue(store, sites, now)


async def overdue(store: Store, sites: Collection[str], now: datetime) -> list[DeadLetter]:
    """The dead letters whose obligation has come due, each told in the log; all are counted."""
    letters = await dead_letters(store)
    late: list[DeadLetter] = []
    for subject in dict.fromkeys(letter.subject for letter in letters):
        things = fold((await store.load(subject)).effects).things
        for letter in letters:
            thing = things.get(letter.outgoing.identity)
            if letter.subject == subject and thing is not None and thing.due is not None and thing.due <= now:
                late.append(letter)
    for letter in late:
        _log.error(
            "a write that the EPR refused is overdue; see `fhirbridge replay --list`",
            epr=letter.subject.epr,
            subject=shown(letter.subject),
            row=letter.row,
            type=letter.outgoing.type,
        )
    for name in sites:
        DEAD.labels(name).set(sum(letter.subject.epr == name for letter in letters))
        OVERDUE.labels(name).set(sum(letter.subject.epr == name for letter in late))
    return late
