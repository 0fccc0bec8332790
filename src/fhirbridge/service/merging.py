"""Records of patients that were merged: the survivor is decided with what is known of all of them.

Each record says by itself what it is linked to. What it says is kept apart from its versions, so that it can be found
from the other side too, and whoever is named is looked at again. Nothing else is kept: what was united falls apart by
itself when the link is taken back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import structlog
from msgspec.structs import replace

from fhirbridge.core.merging import Merged, links, moves, survivors, united
from fhirbridge.errors import EprRefused
from fhirbridge.ports import Clock, Known, Store, Subject, Version
from fhirbridge.service import reading
from fhirbridge.service.site import Site, said, shown

_log = structlog.get_logger(__name__)


async def notice_links(store: Store, site: Site, subject: Subject, known: Known, clock: Clock) -> None:
    """Keep what the record says of others; where it is replaced, see to it that the one that goes on is looked at.

    Raises:
        EprUnavailable, EprError: the record that goes on was never read, and cannot be read at present.
        StoreUnavailable: nothing was kept.
    """
    says = links(known.facts)
    if says != frozenset(link for link in known.links if link.said_by == subject.patient):
        await store.merges.claim(subject, says, clock.now())
    elif not known.links:
        return
    survivor = survivors(await store.merges.linked(subject)).get(subject.patient)
    if survivor is None:
        return
    goes_on = Subject(subject.epr, survivor)
    if not await store.has_seen(goes_on):
        try:
            versions = await reading.whole_record(site, survivor, clock)
        except EprRefused as refusal:
            _log.warning("the record that goes on cannot be read", subject=shown(goes_on), why=said(refusal))
        else:
            await store.keep(subject.epr, versions, (), clock.now())
    await store.merges.wake(goes_on, clock.now())


async def as_one(store: Store, subject: Subject, known: Known, now: datetime) -> Known:
    """The same with all that is known of the records that this one replaces; or told that it is replaced itself."""
    if not known.links and not links(known.facts):
        return known
    ends = survivors(await store.merges.linked(subject))
    if (survivor := ends.get(subject.patient)) is not None:
        return replace(known, replaced_by=survivor)
    replaced = sorted(patient for patient, end in ends.items() if end == subject.patient)
    if not replaced:
        return known
    others = [(patient, await store.load(Subject(subject.epr, patient))) for patient in replaced]
    records = [Merged(patient, each.facts, each.effects) for patient, each in ((subject.patient, known), *others)]
    one = united(subject.patient, records, now)
    references = {name: at for _, each in others for name, at in each.references.items()} | known.references
    return replace(known, facts=one.facts, effects=one.effects, references=references)


def departures(versions: Iterable[Version]) -> list[Version]:
    """Of resources that are about somebody else now: for whom they were about before, that they never were."""
    versions = [version for version in versions if not version.unfit]
    latest = {version.fact.source.reference: version.resource for version in versions}
    found = moves(version.fact for version in versions)
    return [Version(fact=fact, resource=latest[fact.source.reference]) for fact in found]
