"""From what is known about a patient to what has to be written: decide, reconcile, render, until nothing is left.

`settle` is pure and does the thinking; `advance` gives it the latest record under a lease and commits what it answers
in one transaction: effects, outbox and the next timer together, or none of them.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.decide import decide
from fhirbridge.core.decision import Create, Decision, Write
from fhirbridge.core.effects import AnyEffect, Own, Started, fold
from fhirbridge.core.facts import Team
from fhirbridge.core.findings import earliest
from fhirbridge.core.policy import Pack
from fhirbridge.core.reconcile import effects_of, reconcile
from fhirbridge.core.timeline import Record
from fhirbridge.errors import Defect, EprRefused, Overtaken
from fhirbridge.fhir.directory import record_holders
from fhirbridge.fhir.render import Rendering, render
from fhirbridge.ports import Clock, Known, Outgoing, Store, Subject
from fhirbridge.service import reading
from fhirbridge.service.measures import DECISIONS, WRITES
from fhirbridge.service.site import Policies, Site, said, shown

MOST_ROUNDS = 20

_log = structlog.get_logger(__name__)


class Settled(Struct, frozen=True, kw_only=True):
    """What one look at a patient comes to."""

    effects: tuple[AnyEffect, ...] = ()
    outgoing: tuple[Outgoing, ...] = ()
    decisions: tuple[Decision, ...] = ()


async def advance(store: Store, site: Site, subject: Subject, clock: Clock) -> bool:
    """Look at the patient and commit what follows. False when another worker holds or has overtaken the patient.

    Raises:
        EprUnavailable, EprError: the record cannot be read at present; the patient stays due.
        StoreUnavailable: nothing was committed; the patient stays due.
        Defect: the decision does not come to an end.
    """
    async with store.lease(subject, clock.now()) as held:
        if not held:
            return False
        await _refresh(store, site, subject, clock)
        known = await store.load(subject)
        now = clock.now()
        settled = settle(site, known, now)
        try:
            await store.commit(
                subject,
                effects=settled.effects,
                outgoing=settled.outgoing,
                wakes_at=earliest(decision.wakes_at for decision in settled.decisions),
                decided_at=now,
                revision=known.revision,
            )
        except Overtaken:
            return False
    DECISIONS.labels(subject.epr).inc()
    for row in settled.outgoing:
        WRITES.labels(subject.epr, row.type, row.verb).inc()
    if settled.outgoing:
        _log.info("decided", subject=shown(subject), epr=subject.epr, writes=len(settled.outgoing))
    return True


def settle(site: Policies, known: Known, now: datetime) -> Settled:
    """What the policies of the site make of what is known, as of `now`: pure.

    Raises:
        Defect: after `MOST_ROUNDS` rounds the decision still asks for more.
    """
    record = Record.of(known.facts)
    own = fold(known.effects)
    effects: list[AnyEffect] = []
    outgoing: list[Outgoing] = []
    decisions = []
    for pack in site.packs:
        for _ in range(MOST_ROUNDS):
            mine = _under(pack, own)
            decision = decide(pack, record, mine, now)
            writes = reconcile(decision, mine, record)
            new = tuple(effect for effect in effects_of(decision, writes, now) if not _noted(effect, own))
            if not writes and not new:
                break
            own = fold(new, onto=own)
            effects += new
            outgoing += (render(write, _rendering(site, pack, record, own, decision, write, now)) for write in writes)
        else:
            raise Defect(f"{pack.name}: the decision still asks for writes after {MOST_ROUNDS} rounds; report it")
        decisions.append(decision)
    return Settled(effects=tuple(effects), outgoing=tuple(outgoing), decisions=tuple(decisions))


def _under(pack: Pack, own: Own) -> Own:
    """Our own effects as far as this pack made them: another pack's obligations are not its to withdraw."""
    return Own(
        things={identity: thing for identity, thing in own.things.items() if thing.key.pack == pack.name},
        runs={identity: run for identity, run in own.runs.items() if run.pack == pack.name},
    )


def _noted(effect: AnyEffect, own: Own) -> bool:
    return isinstance(effect, Started) and effect.identity in own.runs


def _rendering(
    site: Policies, pack: Pack, record: Record, own: Own, decision: Decision, write: Write, now: datetime
) -> Rendering:
    key = write.obligation.key if isinstance(write, Create) else write.thing.key
    case = next((case for case in record.cases if case.id == key.case), None)
    referred = [record.referrals[name] for name in (case.referrals if case else ()) if name in record.referrals]
    return Rendering(
        now=now,
        calendar=site.calendar,
        directory=site.directory,
        services=case.services if case else (),
        holders=record_holders(record.person, next(iter(referred), None), _team(record)),
        runs=own.runs,
        rows={step.id: step.row for pathway in pack.pathways for step in pathway.steps},
        handed_over=True,
    )


def _team(record: Record) -> Team | None:
    """Everybody whom an active CareTeam of the patient names, as one team."""
    teams = [history.latest for history in record.sources.values() if isinstance(history.latest, Team)]
    active = [team for team in teams if not team.erased and team.status == "active"]
    if not active:
        return None
    return replace(active[0], holders=tuple(holder for team in active for holder in team.holders))


async def _refresh(store: Store, site: Site, subject: Subject, clock: Clock) -> None:
    """Read what the EPR does not tell of, so that nothing is decided on a signal or a consent that has gone."""
    told = {one.criteria.partition("?")[0] for one in await store.subscriptions(subject.epr) if one.reference}
    silent = sorted(site.mapping.resource_types - reading.EVENTFUL - told)
    try:
        versions = await reading.standing_record(site, subject.patient, silent)
    except EprRefused as refusal:
        _log.warning("the EPR refuses to be asked", epr=subject.epr, subject=shown(subject), why=said(refusal))
        return
    if versions:
        await store.keep(subject.epr, versions, (), clock.now())
