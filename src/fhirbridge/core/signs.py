"""The signs of a patient: attendances, contacts, and what else brings a stretch of a case to its end.

A sign is named independently of where it is stored, so that what hangs on it keeps its identity.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from fhirbridge.core.attribution import cases_of_task, happened_at
from fhirbridge.core.cases import Case, Visit
from fhirbridge.core.effects import Withdrawal
from fhirbridge.core.facts import Source, Task
from fhirbridge.core.history import History
from fhirbridge.core.messages import about, sent_at
from fhirbridge.core.own import Own
from fhirbridge.core.timeline import Record
from fhirbridge.core.vocabulary import ANSWERED, CONTACT_MADE, CONTACTS_PATIENT

_SAID = frozenset({"completed", "in-progress"})


class Sign(StrEnum):
    """What brings a spell to its end."""

    ATTENDED = "attended"
    CONTACT = "contact"
    DISCHARGED = "discharged"
    DECEASED = "deceased"
    OVER = "over"
    """What the scope is about has come to its end."""


REASONS = {
    Sign.ATTENDED: Withdrawal.RE_ENGAGED,
    Sign.CONTACT: Withdrawal.RE_ENGAGED,
    Sign.DISCHARGED: Withdrawal.DISCHARGED,
    Sign.DECEASED: Withdrawal.DECEASED,
    Sign.OVER: Withdrawal.NOT_NEEDED,
}
"""Why something is withdrawn when its run ended by that sign."""


class Ending(Struct, frozen=True):
    """The sign that ended a spell: when, by which resource version, and with which outcome, if it was a Task's.

    `anchor` names it independently of where it is stored, to serve as the next spell's scope.
    """

    at: datetime
    sign: Sign
    source: Source
    anchor: str
    outcome: str | None = None
    clock: datetime | None = None
    """From when deadlines run, where that is later: it became known long after it happened."""

    @property
    def counts_from(self) -> datetime:
        """The instant deadlines run from."""
        return self.clock or self.at


class Signs:
    """Attendances and contacts of a case up to an instant, oldest first, one for each instant.

    Most cases have many of them, and few that anybody asks for: what is known of an attendance is put together then.
    """

    def __init__(self, case: Case, record: Record, own: Own, until: datetime) -> None:
        self._all: Sequence[Visit | Ending] = case.came_by(until)
        contacts = [c for c in _contacts(case, record, own) if c.at <= until]
        if contacts:
            self._all = sorted((*self._all, *contacts), key=_place)
        self._ats = [each.at for each in self._all]
        if len(set(self._ats)) < len(self._ats):
            first = [n for n, at in enumerate(self._ats) if n == 0 or at != self._ats[n - 1]]
            self._all, self._ats = [self._all[n] for n in first], [self._ats[n] for n in first]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, number: int) -> Ending:
        each = self._all[number]
        return each if isinstance(each, Ending) else _attended(each)

    @property
    def last(self) -> Ending | None:
        """The last of them."""
        return self[-1] if self._all else None

    def next_from(self, at: datetime) -> int:
        """The number of the first that is not before that instant."""
        return bisect_left(self._ats, at)

    def attended_before(self, number: int) -> Ending | None:
        """The last attendance among those before the one with this number."""
        while number:
            number -= 1
            each = self._all[number]
            if not isinstance(each, Ending):
                return _attended(each)
        return None


def _place(sign: Visit | Ending) -> tuple[datetime, Sign, str]:
    if isinstance(sign, Ending):
        return sign.at, sign.sign, sign.anchor
    return sign.at, Sign.ATTENDED, sign.source.reference


def messages_from_patient(case: Case, record: Record) -> Iterable[Ending]:
    """The messages that the patient wrote, but for those that are about another case."""
    for message in record.messages:
        fact = message.latest
        said = fact.from_patient and fact.status in _SAID
        if said and about(fact, case, record.cases):
            yield Ending(sent_at(fact), Sign.CONTACT, fact.source, fact.source.reference)


def _contacts(case: Case, record: Record, own: Own) -> Iterable[Ending]:
    yield from messages_from_patient(case, record)
    for task in record.tasks:
        if _is_contact(task.latest) and case.id in cases_of_task(task, own, record.cases):
            yield _contact(task)


def _attended(visit: Visit) -> Ending:
    return Ending(visit.at, Sign.ATTENDED, visit.seen or visit.source, visit.source.reference)


def _contact(task: History[Task]) -> Ending:
    fact = task.latest
    anchor = f"obligation:{fact.obligation}" if fact.obligation else fact.source.reference
    return Ending(happened_at(task), Sign.CONTACT, fact.source, anchor, fact.outcome)


def _is_contact(fact: Task) -> bool:
    return fact.status in ANSWERED and fact.outcome in CONTACT_MADE and not CONTACTS_PATIENT.isdisjoint(fact.actions)
