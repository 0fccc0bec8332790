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
    """One period for each stretch of versions in which the Flag was active with the same signals.

    A Flag made active again with the same recorded start goes on: it was its end that was wrong.
    """
    periods: list[list[Signal]] = []
    was_active = False
    for version in flag.versions:
        if version.active and periods and _goes_on(periods[-1], version, was_active=was_active):
            periods[-1].append(version)
        elif version.active:
            periods.append([version])
        elif was_active:
            periods[-1].append(version)
        was_active = version.active and not version.erased
    for number, versions in enumerate(periods or [[flag.latest]]):
        yield from _period(versions, number, late)


def _goes_on(period: list[Signal], version: Signal, *, was_active: bool) -> bool:
    same_start = version.start is not None and version.start == period[-1].start
    return period[0].signals == version.signals and (was_active or same_start)


def _period(versions: list[Signal], number: int, late: float) -> Iterable[SignalSpan]:
    """The period that these versions tell of; the last of them may say that it is over."""
    first, last = versions[0], versions[-1]
    start = clock(last.start, first.known, late)
    end = last.end if last.end is not None else (None if last.active else last.known)
    began = last.start or first.known
    yield from (SignalSpan(code, start, end, last.source, began, number) for code in first.signals)
