"""One look at a patient: the latest record under a lease, what has to be written, and its commit.

What `settle` answers is committed in one transaction: effects, outbox and the next timer together, or none of them.
"""

from __future__ import annotations

import structlog

from fhirbridge.core.effects import Held
from fhirbridge.errors import EprRefused, Overtaken
from fhirbridge.ports import Clock, Store, Subject
from fhirbridge.service import reading
from fhirbridge.service.letters import with_letters
from fhirbridge.service.measures import DECISIONS, LOOPS, UNCOVERED, WRITES
from fhirbridge.service.merging import as_one, notice_links
from fhirbridge.service.practices import with_practice
from fhirbridge.service.recognising import keep
from fhirbridge.service.settling import Settled, settle
from fhirbridge.service.site import Site, said, shown

_log = structlog.get_logger(__name__)


async def advance(store: Store, site: Site, subject: Subject, clock: Clock) -> bool:
    """Look at the patient and commit what follows. False when another worker holds or has overtaken the patient.

    Raises:
        EprUnavailable, EprError: the record cannot be read at present; the patient stays due.
        StoreUnavailable: nothing was committed; the patient stays due.
        ConfigurationError: a run is on a version of a pack that is nowhere to be found; the patient stays due.
        Defect: the decision does not come to an end.
    """
    async with store.lease(subject, clock.now()) as held:
        if not held:
            return False
        await _refresh(store, site, subject, clock)
        known = await with_practice(store, site, subject, await store.load(subject))
        await notice_links(store, site, subject, known, clock)
        now = clock.now()
        known = await as_one(store, subject, known, now)
        settled = settle(site, known, now, bounds=site.bounds)
        outgoing = await with_letters(store, site, subject, known, settled, now)
        # Before the commit: looked at once too often costs nothing, forgotten would be for good.
        overtaken = settled.held and not await store.gaps.hold(subject)
        try:
            await store.commit(
                subject,
                effects=settled.effects,
                outgoing=outgoing,
                wakes_at=now if overtaken else settled.wakes_at,
                decided_at=now,
                revision=known.revision,
            )
        except Overtaken:
            return False
    _tell(subject, settled)
    return True


def _tell(subject: Subject, settled: Settled) -> None:
    """Count and log what was committed."""
    DECISIONS.labels(subject.epr).inc()
    for row in settled.outgoing:
        WRITES.labels(subject.epr, row.type, row.verb).inc()
    for effect in settled.effects:
        if isinstance(effect, Held):
            _alarm(subject, effect)
    if settled.uncovered:
        UNCOVERED.labels(subject.epr).inc()
        _log.warning("no pack is for some cases", subject=shown(subject), epr=subject.epr, cases=len(settled.uncovered))
    if settled.outgoing:
        _log.info("decided", subject=shown(subject), epr=subject.epr, writes=len(settled.outgoing))


def _alarm(subject: Subject, effect: Held) -> None:
    LOOPS.labels(subject.epr).inc()
    _log.error(
        "another system seems to answer each of our writes; they are held back, see `fhirbridge loops`",
        subject=shown(subject),
        epr=subject.epr,
        obligation=effect.identity,
        until=effect.until.isoformat(),
        why=effect.why,
    )


async def _refresh(store: Store, site: Site, subject: Subject, clock: Clock) -> None:
    """Read what the EPR does not tell of, so that nothing is decided on a signal or a consent that has gone."""
    told = {one.type for one in await store.subscriptions(subject.epr) if one.reference}
    try:
        silent = await reading.silent_types(site, told)
        versions = await reading.standing_record(store, site, subject.patient, silent, clock)
    except EprRefused as refusal:
        _log.warning("the EPR refuses to be asked", epr=subject.epr, subject=shown(subject), why=said(refusal))
        return
    if versions:
        await keep(store, site, versions, (), clock.now())
