"""An EPR in memory that can do what a CapabilityStatement says and nothing else: the double of EPRs with few writes.

What the statement does not offer is refused, as a real server refuses it; a header of a conditional create that it does
not offer is ignored, as a real server ignores it. What has to be there before a test begins is put in by `having`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from fhirbridge.adapters.memory_epr import MemoryEpr, OnChange
from fhirbridge.errors import EprRefused
from fhirbridge.fhir.capability import Capability, Offer
from fhirbridge.ports import Clock, Resource

_NOT_ALLOWED = 405


class LimitedEpr(MemoryEpr):
    """One EPR in memory with the capabilities of `statement` (`ports.Epr`)."""

    def __init__(self, name: str, clock: Clock, statement: Resource, on_change: OnChange | None = None) -> None:
        super().__init__(name, clock, on_change)
        self._statement = statement
        self._offers = Capability.of(statement)

    async def having(self, resource: Resource) -> Resource:
        """Put a resource there, whatever the statement offers: as staff would, in the EPR itself."""
        return await super().update(resource)

    async def capability(self) -> Resource:
        """The statement."""
        return self._statement

    async def read(self, reference: str) -> Resource | None:
        """The current version, where the type can be read."""
        self._offer(reference.partition("/")[0], "read")
        return await super().read(reference)

    async def history(self, reference: str) -> list[Resource]:
        """Every version, where the type keeps its history."""
        self._offer(reference.partition("/")[0], "history-instance")
        return await super().history(reference)

    async def search(
        self, resource_type: str, parameters: Mapping[str, str | Sequence[str]]
    ) -> AsyncIterator[Resource]:
        """All matches, where every parameter is offered."""
        offer = self._offer(resource_type, "search-type")
        for name in parameters:
            if not offer.searches(name):
                raise EprRefused(f"{self.name}: {resource_type}: no search by {name}", status=400)
        async for match in super().search(resource_type, parameters):
            yield match

    async def create(self, resource: Resource) -> Resource:
        """Plain create, where that is offered."""
        self._offer(str(resource["resourceType"]), "create")
        return await super().create(resource)

    async def update(self, resource: Resource) -> Resource:
        """Plain update, where that is offered."""
        self._offer(str(resource["resourceType"]), "update")
        return await super().update(resource)

    async def transact(self, bundle: Resource) -> Resource:
        """A transaction, where these are offered."""
        if not self._offers.transaction:
            raise EprRefused(f"{self.name}: transactions are not offered", status=_NOT_ALLOWED)
        return await super().transact({**bundle, "entry": [self._possible(entry) for entry in bundle["entry"]]})

    async def interact(self, entry: Resource) -> Resource:
        """One interaction, where it is offered."""
        return await super().interact(self._possible(entry))

    def _possible(self, entry: Resource) -> Resource:
        request = entry["request"]
        kind, _, identity = str(request["url"]).partition("/")
        if request["method"] == "POST":
            offer = self._offer(kind, "create")
        else:
            offer = self._offer(kind, "update")
            if self._current(f"{kind}/{identity}") is None and not offer.update_create:
                raise EprRefused(f"{self.name}: {kind}: ids are not for clients to choose", status=_NOT_ALLOWED)
        if offer.conditional_create or "ifNoneExist" not in request:
            return entry
        return {**entry, "request": {name: part for name, part in request.items() if name != "ifNoneExist"}}

    def _offer(self, resource_type: str, interaction: str) -> Offer:
        offer = self._offers.offer(resource_type)
        if not offer.can(interaction):
            raise EprRefused(f"{self.name}: {resource_type}: {interaction} is not offered", status=_NOT_ALLOWED)
        return offer
