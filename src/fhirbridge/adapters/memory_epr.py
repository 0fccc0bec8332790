"""An EPR in memory: FHIR R4 in small, for tests and for whoever wants to see the service work without a server.

It keeps every version, answers the searches that the service makes, carries out transactions with conditional creates
and If-Match, and tells of each change as a rest-hook does. What it does not know it refuses, as a strict server would:
a double that lets more pass than the real thing hides faults. Rows are delivered by the same code as over HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import orjson
from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.adapters.epr import entries
from fhirbridge.adapters.epr.delivery import deliver
from fhirbridge.adapters.memory_search import matches, unsupported
from fhirbridge.errors import EprConflict, EprRefused
from fhirbridge.fhir.linking import identity_of, pointed, referred
from fhirbridge.ports import Clock, Delivery, Event, Receipt, Resource

OnChange = Callable[[Event], Awaitable[None]]

# Elements that R4 requires (cardinality 1..) of the types the service reads and writes.
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "Appointment": ("status", "participant"),
    "CarePlan": ("status", "intent", "subject"),
    "Communication": ("status",),
    "Condition": ("subject",),
    "Consent": ("status", "scope", "category"),
    "DocumentReference": ("status", "content"),
    "Encounter": ("status", "class"),
    "EpisodeOfCare": ("status", "patient"),
    "Flag": ("status", "code", "subject"),
    "Organization": (),
    "Patient": (),
    "Practitioner": (),
    "Provenance": ("target", "recorded", "agent"),
    "RelatedPerson": ("patient",),
    "ServiceRequest": ("status", "intent", "subject"),
    "Subscription": ("status", "reason", "criteria", "channel"),
    "Task": ("status", "intent"),
}


class _Outcome(Struct, frozen=True):
    """What an entry of a transaction came to; not `changed` when a conditional create found the resource there."""

    resource: Resource
    changed: bool


class MemoryEpr:
    """One EPR in memory (`ports.Epr`).

    `clock` gives `meta.lastUpdated`; `on_change`, if any, is awaited with an `Event` that carries the resource after
    each committed change, in the order of the changes (Subscriptions and Provenances excepted).
    """

    def __init__(self, name: str, clock: Clock, on_change: OnChange | None = None) -> None:
        self.name = name
        self._clock = clock
        self._on_change = on_change
        self._versions: dict[str, list[Resource | None]] = {}
        self._committed: list[tuple[datetime, Event]] = []
        self._ids = 0

    async def capability(self) -> Resource:
        """Its CapabilityStatement."""
        kinds = [{"type": kind, "updateCreate": True, "conditionalCreate": True} for kind in _REQUIRED]
        rest = {"mode": "server", "resource": kinds, "interaction": [{"code": "transaction"}]}
        return {"resourceType": "CapabilityStatement", "status": "active", "fhirVersion": "4.0.1", "rest": [rest]}

    def contents(self) -> list[Resource]:
        """The current version of everything, in the order in which it was first written."""
        return [_copied(versions[-1]) for versions in self._versions.values() if versions and versions[-1]]

    async def read(self, reference: str) -> Resource | None:
        """The current version of `Type/id`; None when deleted or unknown."""
        return _copied(current) if (current := self._current(reference)) else None

    async def history(self, reference: str) -> list[Resource]:
        """Every version of `Type/id`, oldest first, deletions left out."""
        return [_copied(version) for version in self._versions.get(reference, []) if version is not None]

    async def search(
        self, resource_type: str, parameters: Mapping[str, str | Sequence[str]]
    ) -> AsyncIterator[Resource]:
        """All matches, by the instant of their last change.

        Parameters: `_id`, `_lastUpdated` and `date` (ge, gt, le, lt), `_tag`, `identifier`, `patient`, `subject`,
        `location`, `status`, `target`, `criteria`, `url`; commas are alternatives, several values have to match each,
        as in FHIR. `_count` and `_sort` change nothing here.

        Raises:
            EprRefused: the type or a parameter is not known.
        """
        given = [(name, value) for name, of in parameters.items() for value in ([of] if isinstance(of, str) else of)]
        for match in self._matches(resource_type, given):
            yield _copied(match)

    async def changes(self, resource_type: str, since: datetime) -> AsyncIterator[Event]:
        """Every version of any resource of the type since then, the latest first; deletions as far as they are dated.

        Raises:
            EprRefused: the type is not known.
        """
        if resource_type not in _REQUIRED:
            raise EprRefused(f"{self.name}: {resource_type}: no such resource type here")
        for at, event in reversed(self._committed):
            if event.type == resource_type and at >= since:
                yield event

    async def invoke(self, path: str) -> Resource:
        """No operation is offered here.

        Raises:
            EprRefused: always.
        """
        raise EprRefused(f"{self.name}: {path}: no operation is known here")

    async def deliver(self, deliveries: Sequence[Delivery], references: dict[str, str]) -> list[Receipt]:
        """Carry out the rows of one subject: see `fhirbridge.adapters.epr.delivery.deliver`."""
        return await deliver(self, deliveries, references)

    async def create(self, resource: Resource) -> Resource:
        """Plain create; the stored resource."""
        return await self._alone({"method": "POST", "url": resource["resourceType"]}, resource)

    async def update(self, resource: Resource) -> Resource:
        """Plain update by id; the stored resource."""
        return await self._alone({"method": "PUT", "url": entries.reference_of(resource)}, resource)

    async def delete(self, reference: str) -> None:
        """Delete `Type/id`; its versions stay in the history."""
        if self._current(reference) is None:
            return
        version = len(self._versions[reference]) + 1
        self._versions[reference].append(None)
        kind, _, identity = reference.partition("/")
        await self._tell([Event(type=kind, id=identity, version=str(version), deleted=True)])

    async def transact(self, bundle: Resource) -> Resource:
        """Carry out a transaction Bundle, all of it or nothing; the transaction-response Bundle.

        Raises:
            EprRefused: an entry is not valid, or refers to an entry that is not there.
            EprConflict: an If-Match does not match, or a condition matches more than one resource.
        """
        return await self._transact(bundle.get("entry", []))

    async def interact(self, entry: Resource) -> Resource:
        """Carry out one entry of a Bundle by itself; the entry that answers it."""
        answered: Resource = (await self._transact([entry]))["entry"][0]
        return answered

    async def _transact(self, parts: Sequence[Resource]) -> Resource:
        before = {reference: list(versions) for reference, versions in self._versions.items()}
        try:
            stored = self._carry_out(parts)
        except (EprConflict, EprRefused):
            self._versions = before
            raise
        await self._tell([_event(outcome.resource) for outcome in stored if outcome.changed])
        answers = [_response(outcome) for outcome in stored]
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}

    async def _alone(self, request: Resource, resource: Resource) -> Resource:
        answer = await self._transact([{"resource": resource, "request": request}])
        reference, _ = entries.answered(answer["entry"][0])
        return _copied(self._versions[reference][-1] or {})

    def _carry_out(self, parts: Sequence[Resource]) -> list[_Outcome]:
        """Creates before updates, as R4 orders them; answers in the order of the entries."""
        existing = {place: self._existing(part["request"]) for place, part in enumerate(parts)}
        targets = {place: self._target(part, existing[place]) for place, part in enumerate(parts)}
        names = {part["fullUrl"]: targets[place] for place, part in enumerate(parts) if "fullUrl" in part}
        stored: dict[int, _Outcome] = {}
        for place in sorted(targets, key=lambda place: parts[place]["request"]["method"] != "POST"):
            part, found = parts[place], existing[place]
            if found is not None:
                stored[place] = _Outcome(found, changed=False)
                continue
            resource = _renamed(part["resource"], names)
            self._check_match(targets[place], part["request"].get("ifMatch"))
            stored[place] = _Outcome(self._keep(targets[place], resource), changed=True)
        return [stored[place] for place in range(len(parts))]

    def _existing(self, request: Resource) -> Resource | None:
        if "ifNoneExist" not in request:
            return None
        found = self._matches(request["url"], parse_qsl(request["ifNoneExist"]))
        if len(found) > 1:
            raise EprConflict(f"{self.name}: conditional create of {request['url']}: {len(found)} match")
        return found[0] if found else None

    def _target(self, part: Resource, existing: Resource | None) -> str:
        request = part["request"]
        if request["method"] == "PUT":
            return str(request["url"])
        if existing is not None:
            return entries.reference_of(existing)
        self._ids += 1
        return f"{request['url']}/{self.name}-{self._ids}"

    def _check_match(self, reference: str, if_match: str | None) -> None:
        current = self._current(reference)
        if if_match is not None and (current is None or if_match != f'W/"{entries.version_of(current)}"'):
            raise EprConflict(f"{self.name}: {reference}: not the version that was read; read it again")

    def _keep(self, reference: str, resource: Resource) -> Resource:
        kind, _, identity = reference.partition("/")
        if resource.get("resourceType") != kind or kind not in _REQUIRED:
            raise EprRefused(f"{self.name}: {reference}: resource type {resource.get('resourceType')} does not fit")
        if absent := [element for element in _REQUIRED[kind] if not resource.get(element)]:
            raise EprRefused(f"{self.name}: {kind}: {', '.join(absent)} missing")
        versions = self._versions.setdefault(reference, [])
        meta = {**resource.get("meta", {}), "versionId": str(len(versions) + 1), "lastUpdated": self._now()}
        kept = {**_copied(resource), "id": identity, "meta": meta}
        if kind == "Subscription" and kept["status"] == "requested":
            kept["status"] = "active"
        versions.append(kept)
        return kept

    def _now(self) -> str:
        return self._clock.now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _current(self, reference: str) -> Resource | None:
        return self._versions.get(reference, [None])[-1]

    def _matches(self, kind: str, parameters: Sequence[tuple[str, str]]) -> list[Resource]:
        if kind not in _REQUIRED:
            raise EprRefused(f"{self.name}: {kind}: no such resource type here")
        if unknown := unsupported(parameters):
            raise EprRefused(f"{self.name}: search parameter {', '.join(unknown)} is not supported for {kind}")
        current = [versions[-1] for versions in self._versions.values()]
        found = [one for one in current if one and one["resourceType"] == kind and matches(one, parameters)]
        return sorted(found, key=lambda resource: resource["meta"]["lastUpdated"])

    async def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            self._committed.append((self._clock.now(), replace(event, resource=None)))
            if self._on_change is not None and event.type not in ("Subscription", "Provenance"):
                await self._on_change(event)


def _copied(resource: Resource) -> Resource:
    copied: Resource = orjson.loads(orjson.dumps(resource))
    return copied


def _event(resource: Resource) -> Event:
    version = entries.version_of(resource)
    return Event(type=resource["resourceType"], id=resource["id"], version=version, resource=_copied(resource))


def _response(outcome: _Outcome) -> Resource:
    version = entries.version_of(outcome.resource)
    status = "201" if outcome.changed and version == "1" else "200"
    location = f"{entries.reference_of(outcome.resource)}/_history/{version}"
    return {"response": {"status": status, "location": location, "etag": f'W/"{version}"'}}


def _renamed(resource: Resource, names: Mapping[str, str]) -> Resource:
    known = {identity_of(name): reference for name, reference in names.items()}
    renamed: Resource = pointed(resource, known)
    if dangling := referred(renamed):
        raise EprRefused(f"{resource.get('resourceType')} refers to {', '.join(sorted(dangling))}: not in this Bundle")
    return renamed
