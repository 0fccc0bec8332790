"""What `explain` answers: plain values, one for each case, pathway, run and step. Nothing here decides anything."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from fhirbridge.core.decision import Reason, Standing
from fhirbridge.core.effects import Kind, Withdrawal
from fhirbridge.core.facts import Source
from fhirbridge.core.signs import Ending


class Outlook(StrEnum):
    """Whether something is there."""

    EXISTS = "exists"
    NOT_YET = "not-yet"
    """It waits for time to pass, or for a step before it."""
    NOT_AT_ALL = "not-at-all"
    """As the record stands, nothing that is waited for can bring it about."""


class Asked(Struct, frozen=True, kw_only=True):
    """One thing that a step asks for.

    `answer` is the version that answered it, with its R4 `status` and its `outcome`; `done` is when it was answered or
    handed over; `lapsed` when its due date passed undone; `withdrawal` why it ended.
    """

    identity: str
    kind: Kind
    action: str
    role: str
    standing: Standing
    since: datetime
    due: datetime | None = None
    lapsed: datetime | None = None
    done: datetime | None = None
    status: str | None = None
    outcome: str | None = None
    answer: Source | None = None
    withdrawal: Withdrawal | None = None


class Withheld(Struct, frozen=True):
    """Somebody who is not told or asked, and why."""

    role: str
    because: tuple[Reason, ...]


class StepAccount(Struct, frozen=True, kw_only=True):
    """One step of one run, with the ledger row and the clause of the policy that it implements.

    `because` has what is not already among the reasons of the run, unless that alone says why nothing is asked for.
    `until` is the instant that a step is waited for at the earliest, where that is known.
    """

    id: str
    row: str
    clause: str
    title: str
    outlook: Outlook
    because: tuple[Reason, ...]
    asked: tuple[Asked, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    until: datetime | None = None


class RunAccount(Struct, frozen=True, kw_only=True):
    """One run of a pathway: since when and why, and what ended it, if anything did."""

    identity: str
    since: datetime
    because: tuple[Reason, ...]
    ending: Ending | None
    steps: tuple[StepAccount, ...]


class PathwayAccount(Struct, frozen=True, kw_only=True):
    """One pathway in one case: its runs, oldest first; without any, why it does not run, or not yet.

    `steps` are the titles of all its steps by id: none of them exists while the pathway does not run.
    """

    id: str
    clause: str
    title: str
    outlook: Outlook
    runs: tuple[RunAccount, ...] = ()
    because: tuple[Reason, ...] = ()
    until: datetime | None = None
    steps: dict[str, str] = {}


class CaseAccount(Struct, frozen=True):
    """Every pathway of the pack, in one case."""

    case: str
    pathways: tuple[PathwayAccount, ...]
