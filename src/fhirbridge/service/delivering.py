"""Carrying out what was decided: outbox rows to the EPR and the worklist, and what became of them into the store.

A row may be sent twice, after a crash or by two workers: the EPR's side of it is idempotent, and so is the worklist's.
It is never dropped: it is postponed, or becomes a dead letter with the EPR's reason, for a person to look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from fhirbridge.errors import EprConflict, EprError, EprUnavailable, Overtaken
from fhirbridge.fhir.capability import Capability, Way, Writing, writes_for
from fhirbridge.fhir.worklist import listed_id
from fhirbridge.ports import Clock, Delivery, Event, Receipt, Store, Subject, Version
from fhirbridge.service import reading
from fhirbridge.service.measures import DEAD_LETTERS, DELIVERED, FAILURES
from fhirbridge.service.merging import as_one
from fhirbridge.service.pauses import Pauses, wait
from fhirbridge.service.placing import planned
from fhirbridge.service.recognising import keep
from fhirbridge.service.site import Site, said, shown
from fhirbridge.service.versions import looked_up

BATCH = 200

_log = structlog.get_logger(__name__)


async def deliver(store: Store, sites: Mapping[str, Site], clock: Clock, breaker: Pauses, limit: int = BATCH) -> int:
    """Deliver a batch of the outbox to these EPRs; how many rows found their end.

    Raises:
        StoreUnavailable: what was sent but not recorded will be sent again, to no effect.
    """
    of_subject: dict[Subject, list[Delivery]] = {}
    for row in await store.undelivered(clock.now(), limit, list(sites)):
        of_subject.setdefault(row.subject, []).append(row)

    async def one(subject: Subject) -> int:
        return await _deliver_to(store, sites[subject.epr], subject, of_subject[subject], clock, breaker)

    return sum(await reading.each(of_subject, one))


async def _deliver_to(
    store: Store, site: Site, subject: Subject, rows: Sequence[Delivery], clock: Clock, breaker: Pauses
) -> int:
    if breaker.until(subject.epr, clock.now()):
        return 0
    async with store.lease(subject, clock.now()) as held:
        if not held:
            return 0
        known = await as_one(store, subject, await store.load(subject), clock.now())
        references = in_epr(subject, known.references)
        try:
            receipts = await _carry_out(store, site, subject, rows, references, clock.now())
        except Overtaken:
            # Staff completed a step of the worklist at this moment: the rows are laid over that next.
            return 0
        except EprError as error:
            await _failed(store, site, rows, references, error, clock, breaker)
            return 0
        await store.delivered(receipts, clock.now())
    breaker.succeeded(subject.epr)
    _count(subject, receipts)
    return len(receipts)


def in_epr(subject: Subject, references: Mapping[str, str]) -> dict[str, str]:
    """Those of the references that are the EPR's, and not the worklist's."""
    return {
        identity: reference
        for identity, reference in references.items()
        if reference.rpartition("/")[2] != listed_id(subject.epr, identity)
    }


async def _carry_out(
    store: Store, site: Site, subject: Subject, rows: Sequence[Delivery], references: dict[str, str], now: datetime
) -> list[Receipt]:
    """Each row to where the EPR's capabilities, or the settings, send it."""
    capability = Capability.of(await site.epr.capability())
    ways = {one.type: one for one in writes_for(capability, site.writes)}
    standing = await store.worklist.standing(subject)
    if not standing and all(_is_native(ways[kind]) for kind in {"Provenance", *(row.outgoing.type for row in rows)}):
        return await site.epr.deliver(rows, references)
    changed = {row.outgoing.identity for row in rows} & standing.keys()
    histories = {identity: await store.worklist.history(standing[identity].reference) for identity in sorted(changed)}
    plan = planned(subject, rows, ways, standing, histories, references)
    # First what is surely taken: a step is on the worklist even while the EPR is away.
    await store.worklist.place(subject, plan.placings, now)
    answered = await site.epr.deliver(plan.deliveries, references) if plan.deliveries else []
    return plan.receipts(subject.epr, rows, answered)


def _is_native(writing: Writing) -> bool:
    return writing.way is Way.NATIVE and (writing.changeable or writing.type == "Provenance")


def _count(subject: Subject, receipts: Sequence[Receipt]) -> None:
    refused = [receipt for receipt in receipts if receipt.refused]
    DELIVERED.labels(subject.epr).inc(len(receipts) - len(refused))
    DEAD_LETTERS.labels(subject.epr).inc(len(refused))
    for receipt in refused:
        _log.error("the EPR refused a write", epr=subject.epr, subject=shown(subject), row=receipt.row)


async def _failed(
    store: Store,
    site: Site,
    rows: Sequence[Delivery],
    references: Mapping[str, str],
    error: EprError,
    clock: Clock,
    breaker: Pauses,
) -> None:
    now = clock.now()
    subject = rows[0].subject
    FAILURES.labels("deliver", type(error).__name__).inc()
    _log.warning("not delivered; it will be tried again", epr=subject.epr, subject=shown(subject), why=said(error))
    if isinstance(error, EprConflict):
        await _look_again(store, site, rows, references, clock)
        until = now + wait(max(row.attempts for row in rows) + 1)
    else:
        until = breaker.failed(subject.epr, now, error.retry_after if isinstance(error, EprUnavailable) else None)
    await store.postpone([row.row for row in rows], until, type(error).__name__)


async def _look_again(
    store: Store, site: Site, rows: Sequence[Delivery], references: Mapping[str, str], clock: Clock
) -> None:
    """Learn what somebody made of the resources meanwhile: news about them makes the patient due."""
    changed = [references[row.outgoing.identity] for row in rows if row.outgoing.identity in references]
    try:
        found = [await _as_it_is(store, site, reference, clock) for reference in dict.fromkeys(changed)]
    except EprError as error:
        _log.warning("what was changed meanwhile cannot be read", epr=site.epr.name, why=said(error))
        return
    await keep(store, site, [version for versions in found for version in versions], (), clock.now())


async def _as_it_is(store: Store, site: Site, reference: str, clock: Clock) -> list[Version]:
    kind, _, identity = reference.partition("/")
    return await looked_up(store, site, Event(type=kind, id=identity), clock.now(), clock)
