"""How far a Communication has come on its way to one recipient: what was reported of it, as a table.

A channel reports that it was handed over, taken on, collected; the receiver's system that it was taken in; the receiver
that it is theirs, or is not. Reports come late, twice and in any order, and are put into the order in which they
happened before the table is asked. What the receiver says counts more than what their system says, and that more than
what the channel says; of two of the same kind the later counts. So the same reports lead to the same stage, however
they arrived. What the table does not list changes nothing.

The codes are those of ITK3 (NHS England, ITK3 messaging, response codes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct


class Report(StrEnum):
    """What can be reported of a message, in the order in which it can happen."""

    HANDED_OVER = "handed-over"
    ACCEPTED = "accepted"
    """The channel took it on: MESH has it."""
    UNDELIVERABLE = "undeliverable"
    """The channel gives up: no such mailbox, not collected, refused for good."""
    COLLECTED = "collected"
    """It was picked up: out of the mailbox, or out of the spool folder."""
    INFRASTRUCTURE_BAD = "infrastructure-bad"
    INFRASTRUCTURE_GOOD = "infrastructure-good"
    """The receiver's system could read it."""
    BUSINESS_BAD = "business-bad"
    """The receiver does not take it: the patient is not known here, or not theirs."""
    DECEASED = "deceased"
    """The receiver says that the patient has died."""
    BUSINESS_GOOD = "business-good"
    ANSWERED = "answered"
    """The receiver wrote back."""


class Stage(StrEnum):
    """How far it has come."""

    WAITING = "waiting"
    HANDED_OVER = "handed-over"
    ACCEPTED = "accepted"
    UNDELIVERED = "undelivered"
    COLLECTED = "collected"
    REJECTED = "rejected"
    TAKEN_IN = "taken-in"
    REFUSED = "refused"
    DECEASED = "deceased"
    RECEIVED = "received"


FAILED = frozenset({Stage.UNDELIVERED, Stage.REJECTED, Stage.REFUSED, Stage.DECEASED})
"""Stages in which a person has to see to it."""

_WAY = (Stage.HANDED_OVER, Stage.ACCEPTED, Stage.COLLECTED, Stage.TAKEN_IN, Stage.RECEIVED)
"""The good stages, in order: who awaits one of them is content with any later one."""

_RECEIVER: Mapping[Report, Stage] = {
    Report.BUSINESS_BAD: Stage.REFUSED,
    Report.DECEASED: Stage.DECEASED,
    Report.BUSINESS_GOOD: Stage.RECEIVED,
    Report.ANSWERED: Stage.RECEIVED,
}
_SYSTEM: Mapping[Report, Stage] = {
    Report.INFRASTRUCTURE_BAD: Stage.REJECTED,
    Report.INFRASTRUCTURE_GOOD: Stage.TAKEN_IN,
    **_RECEIVER,
}
_PICKED_UP: Mapping[Report, Stage] = {Report.COLLECTED: Stage.COLLECTED, **_SYSTEM}
_TAKEN_ON: Mapping[Report, Stage] = {Report.UNDELIVERABLE: Stage.UNDELIVERED, **_PICKED_UP}

MOVES: Mapping[Stage, Mapping[Report, Stage]] = MappingProxyType(
    {
        Stage.WAITING: {
            Report.HANDED_OVER: Stage.HANDED_OVER,
            Report.ACCEPTED: Stage.ACCEPTED,
            **_TAKEN_ON,
        },
        Stage.HANDED_OVER: {Report.ACCEPTED: Stage.ACCEPTED, **_TAKEN_ON},
        Stage.ACCEPTED: _TAKEN_ON,
        Stage.UNDELIVERED: _PICKED_UP,
        Stage.COLLECTED: _SYSTEM,
        Stage.REJECTED: _SYSTEM,
        Stage.TAKEN_IN: _SYSTEM,
        Stage.REFUSED: _RECEIVER,
        Stage.DECEASED: _RECEIVER,
        Stage.RECEIVED: _RECEIVER,
    }
)
"""For each stage, where each report leads; a report that is not listed leads nowhere."""

