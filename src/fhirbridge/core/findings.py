"""What a condition answers: never a bare bool.

A finding says whether the condition holds, since when its answer has been what it is, because of which facts, and at
which instant the answer may change if nothing new is learnt. Deadlines, explanations and the next look all follow from
these four.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.decision import Reason
from fhirbridge.core.history import BEGINNING


class Finding(Struct, frozen=True):
    """The answer of one condition for one case at one instant.

    `since` is when the present answer began, whether it is yes or no. `changes_at` lies after the instant of asking.
    """

    holds: bool
    since: datetime = BEGINNING
    because: tuple[Reason, ...] = ()
    changes_at: datetime | None = None


def earliest(instants: Iterable[datetime | None]) -> datetime | None:
    """The first of the instants that are given; None if none is."""
    first = None
    for instant in instants:
        if instant is not None and (first is None or instant < first):
            first = instant
    return first


def all_of(findings: Sequence[Finding]) -> Finding:
    """Holds when each does, since the last of them began to."""
    if len(findings) == 1:
        return findings[0]
    missing = [f for f in findings if not f.holds]
    changes = earliest([f.changes_at for f in findings])
    if missing:
        return Finding(False, min([f.since for f in missing]), _reasons(missing), changes)
    return Finding(True, max([f.since for f in findings], default=BEGINNING), _reasons(findings), changes)


def any_of(findings: Sequence[Finding]) -> Finding:
    """Holds when one does, since the first of them began to."""
    if len(findings) == 1:
        return findings[0]
    holding = [f for f in findings if f.holds]
    changes = earliest([f.changes_at for f in findings])
    if holding:
        return Finding(True, min([f.since for f in holding]), _reasons(holding), changes)
    return Finding(False, max([f.since for f in findings], default=BEGINNING), _reasons(findings), changes)


def negated(finding: Finding) -> Finding:
    """Holds when the other does not, since the same instant and for the same reasons."""
    return Finding(not finding.holds, finding.since, finding.because, finding.changes_at)


def _reasons(findings: Sequence[Finding]) -> tuple[Reason, ...]:
    if len(findings) == 1:
        return findings[0].because
    return tuple(dict.fromkeys([reason for finding in findings for reason in finding.because]))
