"""A record that grows: facts come in one after the other, and the record of all so far is asked for in between.

It is the very record that `Record.of` makes of them. Most of what comes in is one more version of one appointment of an
episode that is known: then that case alone is made anew, and everything else of the record before is kept, as the same
objects.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from fhirbridge.core.cases import rebooked
from fhirbridge.core.facts import AnyFact, Appointment, Fact
from fhirbridge.core.history import History
from fhirbridge.core.timeline import Record


class Gathering:
    """Facts in any order and with any duplicates; `late` as for `Record.of`."""

    def __init__(self, late: float = 4 * 3600) -> None:
        self._late = late
        self._versions: dict[str, dict[tuple[str, datetime], AnyFact]] = {}
        self._histories: dict[str, History[Fact]] = {}
        self._new: list[str] = []
        self._record = Record.of_histories({}, late)

    def add(self, fact: AnyFact) -> None:
        """Take in one version of one resource."""
        reference = fact.source.reference
        versions = self._versions.setdefault(reference, {})
        name = (fact.source.version, fact.known)
        if name not in versions:
            versions[name] = fact
            self._new.append(reference)

    def record(self) -> Record:
        """The record of everything taken in so far."""
        if self._new:
            references = dict.fromkeys(self._new)
            self._new = []
            for reference in references:
                self._histories[reference] = History.of(list(self._versions[reference].values()))
            self._record = self._amended(list(references)) or Record.of_histories(self._histories, self._late)
        return self._record

    def _amended(self, references: list[str]) -> Record | None:
        """The record before, with these appointments changed in their cases; None where more than that changes."""
        record = self._record
        for reference in references:
            history = self._histories[reference]
            if not isinstance(history.latest, Appointment):
                return None
            changed = rebooked(record.cases, record.encounters, history, record.visits.get(reference))  # type: ignore[arg-type]  # a History of what its latest is
            if changed is None:
                return None
            cases, visit = changed
            record = replace(
                record,
                cases=cases,
                visits={**record.visits, reference: visit},
                sources={**record.sources, reference: history},
            )
        return record
