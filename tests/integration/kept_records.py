"""Records in a store, with what the service did about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fhirbridge.adapters.store import open_store
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.packs.loading import load_pack
from fhirbridge.ports import Subject, Version
from fhirbridge.shipped import folder
from fhirbridge.simulation import DryRun, collect, played
from fhirbridge.wiring.policies import calendar_of

MAPPING = Mapping.load("uk-core", [folder("mappings")])


async def kept(url: str, pack: str, resources: Sequence[dict[str, Any]], until: datetime) -> None:
    """Put the resources into the store of that URL, and what the pack makes of them by then."""
    calendar = calendar_of("Europe/London", "ENG")
    by = DryRun(packs=(load_pack(pack, calendar=calendar),), calendar=calendar)
    store = await open_store(url)
    try:
        versions = [Version(fact=fact, resource=one) for one in resources if (fact := MAPPING.fact(one)) is not None]
        await store.keep("epr", versions, (), until)
        for patient in collect(resources, MAPPING, until).patients:
            subject = Subject("epr", patient.reference)
            await store.commit(
                subject,
                effects=played(patient, by, until).effects,
                outgoing=(),
                wakes_at=None,
                decided_at=until,
                revision=(await store.load(subject)).revision,
            )
    finally:
        await store.close()
