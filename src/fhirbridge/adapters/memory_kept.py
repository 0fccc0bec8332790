"""`ports.Kept` in memory: looks into the versions of a `MemoryStore`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from fhirbridge.adapters.store.kept import Named, is_expected, new_among
from fhirbridge.ports import Version

Versions = Mapping[tuple[str, str, str, str], Version]
"""What is kept, by EPR, type, id and key, in the order in which it was kept."""


class MemoryKept:
    """The in-memory `ports.Kept`, over versions that somebody else keeps."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    async def latest(self, epr: str, resource_type: str, ids: Collection[str]) -> dict[str, Version]:
        """For each of these ids that anything is kept of, the version that became known last."""
        return {identity: version for identity, version in self._last(epr, resource_type).items() if identity in ids}

    async def expected(
        self, epr: str, resource_type: str, *, start: datetime | None, end: datetime | None, patient: str = ""
    ) -> set[str]:
        """Ids of resources that, as last known, are there and took place from `start` to before `end`."""
        last = self._last(epr, resource_type)
        return {identity for identity, one in last.items() if is_expected(one.fact, start, end, patient)}

    async def unknown(self, epr: str, versions: Sequence[Version]) -> list[Version]:
        """Those of these versions that are not kept, each once; without an id, those that say something new."""
        kept: Named = {}
        for (of, kind, identity, key), version in self._versions.items():
            if of == epr:
                kept.setdefault((kind, identity), []).append((version.fact.known, key))
        return new_among(versions, kept)

    async def patients(self, epr: str, *, after: str, limit: int) -> list[str]:
        """Patients of this EPR about whom anything is kept, in order, those past `after`."""
        known = {version.fact.patient for (of, *_), version in self._versions.items() if of == epr}
        return sorted(patient for patient in known if patient > after)[:limit]

    def _last(self, epr: str, resource_type: str) -> dict[str, Version]:
        mine = [(key[2], version) for key, version in self._versions.items() if key[:2] == (epr, resource_type)]
        return dict(sorted(mine, key=lambda one: one[1].fact.known))
