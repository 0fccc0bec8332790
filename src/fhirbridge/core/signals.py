"""Signals of the record and the periods in which they hold, wherever the EPR keeps them.

A Flag or Condition holds for its period, or from when it was known active until it was known not to be; the signals of
a referral for as long as it stands, those of an episode's diagnoses until the episode ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.facts import Episode, Referral, Signal, Source
from fhirbridge.core.history import History, clock

_WITHDRAWN = frozenset({"revoked", "cancelled", "entered-in-error"})


class SignalSpan(Struct, frozen=True):
    """One signal of the record and when it holds: from `start` until before `end` (None: it still does)."""

    code: str
    start: datetime
    end: datetime | None
    source: Source
    began: datetime
    """When it began as recorded, even if that became known long after."""
    asserted: int
    """How often it had been asserted and taken back before: tells one period of it from the next."""

    def holds(self, at: datetime) -> bool:
        """Whether it holds at that instant."""
        return self.start <= at and (self.end is None or at < self.end)


def discharged_at(episode: History[Episode]) -> datetime | None:
    """When the EPR ended the episode: its end, or when that became known if the end lies later or is not recorded."""
    fact = episode.latest
    if fact.status != "finished":
        return None
    return min(fact.end, episode.since) if fact.end else episode.since


def signal_spans(
    flags: Sequence[History[Signal]],
    referrals: Sequence[History[Referral]],
    episodes: Sequence[History[Episode]],
    late: float,
) -> Iterable[SignalSpan]:
    """Every period of every signal; `late` as for `history.clock`."""
    for flag in flags:
        yield from _of_flag(flag, late)
    for referral in referrals:
        fact = referral.latest
        if fact.signals and fact.status not in _WITHDRAWN:
            start = clock(fact.authored, referral.stretches[0].known, late)
            yield from (SignalSpan(code, start, None, fact.source, fact.authored or start, 0) for code in fact.signals)
    for episode in episodes:
        stated = episode.latest
        if stated.signals and stated.status not in _WITHDRAWN:
            start = clock(stated.start, episode.stretches[0].known, late)
            end = discharged_at(episode)
            yield from (
                SignalSpan(code, start, end, stated.source, stated.start or start, 0) for code in stated.signals
            )


def _of_flag(flag: History[Signal], late: float) -> Iterable[SignalSpan]:
    fact = flag.latest
    asserted = [s for s in flag.stretches if isinstance(s.meaning, tuple) and s.meaning[1]]
    first_known = asserted[-1].known if asserted else flag.since
    start = clock(fact.start, first_known, late)
    end = fact.end if fact.end is not None else (None if fact.active else flag.since)
    back = max(len(asserted) - 1, 0)
    yield from (SignalSpan(code, start, end, fact.source, fact.start or first_known, back) for code in fact.signals)
