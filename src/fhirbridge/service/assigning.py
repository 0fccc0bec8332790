"""Which pack decides for which case, and in which edition.

Configuration assigns packs to services; the first assignment that takes a case applies. A run that has started stays
with the edition (version and settings) of its pack that it was started with, whatever the configuration says since:
each of the parts that a decision is made of has an edition, the cases it is for, and whether it may start anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from msgspec import Struct

from fhirbridge.core.cases import Case
from fhirbridge.core.effects import Started
from fhirbridge.core.own import Own
from fhirbridge.core.policy import Pack
from fhirbridge.core.timeline import Record
from fhirbridge.errors import ConfigurationError


class Assignment(Struct, frozen=True, kw_only=True):
    """The packs of one service; it takes the cases with one of its `keys` and, where named, in one of its `settings`.

    `keys` are those of the facts: `HealthcareService/x`, `Organization/y`, `CareTeam/z`, `system|code`. Without keys it
    takes cases of any service, without settings those of any setting.
    """

    name: str
    packs: tuple[Pack, ...]
    keys: frozenset[str] = frozenset()
    settings: frozenset[str] = frozenset()

    def takes(self, case: Case) -> bool:
        """Whether the case is one of this service."""
        settings = case.episode.latest.settings if case.episode is not None else ()
        mine = not self.keys or not self.keys.isdisjoint(case.services)
        return mine and (not self.settings or not self.settings.isdisjoint(settings))


Editions = Callable[[Started, str | None], Pack]
"""Finds the edition that a run was started with, given what silence about risk means now, where that is configured.

Raises:
    ConfigurationError: that edition is nowhere to be found; says what to do.
"""


def no_editions(started: Started, risk_when_unrecorded: str | None) -> Pack:
    """Where no older editions are kept."""
    raise missing_edition(started)


def missing_edition(started: Started) -> ConfigurationError:
    """What to say where the edition that a run was started with is nowhere to be found."""
    return ConfigurationError(
        f"a run of {started.pack} {started.version} goes on, and this version is nowhere to be found; put "
        f"{started.pack}@{started.version}.yaml into the folder pack_archive, or move its runs to the present version "
        f"with: fhirbridge policy migrate {started.pack} --from {started.version}",
        place="pack_archive",
    )


class Assigned(Protocol):
    """What says which packs there are: `packs` for every case where `assignments` are empty."""

    @property
    def packs(self) -> tuple[Pack, ...]:
        """The policies for every case, in order."""
        ...

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """The policies of each service, in order."""
        ...

    @property
    def editions(self) -> Editions:
        """Where older editions come from."""
        ...


class Part(Struct, frozen=True):
    """An edition of a pack, the ids of the cases it decides for (None for all), and whether it may start runs."""

    pack: Pack
    cases: frozenset[str] | None = None
    starts: bool = True

    @property
    def name(self) -> tuple[object, ...]:
        """What tells it from other parts."""
        return self.pack.name, self.pack.version, self.cases, self.starts

    def carries(self, run: Started, case: str | None) -> bool:
        """Whether the run belongs here; `case` is where it is now, None when that is gone from the record."""
        here = self.cases is None or case is None or case in self.cases
        return here and run.pack == self.pack.name and self.pack.is_edition(run)

    def under(self, own: Own, record: Record) -> Own:
        """Our own effects as far as they are this pack's: another's obligations are not its to withdraw.

        Other editions' runs stay in view, so that nothing is started twice; the core tells them apart. What the same
        edition does for cases of another part does not.
        """
        if self.cases is None and not _concerns_others(own, self.pack.name):
            return own
        runs = {identity: run for identity, run in own.runs.items() if run.pack == self.pack.name}
        if self.cases is not None:
            runs = {
                identity: run
                for identity, run in runs.items()
                if not self.pack.is_edition(run) or self.carries(run, case_of(run, record))
            }
        things = {
            identity: thing
            for identity, thing in own.things.items()
            if thing.key.pack == self.pack.name and (thing.run in runs or thing.run not in own.runs)
        }
        return Own(things=things, runs=runs)


def _concerns_others(own: Own, pack: str) -> bool:
    if any(run.pack != pack for run in own.runs.values()):
        return True
    return any(thing.key.pack != pack for thing in own.things.values())


def parts(site: Assigned, record: Record, own: Own) -> tuple[Part, ...]:
    """What a decision is made of: the packs in force, then the editions that only carry on what they started.

    Raises:
        ConfigurationError: an older edition is nowhere to be found.
    """
    present = in_force(site, record)
    older: dict[tuple[str, str, str, str], tuple[Pack, set[str]]] = {}
    for run in own.runs.values():
        case = case_of(run, record)
        if any(part.carries(run, case) for part in present):
            continue
        pack = edition_of(run, case, present, site.editions)
        key = (pack.name, pack.version, repr(sorted(pack.settings.items())), pack.risk_when_unrecorded)
        older.setdefault(key, (pack, set()))[1].add(case or run.case)
    carried = (Part(pack, frozenset(cases), starts=False) for pack, cases in older.values())
    used = {run.pack for run in own.runs.values()}
    return (*(part for part in present if part.cases != frozenset() or part.pack.name in used), *carried)


def in_force(site: Assigned, record: Record) -> tuple[Part, ...]:
    """The packs as configured, with the cases that each applies to."""
    if not site.assignments:
        return tuple(Part(pack) for pack in site.packs)
    packs: dict[int, tuple[Pack, set[str]]] = {}
    for assignment in site.assignments:
        for pack in assignment.packs:
            packs.setdefault(id(pack), (pack, set()))
    for case in record.cases:
        taken = _assignment(site, case)
        for pack in taken.packs if taken else ():
            packs[id(pack)][1].add(case.id)
    return tuple(Part(pack, frozenset(cases)) for pack, cases in packs.values())


def uncovered(site: Assigned, record: Record) -> tuple[str, ...]:
    """Ids of the cases that no configured service takes."""
    if not site.assignments:
        return ()
    return tuple(case.id for case in record.cases if _assignment(site, case) is None)


def edition_of(run: Started, case: str | None, present: Iterable[Part], editions: Editions) -> Pack:
    """The edition that the run was started with.

    Raises:
        ConfigurationError: it is nowhere to be found.
    """
    same = [part for part in present if part.pack.name == run.pack]
    kept = next((part.pack for part in same if part.pack.is_edition(run)), None)
    if kept is not None:
        return kept
    now = next((part for part in same if part.cases is None or case in part.cases), None)
    return editions(run, now.pack.risk_when_unrecorded if now else None)


def case_of(run: Started, record: Record) -> str | None:
    """The id of the case that the run belongs to now: a referral becomes an episode; None when it is gone."""
    return next((case.id for case in record.cases if run.case == case.id or run.case in case.names), None)


def _assignment(site: Assigned, case: Case) -> Assignment | None:
    return next((assignment for assignment in site.assignments if assignment.takes(case)), None)
