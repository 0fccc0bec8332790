"""Sees to it, now and then, that what was written is read back, old rows go, and alarms are raised."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import structlog

from fhirbridge.errors import FhirbridgeError
from fhirbridge.service.measures import FAILURES
from fhirbridge.wiring.service import Runtime

_log = structlog.get_logger(__name__)


async def keep_tidy(runtime: Runtime, stop: asyncio.Event) -> None:
    """Until told to stop; a round that fails is taken again."""
    while not stop.is_set():
        try:
            await tidy_once(runtime)
        except FhirbridgeError as error:
            if not error.transient:
                raise
            FAILURES.labels("tidy", type(error).__name__).inc()
            _log.warning("the housekeeping waits", why=type(error).__name__)
        try:
            await asyncio.wait_for(stop.wait(), runtime.settings.tidy_every)
        except TimeoutError:
            continue


async def tidy_once(runtime: Runtime) -> None:
    """One round; alarms that no longer stand are taken down.

    Raises:
        StoreUnavailable: it is done next time.
    """
    late = await runtime.service.tidy(timedelta(seconds=runtime.settings.keep_settled))
    counted = Counter(letter.subject.epr for letter in late)
    for name in runtime.settings.eprs:
        place = f"dead letters at {name}"
        if counted[name]:
            runtime.alarms[place] = f"{counted[name]} overdue; see `fhirbridge replay --list --epr {name}`"
        else:
            runtime.alarms.pop(place, None)
