"""Moving running pathways to the edition of their pack that is in force now, because a person wants it.

A change of ours is no change of the record: what goes by it is superseded, and nobody is sent a correction. First
everything is brought up to date as it stood, so that what the record asks for is not laid to the migration; then the
runs are moved, and what the present edition makes of them is written in the same transaction.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from fhirbridge.core.effects import Amended, AnyEffect, Migrated, Started, Withdrawn, Written
from fhirbridge.core.own import Own, Thing, fold
from fhirbridge.core.timeline import Record
from fhirbridge.errors import ConfigurationError, Overtaken
from fhirbridge.ports import Clock, Known, Store, Subject
from fhirbridge.service.assigning import Part, case_of, in_force
from fhirbridge.service.merging import as_one
from fhirbridge.service.settling import Settled, settle
from fhirbridge.service.site import Policies


class Which(Struct, frozen=True):
    """The runs that are to move: those of a pack, and of one version of it where that is given."""

    pack: str
    version: str | None = None


class Migration(Struct, frozen=True, kw_only=True):
    """What moving the runs of one patient comes to: before it, the move itself, and what follows from it."""

    before: Settled
    moved: tuple[Migrated, ...]
    after: Settled
    own: Own
    """Everything the service did for the patient, with all that."""

    @property
    def created(self) -> tuple[Thing, ...]:
        """What is written anew."""
        return self._things(Written)

    @property
    def withdrawn(self) -> tuple[Thing, ...]:
        """What is taken back, each with its reason."""
        return self._things(Withdrawn)

    @property
    def changed(self) -> tuple[Thing, ...]:
        """What gets another due date, priority or reason."""
        return self._things(Amended)

    @property
    def effects(self) -> tuple[AnyEffect, ...]:
        """All of it, in order."""
        return (*self.before.effects, *self.moved, *self.after.effects)

    def _things(self, kind: type[AnyEffect]) -> tuple[Thing, ...]:
        named = dict.fromkeys(effect.identity for effect in self.after.effects if isinstance(effect, kind))
        return tuple(self.own.things[identity] for identity in named)


def migration(site: Policies, known: Known, which: Which, now: datetime) -> Migration | None:
    """What it would come to; None where there is nothing to move, or the record has been replaced. Pure.

    Raises:
        ConfigurationError: another run is on a version of its pack that is nowhere to be found.
        Defect: a decision does not come to an end.
    """
    if known.replaced_by is not None:
        return None
    record = Record.of(known.facts)
    present = in_force(site, record)
    if not _to_move(known.effects, which, present, record, now):
        return None
    before = _as_it_stands(site, known, now)
    standing = (*known.effects, *before.effects)
    moved = _to_move(standing, which, present, record, now)
    effects = (*standing, *moved)
    ready = Known(facts=known.facts, effects=effects, references=known.references, gaps=known.gaps)
    after = settle(site, ready, now, migrating=frozenset(each.identity for each in moved))
    return Migration(before=before, moved=moved, after=after, own=fold((*effects, *after.effects)))


async def migrate(store: Store, site: Policies, subject: Subject, which: Which, clock: Clock) -> Migration | None:
    """Move the runs of the patient, write what follows, and make them due; None where there is nothing to move.

    Raises:
        Overtaken: another worker is busy with the patient; nothing was changed.
        StoreUnavailable: nothing was changed.
        ConfigurationError, Defect: as `migration`.
    """
    async with store.lease(subject, clock.now()) as held:
        if not held:
            raise Overtaken("another worker is busy with this patient: try again")
        now = clock.now()
        known = await as_one(store, subject, await store.load(subject), now)
        found = migration(site, known, which, now)
        if found is not None:
            await store.commit(
                subject,
                effects=found.effects,
                outgoing=(*found.before.outgoing, *found.after.outgoing),
                wakes_at=now,
                decided_at=now,
                revision=known.revision,
            )
    return found


def _to_move(
    effects: tuple[AnyEffect, ...], which: Which, present: tuple[Part, ...], record: Record, now: datetime
) -> tuple[Migrated, ...]:
    """The moves of every run that is meant, what has begun only just now included."""
    runs = [run for run in fold(effects).runs.values() if _is_meant(run, which)]
    return tuple(found for run in runs if (found := _move(run, present, record, now)) is not None)


def _is_meant(run: Started, which: Which) -> bool:
    return run.pack == which.pack and which.version in (None, run.version)


def _move(run: Started, present: tuple[Part, ...], record: Record, now: datetime) -> Migrated | None:
    """To the edition in force for its case; None where it is on that already, or the pack is not for its case now."""
    case = case_of(run, record)
    mine = (part for part in present if part.pack.name == run.pack)
    part = next((part for part in mine if part.cases is None or case is None or case in part.cases), None)
    if part is None or part.pack.is_edition(run):
        return None
    return Migrated(identity=run.identity, at=now, version=part.pack.version, settings=dict(part.pack.settings))


def _as_it_stands(site: Policies, known: Known, now: datetime) -> Settled:
    try:
        return settle(site, known, now)
    except ConfigurationError:
        # The edition that is to be left is lost; where it is another one, settling after the move says so again.
        return Settled()
