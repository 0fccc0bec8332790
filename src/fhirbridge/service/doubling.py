"""Reading back what was written, for an EPR whose conditional creates can race: it may hold a thing twice.

Of two, the one that the store knows stands. The other is marked as written in error, unless a person has ended it: then
both stay as they are, and the answer counts. What of the service's own refers to the other is made to refer to the one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from fhirbridge.core.states import is_terminal
from fhirbridge.errors import EprError
from fhirbridge.fhir.canonical import OBLIGATION
from fhirbridge.fhir.capability import Capability, Once, once_for
from fhirbridge.ports import Double, Resource, Store, Subject, There
from fhirbridge.service.delivering import in_epr
from fhirbridge.service.measures import DOUBLES
from fhirbridge.service.site import Site, said, shown

SETTLES = timedelta(minutes=1)
"""How long after a delivery to look: a create that raced with it has been committed by then."""
_BATCH = 200
_AT_ONCE = 20

_log = structlog.get_logger(__name__)


async def read_back(store: Store, site: Site, now: datetime) -> list[Double]:
    """Look for what was delivered some time ago, and mend what is there twice; what was found.

    Raises:
        EprUnavailable, EprError: the EPR cannot be asked at present; it is done next time.
    """
    epr = site.epr.name
    capability = Capability.of(await site.epr.capability())
    delivered = await store.doubles.unaudited(epr, now - SETTLES, _BATCH)
    found: list[Double] = []
    by_kind: dict[str, list[tuple[Subject, There]]] = {}
    for subject, there in delivered:
        if in_epr(subject, {there.identity: there.reference}):
            by_kind.setdefault(there.reference.partition("/")[0], []).append((subject, there))
    for kind, written in sorted(by_kind.items()):
        once, by = once_for(capability, kind)
        if once is Once.CONDITIONAL and by == "identifier":
            for start in range(0, len(written), _AT_ONCE):
                some = written[start : start + _AT_ONCE]
                for (subject, there), same in await _same(site, kind, some):
                    found += await _mend(store, site, subject, there, same, now)
    await store.doubles.audited(epr, [there.identity for _, there in delivered])
    return found


async def _same(
    site: Site, kind: str, written: Sequence[tuple[Subject, There]]
) -> list[tuple[tuple[Subject, There], list[Resource]]]:
    """Each of these of which there is more than one, with all there are."""
    tokens = ",".join(f"{OBLIGATION}|{there.identity}" for _, there in written)
    found: dict[str, list[Resource]] = {}
    async for match in site.epr.search(kind, {"identifier": tokens}):
        for identifier in match.get("identifier", []):
            if identifier.get("system") == OBLIGATION:
                found.setdefault(str(identifier.get("value")), []).append(match)
    return [(one, found[one[1].identity]) for one in written if len(found.get(one[1].identity, [])) > 1]


async def _mend(
    store: Store, site: Site, subject: Subject, there: There, same: Sequence[Resource], now: datetime
) -> list[Double]:
    doubles = []
    for other in same:
        reference = f"{other['resourceType']}/{other['id']}"
        if reference == there.reference or other.get("status") == "entered-in-error":
            continue
        withdrawn = await _withdraw(site, other, there.reference)
        await _refer_to(store, site, subject, {reference: there.reference})
        double = Double(
            subject=subject,
            identity=there.identity,
            kept=there.reference,
            double=reference,
            withdrawn=withdrawn,
            found=now,
        )
        if await store.doubles.note(double):
            DOUBLES.labels(site.epr.name, str(other["resourceType"])).inc()
            _log.error(
                "the EPR held twice what was written once",
                epr=site.epr.name,
                subject=shown(subject),
                type=other["resourceType"],
                withdrawn=withdrawn,
            )
        doubles.append(double)
    return doubles


async def _withdraw(site: Site, other: Resource, kept: str) -> bool:
    kind, status = str(other["resourceType"]), str(other.get("status", ""))
    if is_terminal(kind, status):
        return False
    note = {"text": f"The EPR held this twice; {kept} stands."}
    noted = {"note": [*other.get("note", []), note]} if kind != "Flag" else {}
    try:
        await site.epr.update({**other, "status": "entered-in-error", **noted})
    except EprError as error:
        _log.warning("what is there twice cannot be taken back", epr=site.epr.name, type=kind, why=said(error))
        return False
    return True


async def _refer_to(store: Store, site: Site, subject: Subject, moved: Mapping[str, str]) -> None:
    """Make what the service wrote about the patient refer to the one that stands."""
    references = in_epr(subject, (await store.load(subject)).references)
    for reference in dict.fromkeys(references.values()):
        resource = await site.epr.read(reference)
        if resource is None or (repaired := _moved(resource, moved)) == resource:
            continue
        await site.epr.update(repaired)


def _moved(value: Any, moved: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_moved(each, moved) for each in value]
    if not isinstance(value, dict):
        return value
    parts = {name: _moved(part, moved) for name, part in value.items()}
    if isinstance(named := value.get("reference"), str) and named in moved:
        parts["reference"] = moved[named]
    return parts
