"""A case as read from its file: frozen values, each with the place it was read from.

All instants are UTC. In the file they are local times of the case's zone, unless an offset is given.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from msgspec import Struct

from fhirbridge.core.effects import Kind
from fhirbridge.fhir.located_yaml import Spot
from fhirbridge.simulation import Outage


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the record: at `on`, `verb` happened to `name`; it became known at `known`.

    `details` are the other keys of the line, as written.
    """

    spot: Spot
    on: datetime
    known: datetime
    verb: str
    name: Spot
    details: dict[str, Spot]

    def text(self, key: str, default: str = "") -> str:
        """A detail as written; `default` where the line does not have it."""
        return self.details[key].text() if key in self.details else default


class Wanted(Struct, frozen=True, kw_only=True):
    """One thing that has to be written, for one role, and what has to have become of it by the case's end.

    `then` is empty where it has to stand as it was written; else its last status and why (`cancelled re-engaged`).
    """

    place: str
    on: datetime
    kind: Kind
    action: str
    role: str
    due: datetime | None
    priority: str
    clauses: frozenset[str]
    because: tuple[str, ...] = ()
    then: str = ""
    then_on: datetime | None = None


class Case(Struct, frozen=True, kw_only=True):
    """A whole case. `rows` are the ledger rows it shows; with `only`, writes that cite none of these are not compared.

    `facts` are fields that the mapping has to have found by the end, by reference and field. `absent` are actions that
    may never be written. `outages` are times in which the EPR told of nothing: while one lasts, a gap is open.
    """

    file: Path
    pack: str
    title: str
    why: str
    rows: tuple[str, ...]
    record: tuple[Entry, ...]
    until: datetime
    writes: tuple[Wanted, ...]
    facts: dict[str, dict[str, Spot]]
    absent: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    settings: dict[str, str | int] = {}
    risk_when_unrecorded: str = "unknown"
    outages: tuple[Outage, ...] = ()

    @property
    def name(self) -> str:
        """`<pack>/<name>`, as it lies below `fixtures/cases`."""
        return f"{self.pack}/{self.file.stem}"
