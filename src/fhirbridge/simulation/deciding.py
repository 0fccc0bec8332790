"""Who decides at an instant of a dry run: one patient's record by itself, or several that links make one of.

Records that were ever linked are played together. Which of them is replaced by which is asked anew at each instant, of
what is known by then: a link that is taken back is as if it had never been.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from fhirbridge.core.effects import AnyEffect
from fhirbridge.core.facts import AnyFact
from fhirbridge.core.gaps import Gap
from fhirbridge.core.gathering import Gathering
from fhirbridge.core.merging import Merged, links, moves, survivors, united
from fhirbridge.core.own import NOTHING, fold
from fhirbridge.core.timeline import Record
from fhirbridge.service.settling import Memories, Settled, moved_from, settle_on, settle_replaced
from fhirbridge.service.site import Policies


class Deciding(Protocol):
    """What has been learnt about one person and done for them so far."""

    def learn(self, fact: AnyFact) -> None:
        """Take in what became known."""
        ...

    def look(self, now: datetime, gaps: tuple[Gap, ...] = ()) -> list[tuple[str, Settled]]:
        """Decide while these gaps are open, and keep what was done: for each record (`Patient/id`) what it comes to."""
        ...

    def known(self, now: datetime) -> list[Merged]:
        """What each record rests on that is not replaced by another."""
        ...


class Alone:
    """One record by itself."""

    def __init__(self, by: Policies, patient: str) -> None:
        self._by = by
        self._patient = patient
        self._gathering = Gathering()
        self._memories: Memories = {}
        self._own = NOTHING
        self._facts: list[AnyFact] = []
        self._effects: list[AnyEffect] = []

    def learn(self, fact: AnyFact) -> None:
        """Take in what became known."""
        self._facts.append(fact)
        self._gathering.add(fact)

    def look(self, now: datetime, gaps: tuple[Gap, ...] = ()) -> list[tuple[str, Settled]]:
        """Decide, and keep what was done."""
        record = self._gathering.record()
        settled = settle_on(self._by, record, self._own, now, moved={}, gaps=gaps, memories=self._memories)
        self._own = settled.own
        self._effects += settled.effects
        return [(self._patient, settled)]

    def known(self, now: datetime) -> list[Merged]:
        """What the record rests on."""
        return [Merged(self._patient, tuple(self._facts), tuple(self._effects))]


class Together:
    """Records that were linked at one time or another; `patients` are all that any of the links names."""

    def __init__(self, by: Policies, patients: tuple[str, ...]) -> None:
        self._by = by
        self._facts: list[AnyFact] = []
        self._effects: dict[str, list[AnyEffect]] = {patient: [] for patient in sorted(patients)}

    def learn(self, fact: AnyFact) -> None:
        """Take in what became known."""
        self._facts.append(fact)

    def look(self, now: datetime, gaps: tuple[Gap, ...] = ()) -> list[tuple[str, Settled]]:
        """Take back what was written to those that are replaced, then decide for the others."""
        found = []
        ends = survivors(links(self._facts))
        for patient, survivor in ends.items():
            mine = self._of(patient)
            record = Record.of(mine.facts)
            found.append((patient, settle_replaced(self._by, record, fold(mine.effects), survivor, now)))
            self._effects[patient] += found[-1][1].effects
        for each in self.known(now):
            moved = moved_from(each.effects)
            settled = settle_on(self._by, Record.of(each.facts), fold(each.effects), now, moved=moved, gaps=gaps)
            self._effects[each.patient] += settled.effects
            found.append((each.patient, settled))
        return found

    def known(self, now: datetime) -> list[Merged]:
        """What each record rests on that is not replaced by another: its own, and all that it replaces."""
        ends = survivors(links(self._facts))
        found = []
        for patient in self._effects:
            if patient in ends:
                continue
            records = [self._of(one) for one in self._effects if ends.get(one, one) == patient]
            one = records[0] if len(records) == 1 else united(patient, records, now)
            if one.facts or one.effects:
                found.append(one)
        return found

    def _of(self, patient: str) -> Merged:
        facts = [fact for fact in (*self._facts, *moves(self._facts)) if fact.patient == patient]
        return Merged(patient, tuple(facts), tuple(self._effects[patient]))
