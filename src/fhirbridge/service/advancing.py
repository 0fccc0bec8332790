"""From what is known about a patient to what has to be written: decide, reconcile, render, until nothing is left.

`settle` is pure and does the thinking; `advance` gives it the latest record under a lease and commits what it answers
in one transaction: effects, outbox and the next timer together, or none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import structlog
from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.decide import decide
from fhirbridge.core.decision import Create, Decision, Withdraw, Write
from fhirbridge.core.effects import AnyEffect, Migrated, Own, Started, Withdrawal, fold
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
from fhirbridge.service.assigning import parts, uncovered
from fhirbridge.service.measures import DECISIONS, UNCOVERED, WRITES
from fhirbridge.service.site import Policies, Site, said, shown

MOST_ROUNDS = 20

_OF_THE_RECORD = frozenset({Withdrawal.CORRECTED, Withdrawal.DECEASED})
"""Reasons that hold whatever policy applies."""

_log = structlog.get_logger(__name__)


class Settled(Struct, frozen=True, kw_only=True):
    """What one look at a patient comes to; `uncovered` are the ids of the cases that no pack is for."""

    effects: tuple[AnyEffect, ...] = ()
    outgoing: tuple[Outgoing, ...] = ()
    decisions: tuple[Decision, ...] = ()
    uncovered: tuple[str, ...] = ()

    @property
    def wakes_at(self) -> datetime | None:
        """When to look again, if nothing new is learnt."""
        return earliest(decision.wakes_at for decision in self.decisions)


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
        known = await store.load(subject)
        now = clock.now()
        settled = settle(site, known, now)
        try:
            await store.commit(
                subject,
                effects=settled.effects,
                outgoing=settled.outgoing,
                wakes_at=settled.wakes_at,
                decided_at=now,
                revision=known.revision,
            )
        except Overtaken:
            return False
    DECISIONS.labels(subject.epr).inc()
    for row in settled.outgoing:
        WRITES.labels(subject.epr, row.type, row.verb).inc()
    if settled.uncovered:
        UNCOVERED.labels(subject.epr).inc()
        _log.warning("no pack is for some cases", subject=shown(subject), epr=subject.epr, cases=len(settled.uncovered))
    if settled.outgoing:
        _log.info("decided", subject=shown(subject), epr=subject.epr, writes=len(settled.outgoing))
    return True


def settle(site: Policies, known: Known, now: datetime, *, migrating: frozenset[str] = frozenset()) -> Settled:
    """What the policies of the site make of what is known, as of `now`: pure.

    `migrating` are runs that have just been moved to another edition: what of them goes now is superseded.

    Raises:
        ConfigurationError: a run is on a version of a pack that is nowhere to be found.
        Defect: after `MOST_ROUNDS` rounds the decision still asks for more.
    """
    record = Record.of(known.facts)
    own = fold(known.effects)
    moved = moved_from(known.effects)
    effects: list[AnyEffect] = []
    outgoing: list[Outgoing] = []
    decisions = []
    for part in parts(site, record, own):
        pack = part.pack
        for _ in range(MOST_ROUNDS):
            mine = part.under(own, record)
            decision = decide(pack, record, mine, now, cases=part.cases, starts=part.starts)
            writes = tuple(_superseding(write, migrating) for write in reconcile(decision, mine, record))
            new = tuple(effect for effect in effects_of(decision, writes, now) if not _noted(effect, own))
            if not writes and not new:
                break
            own = fold(new, onto=own)
            effects += new
            setting = _Setting(site, pack, record, own, moved, now)
            outgoing += (render(write, _rendering(setting, write)) for write in writes)
        else:
            raise Defect(f"{pack.name}: the decision still asks for writes after {MOST_ROUNDS} rounds; report it")
        decisions.append(decision)
    return Settled(
        effects=tuple(effects),
        outgoing=tuple(outgoing),
        decisions=tuple(decisions),
        uncovered=uncovered(site, record),
    )


def moved_from(effects: Iterable[AnyEffect]) -> dict[str, str]:
    """For each run that was migrated, the version it was last on before."""
    versions: dict[str, str] = {}
    before: dict[str, str] = {}
    for effect in effects:
        if isinstance(effect, Started):
            versions.setdefault(effect.identity, effect.version)
        elif isinstance(effect, Migrated) and effect.identity in versions:
            before[effect.identity] = versions[effect.identity]
            versions[effect.identity] = effect.version
    return before


def _superseding(write: Write, migrating: frozenset[str]) -> Write:
    if isinstance(write, Withdraw) and write.thing.run in migrating and write.reason not in _OF_THE_RECORD:
        return replace(write, reason=Withdrawal.SUPERSEDED)
    return write


def _noted(effect: AnyEffect, own: Own) -> bool:
    return isinstance(effect, Started) and effect.identity in own.runs


class _Setting(Struct, frozen=True):
    """The circumstances of all writes of one decision; `moved` says from which version a run was migrated."""

    site: Policies
    pack: Pack
    record: Record
    own: Own
    moved: dict[str, str]
    now: datetime


def _rendering(setting: _Setting, write: Write) -> Rendering:
    site, record = setting.site, setting.record
    key = write.obligation.key if isinstance(write, Create) else write.thing.key
    case = next((case for case in record.cases if case.id == key.case), None)
    referred = [record.referrals[name] for name in (case.referrals if case else ()) if name in record.referrals]
    return Rendering(
        now=setting.now,
        calendar=site.calendar,
        directory=site.directory,
        services=case.services if case else (),
        holders=record_holders(record.person, next(iter(referred), None), _team(record)),
        runs=setting.own.runs,
        moved=setting.moved,
        rows={step.id: step.row for pathway in setting.pack.pathways for step in pathway.steps},
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
    try:
        silent = await reading.silent_types(site, told)
        versions = await reading.standing_record(store, site, subject.patient, silent, clock)
    except EprRefused as refusal:
        _log.warning("the EPR refuses to be asked", epr=subject.epr, subject=shown(subject), why=said(refusal))
        return
    if versions:
        await store.keep(subject.epr, versions, (), clock.now())
