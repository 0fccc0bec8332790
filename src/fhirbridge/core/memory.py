"""What earlier decisions about the same patient found, as far as nothing has changed that they looked at.

Deciding anew at each version of a long record would look through old spells again and again, whose answers are known. A
memory is never needed and never changes an answer: `decide` gives the same decision with it and without. What was found
in a place (a spell, or the rest of a case) is good for as long as

- nothing but appointments has come in;
- what the service had done about the things of the place is as it was, and so is the place itself, and what was seen of
  the runs beside it;
- the other appointments of the patient are as they were, where anybody looked at those;
- no instant has passed at which the answer was to change by itself.

Where that goes for every place, and what has come in counts nowhere (most often a booking), the last decision stands.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.cases import Case
from fhirbridge.core.decision import Decision, Obligation
from fhirbridge.core.gaps import Gap
from fhirbridge.core.joining import Made
from fhirbridge.core.own import CORRECTION, NOTHING, Own, Thing, logical
from fhirbridge.core.policy import Pack
from fhirbridge.core.scene import Found, Run
from fhirbridge.core.signals import discharged_at
from fhirbridge.core.spells import Course, Scope
from fhirbridge.core.timeline import Record
from fhirbridge.core.unfounded import could_go, founded
from fhirbridge.core.vocabulary import ANSWERED

Name = tuple[str, str, str]
"""What tells one place from another: its case, its scope, and its pathway where it is about one alone."""


class View(Struct, frozen=True):
    """What can be seen from a place: the course of its case, its scope, and the runs of earlier cases and beside it."""

    each: Course
    scope: Scope | None
    earlier: tuple[Run, ...]
    beside: tuple[Run, ...] = ()


class _Kept(Struct):
    """What was found in a place, what was seen from it, and the first instant at which that may be another."""

    found: Found
    runs: list[Run]
    view: View
    until: datetime | None
    record: Record
    own: Own


class Memory:
    """The memory of one patient under one edition of a pack; decisions come in the order of time."""

    def __init__(self) -> None:
        self._basis: tuple[object, ...] = ()
        self._record: Record | None = None
        self._own = NOTHING
        self._founded: tuple[dict[str, Thing], Own | None] = ({}, None)
        """What was told and still stood, and all that had been done by then."""
        self._cited: dict[str, tuple[object, object]] = {}
        """What that rested on, as it was."""
        self.could_go: list[Thing] = []
        """What the service wrote and could still take back."""
        self._since: dict[int, tuple[Own, frozenset[object]]] = {}
        self._kept: dict[Name, _Kept] = {}
        self._usable = False
        self._nothing_new = False
        """Whether since the last decision nothing has come in that counts, and nothing has been done."""
        self._decided: tuple[object, Decision | None] = (None, None)
        self.made: Made = {}
        """What groups of asks came to."""
        self._joined: tuple[list[Found], tuple[Obligation, ...]] = ([], ())

    def turn_to(self, pack: Pack, record: Record, own: Own, gaps: tuple[Gap, ...]) -> None:
        """Forget everything if more than appointments has changed since the last decision."""
        basis = (
            *(pack, gaps, record.person, record.signals, record.referrals, record.relations, record.consents),
            *(record.tasks, record.messages, record.plans, record.encounters, record.own_flags),
        )
        cases = self._record.cases if self._record is not None else None
        same_cases = cases is not None and [case.id for case in record.cases] == [case.id for case in cases]
        same = same_cases and all(now is then for now, then in zip(basis, self._basis, strict=True))
        counts_the_same = same and all(map(_counts_the_same, record.cases, cases or ()))
        # Whoever was discharged comes back with a booking, in whatever case.
        self._nothing_new = counts_the_same and own is self._own and not any(map(_is_discharged, record.cases))
        if not same:
            self._kept = {}
            self.made = {}
            self._joined = ([], ())
        if own is not self._own:
            self._since = {}
            self._joined = ([], ())
            self.could_go = [thing for thing in own.things.values() if could_go(thing, pack, own)]
        self._basis, self._record, self._own = basis, record, own
        # A message, or a Task that staff made, answers one ask alone: which, depends on all that are looked at.
        self._usable = not record.messages and not any(
            task.latest.obligation is None and task.latest.status in ANSWERED for task in record.tasks
        )

    def stands(self, parts: object, now: datetime) -> Decision | None:
        """The decision before this one, about the same `parts` of the policy, where it cannot come out otherwise."""
        then, decision = self._decided
        if decision is None or not self._nothing_new or not self._usable or then != parts or decision.unfounded:
            return None
        if decision.wakes_at is not None and decision.wakes_at <= now:
            return None
        looked_around = any(kept.found.looked_around for kept in self._kept.values())
        if self._record is None or looked_around or not self.all_founded(self._record, self._own):
            return None
        return replace(decision, started=tuple(replace(started, at=now) for started in decision.started))

    def decided(self, parts: object, decision: Decision) -> None:
        """Remember the decision."""
        self._decided = (parts, decision)

    def recall(self, name: Name, view: View, now: datetime) -> tuple[Found, list[Run]] | None:
        """What was found in this place, and its runs; None where that may be another now."""
        kept = self._kept.get(name) if self._usable else None
        if kept is None or (kept.until is not None and kept.until <= now):
            return None
        if kept.found.looked_around and kept.record is not self._record:
            return None
        if kept.own is not self._own:
            if kept.found.looked_back or not self._is_untouched(kept):
                return None
            kept.own = self._own
        return (kept.found, kept.runs) if _is_same(kept, view) else None

    def keep(self, name: Name, view: View, found: Found, runs: list[Run], now: datetime) -> None:
        """Remember what was found there now."""
        # Whoever looked around saw appointments that are over, or count, at an instant of which the course alone knows.
        wakes = found.wakes | {view.each.changes_at} if found.looked_around and view.each.changes_at else found.wakes
        until = min((at for at in wakes if at > now), default=None)
        if self._record is not None:
            self._kept[name] = _Kept(found, runs, view, until, self._record, self._own)

    def _is_untouched(self, kept: _Kept) -> bool:
        """Whether what the service has done since is about other things than those of the place."""
        if kept.own.corrected != self._own.corrected:
            return False
        acts = self._acts_since(kept.own)
        for ask in kept.found.asks:
            if ask.thing is None:
                if acts and logical(ask.key) in acts:
                    return False
            elif self._own.things.get(ask.identity) is not ask.thing:
                return False
        runs = (run.identity for _, run in kept.found.all)
        return all(kept.own.runs.get(identity) is self._own.runs.get(identity) for identity in runs)

    def _acts_since(self, then: Own) -> frozenset[object]:
        """What the things are, apart from their scope, that were written or changed since."""
        known = self._since.get(id(then))
        if known is None or known[0] is not then:
            changed = (t for name, t in self._own.things.items() if then.things.get(name) is not t)
            known = self._since[id(then)] = (then, frozenset(logical(thing.key) for thing in changed))
        return known[1]

    def joined(self, places: list[Found]) -> tuple[Obligation, ...] | None:
        """What was made of these very places before."""
        then, obligations = self._joined
        same = len(then) == len(places) and all(a is b for a, b in zip(then, places, strict=True))
        return obligations if same else None

    def join(self, places: list[Found], obligations: tuple[Obligation, ...], made: Made) -> None:
        """Remember what was made of these places."""
        self._joined = (places, obligations)
        self.made = made

    def all_founded(self, record: Record, own: Own) -> bool:
        """Whether everything that anybody was told still stands; looks again at what was told or has changed since."""
        sources, visits = record.sources, record.visits
        if any(sources.get(name) is not h or visits.get(name) is not v for name, (h, v) in self._cited.items()):
            self._cited = {}
            self._founded = ({}, None)
        then, checked = self._founded
        if checked is own:
            return True
        told = {name: t for name, t in own.things.items() if t.sent is not None and name not in own.corrected}
        for name, thing in told.items():
            if then.get(name) is not thing and thing.key.action != CORRECTION:
                if not founded(thing, record):
                    return False
                cited = {source.reference for source in (*thing.evidence, *thing.triggers)}
                self._cited.update({each: (sources.get(each), visits.get(each)) for each in cited})
        self._founded = (told, own)
        return True


def _is_same(kept: _Kept, view: View) -> bool:
    """Whether the place, the case around it but for its appointments, and the runs it looked at are as they were."""
    then = kept.view
    if then.scope != view.scope or not _are_same(then.earlier, view.earlier):
        return False
    if kept.found.looked_into and not _are_same(then.beside, view.beside):
        return False
    if kept.found.looked_beside and not _look_the_same(then.beside, view.beside):
        return False
    if then.each.closed != view.each.closed or then.each.died != view.each.died or then.each.back != view.each.back:
        return False
    return _are_alike(then.each.case, view.each.case)


def _are_alike(then: Case, now: Case) -> bool:
    """Whether the case is as it was but for its appointments."""
    return then is now or (
        then.episode is now.episode
        and then.encounters == now.encounters
        and then.referrals == now.referrals
        and then.services == now.services
        and then.begun == now.begun
        and then.announced == now.announced
    )


def _counts_the_same(now: Case, then: Case) -> bool:
    """Whether the same appointments count in it, however many more are booked."""
    if now is then:
        return True
    before, after = (then.missed, then.called_off, then.came), (now.missed, now.called_off, now.came)
    return _are_alike(then, now) and all(map(_are_same, before, after))


def _is_discharged(case: Case) -> bool:
    return case.episode is not None and discharged_at(case.episode) is not None


def _look_the_same(then: tuple[Run, ...], now: tuple[Run, ...]) -> bool:
    return len(then) == len(now) and all(a is b or a.face == b.face for a, b in zip(then, now, strict=True))


def _are_same(then: tuple[object, ...], now: tuple[object, ...]) -> bool:
    return len(then) == len(now) and all(a is b for a, b in zip(then, now, strict=True))
