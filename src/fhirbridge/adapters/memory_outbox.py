"""The outbox in memory, with what an EPR refused of it (`ports.DeadLetters`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from fhirbridge.adapters.store.outbox import check_receipt, whole_subjects
from fhirbridge.errors import Defect
from fhirbridge.ports import DeadLetter, Delivery, Outgoing, Receipt, Subject


@dataclass
class _Row:
    """One row that is not settled."""

    delivery: Delivery
    decided_at: datetime
    not_before: datetime | None = None
    why: str = ""


class MemoryOutbox:
    """Rows in the order in which they were decided; `numbers` gives each its own."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self._rows: dict[int, _Row] = {}
        self._dead: dict[int, DeadLetter] = {}
        self._settled: set[int] = set()

    def enqueue(self, subject: Subject, outgoing: Sequence[Outgoing], decided_at: datetime) -> None:
        """Add rows after those that are there."""
        for item in outgoing:
            row = next(self._numbers)
            self._rows[row] = _Row(Delivery(row=row, subject=subject, outgoing=item), decided_at)

    def undelivered(self, now: datetime, limit: int, eprs: Collection[str] | None) -> list[Delivery]:
        """Rows that may be tried now, in the order they were decided."""
        postponed: set[Subject] = set()
        ready: list[Delivery] = []
        for _, row in sorted(self._rows.items()):
            subject = row.delivery.subject
            if row.not_before is not None and row.not_before > now:
                postponed.add(subject)
            if subject not in postponed and (eprs is None or subject.epr in eprs):
                ready.append(row.delivery)
        return whole_subjects(ready, limit)

    def waiting(self, receipts: Sequence[Receipt]) -> dict[int, Delivery]:
        """The rows of these receipts that are not settled yet.

        Raises:
            Defect: a receipt for a row that does not exist, or one that says neither where nor why not.
        """
        for receipt in receipts:
            check_receipt(receipt)
            if receipt.row not in self._rows and receipt.row not in self._settled:
                raise Defect(f"receipts for outbox rows that do not exist: {[receipt.row]}")
        return {one.row: self._rows[one.row].delivery for one in receipts if one.row in self._rows}

    def settle(self, receipt: Receipt, now: datetime) -> None:
        """Close a row; a refused one is a dead letter."""
        row = self._rows.pop(receipt.row)
        self._settled.add(receipt.row)
        if receipt.refused:
            self._dead[receipt.row] = DeadLetter(
                row=receipt.row,
                subject=row.delivery.subject,
                outgoing=row.delivery.outgoing,
                decided_at=row.decided_at,
                refused_at=now,
                attempts=row.delivery.attempts + 1,
                reason=receipt.refused,
                outcome=receipt.outcome,
            )

    def postpone(self, rows: Sequence[int], until: datetime, why: str) -> None:
        """Try these rows again not before `until`; counts one attempt more."""
        for number in rows:
            if (row := self._rows.get(number)) is not None:
                row.delivery = replace(row.delivery, attempts=row.delivery.attempts + 1)
                row.not_before, row.why = until, why

    async def search(
        self,
        *,
        eprs: Collection[str] = (),
        subjects: Collection[Subject] = (),
        rows: Collection[int] = (),
        after: int = 0,
        limit: int = 100,
    ) -> list[DeadLetter]:
        """Dead letters with a row above `after`, by row."""
        return [
            letter
            for row, letter in sorted(self._dead.items())
            if row > after
            and (not eprs or letter.subject.epr in eprs)
            and (not subjects or letter.subject in subjects)
            and (not rows or row in rows)
        ][:limit]

    async def count(self) -> dict[str, int]:
        """How many dead letters there are, by EPR."""
        counted: dict[str, int] = {}
        for letter in self._dead.values():
            counted[letter.subject.epr] = counted.get(letter.subject.epr, 0) + 1
        return counted

    async def revive(self, again: Mapping[int, Outgoing], now: datetime) -> int:
        """Have rows tried again; how many of them were dead."""
        dead = [row for row in again if row in self._dead]
        for row in dead:
            letter = self._dead.pop(row)
            self._settled.discard(row)
            delivery = Delivery(row=row, subject=letter.subject, outgoing=again[row])
            self._rows[row] = _Row(delivery, letter.decided_at)
        return len(dead)
