"""What earlier decisions about the same patient found, as far as nothing has changed that they looked at.

Deciding anew at each version of a long record would look through old spells again and again, whose answers are known. A
memory is never needed and never changes an answer: `decide` gives the same decision with it and without. What was found
in a place (a spell, or the rest of a case) is good for as long as

- nothing but appointments has come in;
- what the service had done about the things of the place is as it was, and so is the place itself;
- the other appointments of the patient are as they were, where anybody looked at those;
- no instant has passed at which the answer was to change by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.decision import Obligation
from fhirbridge.core.effects import NOTHING, Own, Thing
from fhirbridge.core.gaps import Gap
from fhirbridge.core.policy import Pack
from fhirbridge.core.scene import Found, Run
from fhirbridge.core.spells import Course, Scope
from fhirbridge.core.timeline import Record
from fhirbridge.core.unfounded import could_go
from fhirbridge.core.vocabulary import ANSWERED


class _Kept(Struct):
    """What was found in a place, what the place was like, and the first instant at which it may be another."""

    found: Found
    runs: list[Run]
    each: Course
    spell: Scope | None
    before: tuple[Run, ...]
    until: datetime | None
    record: Record
    own: Own


class Memory:
    """The memory of one patient under one edition of a pack; decisions come in the order of time."""

    def __init__(self) -> None:
        self._basis: tuple[object, ...] = ()
        self._record: Record | None = None
        self._own = NOTHING
        self._cited: tuple[tuple[str, object, object], ...] | None = None
        self._could_go: list[Thing] = []
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._usable = False
        self._joined: tuple[list[Found], tuple[Obligation, ...]] = ([], ())

    def turn_to(self, pack: Pack, record: Record, own: Own, gaps: tuple[Gap, ...]) -> None:
        """Forget everything if more than appointments has changed since the last decision."""
        basis = (
            *(pack, gaps, record.person, record.signals, record.referrals, record.relations, record.consents),
            *(record.tasks, record.messages, record.plans, record.encounters, record.own_flags),
        )
        same_cases = self._record is not None and [c.id for c in record.cases] == [c.id for c in self._record.cases]
        if not same_cases or any(now is not then for now, then in zip(basis, self._basis, strict=True)):
            self._kept = {}
            self._joined = ([], ())
            self._cited = None
        if own is not self._own:
            self._joined = ([], ())
            self._cited = None
            self._could_go = [thing for thing in own.things.values() if could_go(thing, pack, own)]
        self._basis, self._record, self._own = basis, record, own
        # A message, or a Task that staff made, answers one ask alone: which, depends on all that are looked at.
        self._usable = not record.messages and not any(
            task.latest.obligation is None and task.latest.status in ANSWERED for task in record.tasks
        )

    def recall(
        self, each: Course, spell: Scope | None, before: Sequence[Run], now: datetime
    ) -> tuple[Found, list[Run]] | None:
        """What was found in this spell, or outside of spells, and its runs; None where that may be another now."""
        kept = self._kept.get(_name(each, spell)) if self._usable else None
        if kept is None or (kept.until is not None and kept.until <= now):
            return None
        if kept.found.looked_around and kept.record is not self._record:
            return None
        if kept.own is not self._own:
            if not _is_untouched(kept, self._own):
                return None
            kept.own = self._own
        return (kept.found, kept.runs) if _is_same(kept, each, spell, before) else None

    def keep(
        self, found: Found, runs: list[Run], each: Course, spell: Scope | None, before: Sequence[Run], now: datetime
    ) -> None:
        """Remember what was found there now."""
        until = min((at for at in found.wakes if at > now), default=None)
        if self._record is not None:
            self._kept[_name(each, spell)] = _Kept(
                found, runs, each, spell, tuple(before), until, self._record, self._own
            )

    def joined(self, places: list[Found]) -> tuple[Obligation, ...] | None:
        """What was made of these very places before."""
        then, obligations = self._joined
        same = len(then) == len(places) and all(a is b for a, b in zip(then, places, strict=True))
        return obligations if same else None

    def join(self, places: list[Found], obligations: tuple[Obligation, ...]) -> None:
        """Remember what was made of these places."""
        self._joined = (places, obligations)

    def could_go(self) -> list[Thing]:
        """What the service wrote and could still take back."""
        return self._could_go

    def nothing_to_correct(self, record: Record) -> bool:
        """Whether no correction was owed before, and nothing that was cited to anybody has changed since."""
        return self._cited is not None and all(
            record.sources.get(name) is history and record.visits.get(name) is visit
            for name, history, visit in self._cited
        )

    def nothing_was_owed(self, record: Record) -> None:
        """Remember that no correction is owed, and what that rests on."""
        told = (thing for thing in self._own.things.values() if thing.sent is not None)
        names = {source.reference for thing in told for source in (*thing.evidence, *thing.triggers)}
        self._cited = tuple((name, record.sources.get(name), record.visits.get(name)) for name in names)


def _is_untouched(kept: _Kept, own: Own) -> bool:
    """Whether what the service has done since is about other things than those of the place."""
    if any(ask.thing is None or own.things.get(ask.identity) is not ask.thing for ask in kept.found.asks):
        return False
    runs = (run.identity for _, run in kept.found.all)
    return all(kept.own.runs.get(identity) is own.runs.get(identity) for identity in runs)


def _name(each: Course, spell: Scope | None) -> tuple[str, str]:
    return each.case.id, spell.name if spell is not None else ""


def _is_same(kept: _Kept, each: Course, spell: Scope | None, before: Sequence[Run]) -> bool:
    """Whether the place, the case around it but for its appointments, and the runs it may see are as they were."""
    if kept.spell != spell or len(kept.before) != len(before):
        return False
    if any(a is not b for a, b in zip(kept.before, before, strict=True)):
        return False
    then = kept.each
    if then.closed != each.closed or then.died != each.died:
        return False
    mine, case = then.case, each.case
    return mine is case or (
        mine.episode is case.episode
        and mine.encounters == case.encounters
        and mine.referrals == case.referrals
        and mine.services == case.services
        and mine.begun == case.begun
    )
