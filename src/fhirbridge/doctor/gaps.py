"""What may be missing of what an EPR recorded, and what waits for it, as the service's own database has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from fhirbridge.adapters.store import existing_store
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.policy import Pack
from fhirbridge.doctor.findings import Finding, HeldBack, Level
from fhirbridge.errors import StoreUnavailable
from fhirbridge.service.gaps import OpenGap, held_steps, open_gaps


class Missing(Struct, frozen=True, kw_only=True):
    """The gaps open at one EPR, and what they hold back; `found` says the same in findings."""

    gaps: tuple[OpenGap, ...] = ()
    held_back: HeldBack | None = None
    found: tuple[Finding, ...]


async def of_gaps(url: str, epr: str, packs: Sequence[Pack], calendar: Calendar) -> Missing:
    """Look into the service's database at `url`, which is neither made nor changed."""
    try:
        async with existing_store(url) as store:
            if store is None:
                unseen = "this version of the service has not run on its database yet: there is nothing to show"
                return Missing(found=(_finding("open gaps", unseen),))
            gaps = tuple(open_gaps(await store.gaps.open(epr)))
            waiting = len(await store.gaps.waiting(epr)) if gaps else 0
    except StoreUnavailable as error:
        remedy = "have the database answer, then ask again"
        return Missing(found=(_finding("open gaps", str(error), level=Level.ATTENTION, remedy=remedy),))
    if not gaps:
        return Missing(found=(_finding("open gaps", "none"),))
    held_back = HeldBack(patients=waiting, steps=tuple(held_steps(packs)))
    return Missing(gaps=gaps, held_back=held_back, found=(*_told(gaps, calendar), _waits(held_back)))


def _told(gaps: Sequence[OpenGap], calendar: Calendar) -> Iterator[Finding]:
    for gap in gaps:
        since = f"what was recorded since {calendar.at_time(gap.since)} may not be known, because {gap.why}"
        yield _finding(", ".join(gap.types), since, level=Level.ATTENTION, remedy=gap.remedy)


def _waits(held_back: HeldBack) -> Finding:
    who = {0: "nobody yet", 1: "1 patient"}.get(held_back.patients, f"{held_back.patients} patients")
    steps = "; ".join(dict.fromkeys(step.title for step in held_back.steps))
    return _finding(
        "held back meanwhile",
        f"what leads towards a discharge; {who} for whom a step waits",
        used=f"steps that wait: {steps}" if steps else "",
        level=Level.ATTENTION,
        remedy="nothing by hand: each patient is looked at again when the last gap closes; reaching out goes on",
    )


def _finding(checked: str, found: str, *, used: str = "", level: Level = Level.FINE, remedy: str = "") -> Finding:
    return Finding(area="gaps", checked=checked, found=found, used=used, level=level, remedy=remedy)
