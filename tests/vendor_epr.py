"""EPRs in memory that offer no more than Epic and Oracle Health say they do, with the rules that come with it.

Staff write into the record behind the API's back; what the service asks for is held to the CapabilityStatement, as
recorded from the vendors' public pages.
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.errors import EprRefused
from fhirbridge.fhir.capability import Capability
from fhirbridge.ports import Clock, Event, Resource

_RECORDED = Path(__file__).parent / "unit" / "fhir" / "capabilities"
_LIST = frozenset({"patient", "practitioner", "location"})


class VendorEpr(MemoryEpr):
    """An EPR by its CapabilityStatement. Without `versions` its resources have no `meta` at all, as Epic's.

    `demanding`: a search of Appointments needs exactly one of patient, practitioner and location, with one value, and a
    date with both bounds, as Oracle Health's does. `asked` are the searches, in order; `hidden` are references that no
    search finds though they are there.
    """

    def __init__(
        self, statement: str, clock: Clock, *, versions: bool = True, demanding: bool = False, name: str = "main"
    ) -> None:
        super().__init__(name, clock)
        self._statement: Resource = json.loads((_RECORDED / f"{statement}.json").read_text())
        self._capability = Capability.of(self._statement)
        self._versioned = versions
        self._demanding = demanding
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.reads: list[str] = []
        self.hidden: set[str] = set()

    async def capability(self) -> Resource:
        return self._statement

    async def read(self, reference: str) -> Resource | None:
        self._must(reference.partition("/")[0], "read")
        self.reads.append(reference)
        found = await super().read(reference)
        return self._shown(found) if found else None

    async def history(self, reference: str) -> list[Resource]:
        self._must(reference.partition("/")[0], "history-instance")
        return [self._shown(version) for version in await super().history(reference)]

    async def changes(self, resource_type: str, since: datetime) -> AsyncIterator[Event]:
        self._must(resource_type, "history-type")
        async for event in super().changes(resource_type, since):
            yield event

    async def search(
        self, resource_type: str, parameters: Mapping[str, str | Sequence[str]]
    ) -> AsyncIterator[Resource]:
        self._must(resource_type, "search-type")
        offer = self._capability.offer(resource_type)
        if unknown := [name for name in parameters if not offer.searches(name)]:
            raise EprRefused(f"{self.name}: search {resource_type}: 400 {unknown[0]} is not supported")
        if resource_type == "Appointment" and self._demanding and "_id" not in parameters:
            self._check_demands(parameters)
        self.asked.append((resource_type, dict(parameters)))
        async for found in super().search(resource_type, parameters):
            if f"{resource_type}/{found['id']}" not in self.hidden:
                yield self._shown(found)

    def restore(self, reference: str, version: int) -> None:
        """Have a deleted resource stand there again as it was, as when a system's fault is mended."""
        self._versions[reference] = self._versions[reference][:version]

    def _check_demands(self, parameters: Mapping[str, str | Sequence[str]]) -> None:
        named = [name for name in parameters if name in _LIST]
        values = [parameters[named[0]]] if len(named) == 1 else []
        several = any("," in value if isinstance(value, str) else len(value) > 1 for value in values)
        dates = parameters.get("date", ())
        bounded = not isinstance(dates, str) and {date[:2] for date in dates} == {"ge", "lt"}
        if not values or several or not bounded:
            raise EprRefused(f"{self.name}: search Appointment: 400 one of {sorted(_LIST)}, and date twice", status=400)

    def _must(self, kind: str, interaction: str) -> None:
        if not self._capability.offer(kind).can(interaction):
            raise EprRefused(f"{self.name}: {interaction} of {kind}: 405 not offered", status=405)

    def _shown(self, resource: Resource) -> Resource:
        shown = copy.deepcopy(resource)
        if not self._versioned:
            del shown["meta"]
        return shown


def oracle(clock: Clock) -> VendorEpr:
    """Oracle Health: versions and times, no history; Appointments by date and place alone."""
    return VendorEpr("oracle-health", clock, demanding=True)


def epic(clock: Clock) -> VendorEpr:
    """Epic: no versions, no times, no history; Appointments by date."""
    return VendorEpr("epic", clock, versions=False)
