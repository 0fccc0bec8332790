"""The gaps that are open at an EPR, as a person needs them: why, what waits meanwhile, and what to do.

A gap closes by itself once the service has read what it may hide. So what there is to do is to see to whatever keeps
the service from reading, or the EPR from telling.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.gaps import IN_WORDS, Cause, Gap
from fhirbridge.core.policy import Pack


class OpenGap(Struct, frozen=True, kw_only=True):
    """The gaps of one cause at one EPR: changes to these types made from `since` on (UTC) may be unknown.

    `why` continues a sentence after "because"; `remedy` says what to do.
    """

    epr: str
    types: tuple[str, ...]
    cause: Cause
    since: datetime
    why: str
    remedy: str


class HeldStep(Struct, frozen=True, kw_only=True):
    """A step that leads towards a discharge: nothing new is asked for by it while a gap is open."""

    pack: str
    step: str
    clause: str
    title: str


def open_gaps(gaps: Iterable[Gap]) -> list[OpenGap]:
    """The gaps of one EPR, those of a cause together, the oldest first."""
    of: dict[Cause, list[Gap]] = {}
    for gap in sorted(gaps, key=lambda gap: (gap.since, gap.type)):
        of.setdefault(gap.cause, []).append(gap)
    return [
        OpenGap(
            epr=several[0].epr,
            types=tuple(dict.fromkeys(gap.type for gap in several)),
            cause=cause,
            since=several[0].since,
            why=IN_WORDS[cause],
            remedy=REMEDIES[cause],
        )
        for cause, several in of.items()
    ]


def held_steps(packs: Iterable[Pack]) -> list[HeldStep]:
    """What of these packs waits while a gap is open, in their order."""
    return [
        HeldStep(pack=pack.name, step=step.id, clause=step.clause, title=step.title)
        for pack in packs
        for pathway in pack.pathways
        for step in pathway.steps
        if step.towards == "discharge"
    ]


_READS = "let the service run: it reads what may be missing, and closes the gap"

REMEDIES = {
    Cause.NEW: f"{_READS}; where it stays open, /readyz and the log say what cannot be read",
    Cause.NUMBERS: f"{_READS}; where it comes again, have the EPR's queue of notifications looked at",
    Cause.RESET: f"{_READS}; ask whether the EPR was restored from a backup",
    Cause.SILENCE: "see at the EPR whether it still sends, and whether what it sends reaches public_url",
    Cause.ERROR: "see at the EPR why it gave up: whether it reaches public_url, and what it was answered there",
    Cause.OFF: "ask who turned the subscription off at the EPR; the service registers it again by itself",
    Cause.LOST: "have the subscription activated at the EPR, and see whether the client may register any",
    Cause.DOWNTIME: f"see that the service runs, and why it did not; then {_READS}",
    Cause.UNREACHABLE: "see that the EPR answers and lets the service in; the service asks again by itself",
}
"""What to do about each cause."""
