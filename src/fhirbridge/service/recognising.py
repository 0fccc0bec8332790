"""The service's own writes, as they come back from the EPR: known again, taken as confirmation, never as a cause.

What the service wrote bears its tag and the identifier of its obligation. An EPR may drop either, at once or when a
person saves the resource from a screen that does not know them; then the resource is known by where it stands, which
is kept with the receipt of each delivery. So a Task of ours never passes for one that staff made themselves.

The very version that was written says nothing new: it is kept, and nobody is looked at again because of it. Whatever
else stands in our resources was put there by somebody else, and is a fact like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from fhirbridge.core.effects import Kind
from fhirbridge.core.facts import AnyFact, Message, OwnFlag, Plan, Task
from fhirbridge.core.own import Thing, fold
from fhirbridge.fhir.canonical import ORIGIN
from fhirbridge.ports import Resource, Store, Subject, There, Version
from fhirbridge.service.measures import CONFIRMED
from fhirbridge.service.site import Site

_STANDING = {
    Kind.TASK: frozenset({"requested"}),
    Kind.COMMUNICATION: frozenset({"preparation", "in-progress", "completed"}),
    Kind.FLAG: frozenset({"active"}),
    Kind.CARE_PLAN: frozenset({"active"}),
}
"""The statuses that the service itself gives to what it has not closed."""


async def keep(store: Store, site: Site, versions: Sequence[Version], digested: Sequence[int], now: datetime) -> None:
    """Keep versions as `Store.keep` does, with those of the service's own resources recognised.

    Raises:
        StoreUnavailable: nothing was kept.
    """
    epr = site.epr.name
    ours = {f"{one.fact.source.type}/{one.fact.source.id}" for one in versions if one.fact.source.type in set(Kind)}
    there = await store.own.at(epr, ours) if ours else {}
    named = _named([one for one in versions if not one.unfit], there)
    known: dict[str, Mapping[str, Thing]] = {}
    kept = []
    for one in named:
        written = there.get(one.fact.source.reference)
        if written is not None and written.version and one.fact.source.version == written.version:
            if one.fact.patient not in known:
                effects = (await store.load(Subject(epr, one.fact.patient))).effects
                known[one.fact.patient] = fold(effects).things
            thing = known[one.fact.patient].get(written.identity)
            if thing is not None and _says_nothing_new(one.fact, thing):
                CONFIRMED.labels(epr, one.fact.source.type).inc()
                kept.append(replace(one, confirms=True))
                continue
        kept.append(one)
    kept += [one for one in versions if one.unfit]
    await store.keep(epr, kept, digested, now)


def _named(versions: Sequence[Version], there: Mapping[str, There]) -> list[Version]:
    """The versions, with the obligation put back into those of the service's own resources that have lost it."""
    identities = {reference: one.identity for reference, one in there.items()}
    for one in versions:
        if obligation := getattr(one.fact, "obligation", None):
            identities.setdefault(one.fact.source.reference, obligation)
    return [_with_obligation(one, identities) for one in versions]


def _with_obligation(one: Version, identities: Mapping[str, str]) -> Version:
    fact, reference = one.fact, one.fact.source.reference
    tagged = reference if _is_tagged(one.resource) else None
    identity = identities.get(reference, tagged)
    if identity is None or fact.source.type not in set(Kind):
        return one
    if isinstance(fact, Task | Message | Plan) and fact.obligation is None:
        return replace(one, fact=replace(fact, obligation=identity))
    if fact.source.type == Kind.FLAG and not isinstance(fact, OwnFlag):
        status = str(one.resource.get("status", ""))
        flag = OwnFlag(
            source=fact.source,
            known=fact.known,
            patient=fact.patient,
            erased=fact.erased,
            obligation=identity,
            status=status,
        )
        return replace(one, fact=flag)
    return one


def _is_tagged(resource: Resource) -> bool:
    """Whether it bears the service's tag: then it is the service's, even where nothing says what it was written for."""
    tags = resource.get("meta", {}).get("tag", [])
    return any(tag.get("system") == ORIGIN and tag.get("code") == "fhirbridge" for tag in tags)


def _says_nothing_new(fact: AnyFact, thing: Thing) -> bool:
    """Whether the resource stands as the service wrote it: its status, and of a Task the due date and no outcome."""
    if not isinstance(fact, Task | Message | Plan | OwnFlag) or fact.erased:
        return False
    as_written = (fact.status in _STANDING[thing.key.kind]) == thing.open
    if not isinstance(fact, Task):
        return as_written
    return as_written and (fact.due is None or fact.due in thing.dues) and (fact.outcome is None or not thing.open)
