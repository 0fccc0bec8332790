"""A case played in virtual time: what comes in, and every version of what was written.

The dry run does the work. Staff who answer a Task of the service need the Task: such a line is resolved against what
has been written by then, the lines before it played first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from fhirbridge.casebook import forms
from fhirbridge.casebook.case import Case, Entry
from fhirbridge.casebook.chart import Chart
from fhirbridge.casebook.times import instant
from fhirbridge.casebook.verbs import ANSWER, expand
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.facts import AnyFact
from fhirbridge.core.policy import Pack
from fhirbridge.errors import ConfigurationError, SenderError
from fhirbridge.fhir.directory import Directory
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.validation import check
from fhirbridge.packs.loading import load_pack
from fhirbridge.simulation import DryRun, Outage, Written, collect
from fhirbridge.simulation import play as played

_OPEN = frozenset({"requested", "received", "accepted", "ready", "in-progress", "on-hold"})
_TICK = timedelta(microseconds=1)


class Setting(Struct, frozen=True):
    """What every case is played with."""

    mapping: Mapping
    directory: Directory
    calendar: Calendar


class Kept(Struct, frozen=True):
    """One version of something the service wrote, as the EPR holds it from `at` on.

    `provenance` is the one of that write, none where staff changed it.
    """

    at: datetime
    resource: Resource
    provenance: Resource | None = None

    @property
    def by_staff(self) -> bool:
        """Whether people changed it."""
        return self.provenance is None

    @property
    def why(self) -> str:
        """The text of its Provenance, "" for what staff changed."""
        return str(self.provenance["reason"][0]["text"]) if self.provenance else ""


class Story(Struct, frozen=True):
    """What a case came to: the versions that came in, their facts, and by id all versions of what was written."""

    received: tuple[Resource, ...]
    facts: tuple[AnyFact, ...]
    written: dict[str, list[Kept]]


def pack_of(case: Case, setting: Setting) -> Pack:
    """The policy pack that a case is played under, with the case's settings."""
    return _pack(case.pack, tuple(case.settings.items()), case.risk_when_unrecorded, setting.calendar)


@lru_cache(maxsize=64)
def _pack(name: str, settings: tuple[tuple[str, str | int], ...], risk: str, calendar: Calendar) -> Pack:
    return load_pack(name, calendar=calendar, overrides=dict(settings), risk_when_unrecorded=risk)


def play(case: Case, setting: Setting, pack: Pack) -> Story:
    """Play a case to its end.

    Raises:
        ConfigurationError: a line of the record cannot be what it says; `file:line` is named.
        Defect: the decision does not come to rest.
    """
    by = DryRun(packs=(pack,), calendar=setting.calendar, directory=setting.directory)
    chart = Chart(setting.calendar)
    received = chart.opened(case.record)
    answers: list[Resource] = []
    for entry in case.record:
        if entry.verb == ANSWER:
            kept = _kept(_run(received, setting, by, entry.known - _TICK, case.outages), answers)
            resource = _answer(entry, chart, kept)
            answers.append(resource)
        else:
            resource = _checked(expand(chart, entry), entry)
        received.append(resource)
    return Story(
        received=tuple(received),
        facts=tuple(fact for one in received if (fact := setting.mapping.fact(one)) is not None),
        written=_kept(_run(received, setting, by, case.until, case.outages), answers),
    )


def _run(
    received: Iterable[Resource], setting: Setting, by: DryRun, until: datetime, outages: Sequence[Outage]
) -> list[Written]:
    patients = collect(received, setting.mapping, until).patients
    return [written for patient in patients for written in played(patient, by, until, outages)]


def _checked(resource: Resource, entry: Entry) -> Resource:
    try:
        check(resource)
    except SenderError as error:
        raise ConfigurationError(str(error), place=entry.spot.place) from error
    return resource


def _answer(entry: Entry, chart: Chart, written: dict[str, list[Kept]]) -> Resource:
    """The new version that staff make of the oldest open Task of the service with the line's action (and role)."""
    action, role = entry.name.text(), entry.text("to")
    latest = (kept[-1].resource for kept in written.values())
    tasks = [one for one in latest if one["resourceType"] == "Task" and one["status"] in _OPEN]
    mine = [
        task
        for task in tasks
        if _code(task["code"]) == action and role in {"", *(_code(one) for one in task["performerType"])}
    ]
    if not mine:
        there = ", ".join(_code(task["code"]) for task in tasks) or "none"
        entry.name.fail(f"the service has no open Task {action!r} by then; open are: {there}")
    changes = forms.answered(entry.text("status", "completed"), entry.text("outcome"), entry.on)
    if "due" in entry.details:
        changes |= forms.due(instant(entry.details["due"], chart.calendar, ends=True))
    return _checked(chart.changed(mine[0], changes, entry.known), entry)


def _code(concept: Resource) -> str:
    return str(concept["coding"][0]["code"])


def _kept(written: Iterable[Written], answers: Sequence[Resource]) -> dict[str, list[Kept]]:
    """All versions by id, in the order of first writing; what staff changed stands where it became known."""
    kept: dict[str, list[Kept]] = {}
    for one in written:
        kept.setdefault(one.resource["id"], []).append(Kept(one.at, one.resource, one.provenance))
    for answer in answers:
        known = datetime.fromisoformat(answer["meta"]["lastUpdated"])
        versions = kept[answer["id"]]
        versions.append(Kept(known, answer))
        # Of the same instant, staff's comes first: it is what the service decided on.
        versions.sort(key=lambda version: (version.at, not version.by_staff))
    return kept
