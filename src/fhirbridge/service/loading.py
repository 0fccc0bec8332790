"""The initial load: what an EPR, or files of it, have from before the service began.

It goes straight to the kept versions, not through the inbox: nothing here is a hint that would have to be looked up.
The patients it is about become due, and the running service decides on them. Loading the same again finds it known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from fhirbridge.core.facts import Unmapped
from fhirbridge.ports import Clock, Resource, Store, Version
from fhirbridge.service.site import Site
from fhirbridge.service.versions import as_gone, read_in

_BATCH = 500


class Load:
    """A load in progress, and what it has come to: counts of versions; `patients` are those something new is known of.

    `without_use` counts by type what the service has no use for or could not read, `unmapped` by type and reason what
    could not be mapped, which is kept all the same.
    """

    def __init__(self, store: Store, site: Site, clock: Clock) -> None:
        self.read = 0
        self.new = 0
        self.known = 0
        self.without_use: Counter[str] = Counter()
        self.unmapped: Counter[tuple[str, str]] = Counter()
        self.patients: set[str] = set()
        self._store = store
        self._site = site
        self._clock = clock

    async def take(self, resources: Iterable[Resource]) -> None:
        """Keep these versions, in transactions of some hundreds."""
        batch: list[Resource] = []
        for resource in resources:
            batch.append(resource)
            if len(batch) >= _BATCH:
                await self._take(batch)
                batch = []
        await self._take(batch)

    async def take_versions(self, versions: Sequence[Version]) -> None:
        """Keep these versions, in one transaction: all of a patient's record, or none of it."""
        self.read += len(versions)
        await self._keep(versions)

    async def take_deletion(self, reference: str, at: datetime) -> None:
        """Keep that the resource was deleted then, if the version that is kept last is older."""
        last = await self._store.last(self._site.epr.name, reference)
        if last is not None and not last.fact.erased and last.fact.known <= at:
            self.read += 1
            await self._keep([as_gone(last, at)])

    async def _take(self, resources: Sequence[Resource]) -> None:
        self.read += len(resources)
        versions = read_in(self._site, resources, self._clock.now())
        mapped = Counter(version.fact.source.type for version in versions if not version.unfit)
        self.without_use += Counter(str(resource.get("resourceType")) for resource in resources) - mapped
        await self._keep(versions)

    async def _keep(self, versions: Sequence[Version]) -> None:
        name = self._site.epr.name
        fit = [version for version in versions if not version.unfit]
        new = await self._store.kept.unknown(name, fit)
        self.new += len(new)
        self.known += len(fit) - len(new)
        self.patients |= {version.fact.patient for version in new} - {""}
        facts = [version.fact for version in fit]
        self.unmapped.update((fact.source.type, fact.reason) for fact in facts if isinstance(fact, Unmapped))
        if versions:
            await self._store.keep(name, versions, (), self._clock.now())