_INFRASTRUCTURE_GOOD = 20013
_INFRASTRUCTURE = range(10001, 20016)
_BUSINESS: Mapping[int, Report] = {
    30001: Report.BUSINESS_GOOD,
    30002: Report.BUSINESS_BAD,
    30003: Report.BUSINESS_BAD,
    30004: Report.DECEASED,
}


def report_of_code(code: str) -> Report | None:
    """What a response code of ITK3 reports (20013 good, 30004 deceased, …); None for one it does not have."""
    number = int(code) if code.isascii() and code.isdecimal() else 0
    if number == _INFRASTRUCTURE_GOOD:
        return Report.INFRASTRUCTURE_GOOD
    if number in _INFRASTRUCTURE:
        return Report.INFRASTRUCTURE_BAD
    return _BUSINESS.get(number)


class Said(Struct, frozen=True, order=True):
    """One report: when it happened, by whoever reports it, and in which words or code."""

    at: datetime
    rank: int
    report: Report
    code: str = ""
    says: str = ""


def said(report: Report, at: datetime, code: str = "", says: str = "") -> Said:
    """The report, in its place among others."""
    return Said(at, _RANKS[report], report, code, says)


_RANKS: Mapping[Report, int] = {report: rank for rank, report in enumerate(Report)}


class Standing(Struct, frozen=True):
    """The stage, since when, and the report that led there (None while it waits)."""

    stage: Stage
    since: datetime | None = None
    last: Said | None = None


def standing(reports: Iterable[Said]) -> Standing:
    """Where these reports lead, in whatever order they are given and however often."""
    now = Standing(Stage.WAITING)
    for each in sorted(set(reports)):
        stage = MOVES[now.stage].get(each.report)
        if stage is not None:
            since = now.since if stage is now.stage else each.at
            now = Standing(stage, since, each)
    return now


class Recipient(Struct, frozen=True, kw_only=True):
    """One recipient of a Communication, and how to reach them: what the directory knew when it was decided.

    `name` tells them apart among the recipients of one Communication: a reference in the EPR, `ods:CODE` or the role.
    `channel` is `post`, `fhir` or `mesh`. `mailbox` is a MESH mailbox, or empty where MESH is to find it by ODS code or
    by the patient; `endpoint` a FHIR base URL; `address` the lines of a postal address, empty where it is the patient's
    own.
    """

    name: str
    shown: str
    role: str
    channel: str
    ods: str = ""
    mailbox: str = ""
    endpoint: str = ""
    address: tuple[str, ...] = ()
    telephone: str = ""


class Consignment(Struct, frozen=True, kw_only=True):
    """One Communication on its way to one recipient.

    `awaits` is the stage that settles it, and `within` the period after the hand-over by which it has to be reached;
    `chase` the period in which a person then has to see to it. `addressed` is when it was given its recipient.
    """

    to: Recipient
    awaits: Stage
    within: str
    chase: str
    addressed: datetime
    reports: tuple[Said, ...] = ()

    @property
    def standing(self) -> Standing:
        """Where it stands by what was reported."""
        return standing(self.reports)

    @property
    def sent(self) -> datetime | None:
        """When it left the service's hands: a report of what can only happen later counts too."""
        left = [each for each in self.reports if each.report is not Report.UNDELIVERABLE]
        handed = [each.at for each in left if each.report is Report.HANDED_OVER]
        return min(handed or [each.at for each in left], default=None)

    @property
    def received(self) -> datetime | None:
        """When what is awaited was reached; None while it is not."""
        now = self.standing
        return now.since if now.stage in _WAY[_WAY.index(self.awaits) :] else None

    @property
    def failed(self) -> bool:
        """Whether the last word is that it did not arrive."""
        return self.standing.stage in FAILED
