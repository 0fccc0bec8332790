"""From what is known about a patient to what has to be written: decide, reconcile, render, until nothing is left.

Pure: the clock, the store and the EPR are with those who ask. Each round decides on what the round before has done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.bereavement import tidings
from fhirbridge.core.decide import decide
from fhirbridge.core.decision import Create, Decision, Obligation, Withdraw, Write
from fhirbridge.core.effects import AnyEffect, Key, Kind, Migrated, Started, Unaddressed, Withdrawal, Withdrawn
from fhirbridge.core.facts import Team
from fhirbridge.core.findings import earliest
from fhirbridge.core.gaps import Gap
from fhirbridge.core.memory import Memory
from fhirbridge.core.merging import withdrawals
from fhirbridge.core.own import NOTHING, Own, fold
from fhirbridge.core.policy import Pack
from fhirbridge.core.reconcile import effects_of, reconcile
from fhirbridge.core.timeline import Record
from fhirbridge.errors import Defect
from fhirbridge.fhir.directory import record_holders
from fhirbridge.fhir.render import Rendering, render
from fhirbridge.ports import Known, Outgoing
from fhirbridge.service.addressing import addressed
from fhirbridge.service.assigning import Part, parts, uncovered
from fhirbridge.service.loops import Bounds, Brake, held_until
from fhirbridge.service.site import Policies

MOST_ROUNDS = 20

_OF_THE_RECORD = frozenset({Withdrawal.CORRECTED, Withdrawal.DECEASED})
"""Reasons that hold whatever policy applies."""


Memories = dict[tuple[object, ...], Memory]
"""What decisions about one patient found before, by the part that they were made for."""


class Settled(Struct, frozen=True, kw_only=True):
    """What one look at a patient comes to; `uncovered` are the ids of the cases that no pack is for.

    `own` is all that was done for the patient, with the `effects` of this look; `created` is what the new things among
    the `outgoing` are for.
    """

    effects: tuple[AnyEffect, ...] = ()
    outgoing: tuple[Outgoing, ...] = ()
    created: tuple[Obligation, ...] = ()
    decisions: tuple[Decision, ...] = ()
    uncovered: tuple[str, ...] = ()
    own: Own = NOTHING
    resumes: datetime | None = None

    @property
    def held(self) -> bool:
        """Whether anything waits for the gaps of the EPR to close."""
        return any(decision.held for decision in self.decisions)

    @property
    def wakes_at(self) -> datetime | None:
        """When to look again, if nothing new is learnt."""
        return earliest((self.resumes, *(decision.wakes_at for decision in self.decisions)))


def settle(
    site: Policies,
    known: Known,
    now: datetime,
    *,
    migrating: frozenset[str] = frozenset(),
    bounds: Bounds | None = None,
) -> Settled:
    """What the policies of the site make of what is known, as of `now`: pure.

    `migrating` are runs that have just been moved to another edition: what of them goes now is superseded. Beyond
    `bounds` writes are held back.

    Raises:
        ConfigurationError: a run is on a version of a pack that is nowhere to be found.
        Defect: after `MOST_ROUNDS` rounds the decision still asks for more.
    """
    record, own = Record.of(known.facts), fold(known.effects)
    if known.replaced_by is not None:
        return settle_replaced(site, record, own, known.replaced_by, now)
    moved = moved_from(known.effects)
    return settle_on(site, record, own, now, moved=moved, migrating=migrating, gaps=known.gaps, bounds=bounds)


def settle_on(  # noqa: PLR0913  # each is something else that a decision is made on
    site: Policies,
    record: Record,
    own: Own,
    now: datetime,
    *,
    moved: Mapping[str, str],
    migrating: frozenset[str] = frozenset(),
    gaps: tuple[Gap, ...] = (),
    memories: Memories | None = None,
    bounds: Bounds | None = None,
) -> Settled:
    """The same, of a record and what was done by now; `moved` as of `moved_from`, `memories` those of this patient.

    Without `bounds` nothing is held back: where nobody answers what is written, there is no loop.

    Raises:
        ConfigurationError, Defect: as for `settle`.
    """
    settling = _Settling(site, record, own, now, moved, migrating, gaps, bounds)
    for part in parts(site, record, own):
        settling.settle(part, memories.setdefault(part.name, Memory()) if memories is not None else None)
    return settling.settled()


class _Settling:
    """One look at a patient: what it comes to, part after part of what the policies of the site make of them."""

    def __init__(
        self,
        site: Policies,
        record: Record,
        own: Own,
        now: datetime,
        moved: Mapping[str, str],
        migrating: frozenset[str],
        gaps: tuple[Gap, ...],
        bounds: Bounds | None,
    ) -> None:
        self._site = site
        self._record = record
        self._own = own
        self._now = now
        self._moved = moved
        self._migrating = migrating
        self._gaps = gaps
        self._bounds = bounds
        self._effects: list[AnyEffect] = []
        self._outgoing: list[Outgoing] = []
        self._created: list[Obligation] = []
        self._decisions: list[Decision] = []

    def settle(self, part: Part, memory: Memory | None) -> None:
        """Decide on this part and do what is decided, until nothing is left to do."""
        for _ in range(MOST_ROUNDS):
            mine = part.under(self._own, self._record)
            decision = self._decide(part, mine, memory)
            if not self._do(part, mine, decision):
                self._decisions.append(decision)
                return
        raise Defect(f"{part.pack.name}: the decision still asks for writes after {MOST_ROUNDS} rounds; report it")

    def _decide(self, part: Part, mine: Own, memory: Memory | None) -> Decision:
        decision = decide(
            part.pack,
            self._record,
            mine,
            self._now,
            cases=part.cases,
            starts=part.starts,
            gaps=self._gaps,
            memory=memory,
        )
        owed = tuple(tidings(part.pack, self._record, self._own))
        return replace(decision, obligations=(*decision.obligations, *owed)) if owed else decision

    def _do(self, part: Part, mine: Own, decision: Decision) -> bool:
        """Do what was decided, as far as nothing holds it back; whether there was anything to do."""
        now = self._now
        writes = tuple(_superseding(write, self._migrating) for write in reconcile(decision, mine, self._record))
        brake = Brake(self._bounds, self._own, now) if self._bounds is not None and writes else None
        writes, held = brake.sort(writes) if brake is not None else (writes, ())
        setting = _Setting(self._site, (part.pack,), self._record, self._own, self._moved, now)
        done = effects_of(decision, writes, now, setting.address)
        new = (*(each for each in done if not _noted(each, self._own)), *setting.address_again(mine), *held)
        if not writes and not new:
            return False
        self._own = fold(new, onto=self._own)
        self._effects += new
        setting = replace(setting, own=self._own)
        self._outgoing += (render(write, _rendering(setting, write)) for write in writes)
        self._created += (write.obligation for write in writes if isinstance(write, Create))
        return True

    def settled(self) -> Settled:
        """What all that came to."""
        return Settled(
            effects=tuple(self._effects),
            outgoing=tuple(self._outgoing),
            created=tuple(self._created),
            decisions=tuple(self._decisions),
            uncovered=uncovered(self._site, self._record),
            own=self._own,
            resumes=held_until(self._own, self._now) if self._bounds is not None else None,
        )


def settle_replaced(site: Policies, record: Record, own: Own, survivor: str, now: datetime) -> Settled:
    """What was written to a record that has been replaced goes; everything else is decided under the survivor."""
    packs = (*site.packs, *(pack for assignment in site.assignments for pack in assignment.packs))
    setting = _Setting(site, packs, record, own, {}, now)
    writes = tuple(withdrawals(record, own, survivor))
    effects = tuple(Withdrawn(identity=write.thing.identity, at=now, reason=write.reason) for write in writes)
    outgoing = tuple(render(write, _rendering(setting, write)) for write in writes)
    return Settled(effects=effects, outgoing=outgoing, own=fold(effects, onto=own))


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
    packs: tuple[Pack, ...]
    record: Record
    own: Own
    moved: Mapping[str, str]
    now: datetime

    def address(self, obligation: Obligation) -> tuple[AnyEffect, ...]:
        """What becomes of a new Communication."""
        return self._addressed(obligation.identity, obligation.key)

    def address_again(self, own: Own) -> tuple[AnyEffect, ...]:
        """Recipients found by now for Communications that had none."""
        waiting = (thing for thing in own.things.values() if thing.unaddressed is not None and thing.open)
        found = (self._addressed(thing.identity, thing.key) for thing in waiting)
        return tuple(each for effects in found for each in effects if not self._is_known(each))

    def _addressed(self, identity: str, key: Key) -> tuple[AnyEffect, ...]:
        contacts = _rendering_of(self, key).contacts(key.role, key.patient)
        return addressed(identity, key.role, contacts, self.site.addressing, self.now)

    def _is_known(self, effect: AnyEffect) -> bool:
        before = self.own.things[effect.identity].unaddressed
        return isinstance(effect, Unaddressed) and before is not None and effect.why == before.why


def _rendering(setting: _Setting, write: Write) -> Rendering:
    key = write.obligation.key if isinstance(write, Create) else write.thing.key
    identity = write.obligation.identity if isinstance(write, Create) else write.thing.identity
    thing = setting.own.things.get(identity)
    waits = thing is not None and thing.sent is None and key.kind is Kind.COMMUNICATION
    return replace(_rendering_of(setting, key), handed_over=not waits)


def _rendering_of(setting: _Setting, key: Key) -> Rendering:
    site, record = setting.site, setting.record
    case = next((case for case in record.cases if case.id == key.case), None)
    referred = [record.referrals[name] for name in (case.referrals if case else ()) if name in record.referrals]
    person = record.person
    return Rendering(
        now=setting.now,
        calendar=site.calendar,
        directory=site.directory,
        services=case.services if case else (),
        holders=record_holders(person, next(iter(referred), None), _team(record)),
        practice=(person.practice if person else None) or "",
        runs=setting.own.runs,
        moved=setting.moved,
        rows={step.id: step.row for pack in setting.packs for pathway in pack.pathways for step in pathway.steps},
    )


def _team(record: Record) -> Team | None:
    """Everybody whom an active CareTeam of the patient names, as one team."""
    teams = [history.latest for history in record.sources.values() if isinstance(history.latest, Team)]
    active = [team for team in teams if not team.erased and team.status == "active"]
    if not active:
        return None
    return replace(active[0], holders=tuple(holder for team in active for holder in team.holders))
