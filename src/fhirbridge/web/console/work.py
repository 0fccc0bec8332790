"""What there is to do: the open Tasks of everybody, as rows of a list. And who the patients are that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from fhirbridge.core.calendar import Calendar
from fhirbridge.fhir.canonical import NHS_NUMBER, ROLE
from fhirbridge.fhir.copies import COPY
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.wording import display
from fhirbridge.fhir.worklist import action_of
from fhirbridge.ports import Listed, Store, Subject, Wanted
from fhirbridge.simulation.account import title

OPEN: Final = ("requested", "received", "accepted", "ready", "in-progress", "on-hold", "draft")
"""Statuses of a Task that somebody still has to do."""
DUE: Final = {"overdue": "Overdue", "today": "Due today", "week": "Due within 7 days", "": "All open"}

_BATCH = 500
_WEEK = timedelta(days=7)


class Identity(Struct, frozen=True, kw_only=True):
    """Who a patient is, as far as the record says."""

    name: str
    nhs_number: str = ""
    born: str = ""

    @property
    def spoken(self) -> str:
        """The NHS number as it is read aloud: 999 012 6704."""
        number = self.nhs_number
        return f"{number[:3]} {number[3:6]} {number[6:]}" if len(number) == 10 else number  # noqa: PLR2004


class Work(Struct, frozen=True, kw_only=True):
    """One open Task. `here`: it stands on the service's own worklist alone, and is completed there."""

    reference: str
    subject: Subject
    who: Identity
    title: str
    action: str
    role: str
    owner: str
    priority: str
    due: datetime | None
    overdue: bool
    here: bool


class Chosen(Struct, frozen=True, kw_only=True):
    """What a person chose to see of the work."""

    role: str = ""
    owner: str = ""
    due: str = ""
    epr: str = ""

    def takes(self, one: Work, now: datetime, calendar: Calendar) -> bool:
        """Whether it is to be shown."""
        fits = all(
            not wished or wished == has
            for wished, has in ((self.role, one.role), (self.owner, one.owner), (self.epr, one.subject.epr))
        )
        return fits and self._in_time(one, now, calendar)

    def _in_time(self, one: Work, now: datetime, calendar: Calendar) -> bool:
        match self.due:
            case "overdue":
                return one.overdue
            case "today":
                end = calendar.end_of_day(calendar.local(now).date())
                return one.due is not None and one.due <= end
            case "week":
                return one.due is not None and one.due <= now + _WEEK
            case _:
                return True


async def open_work(store: Store, now: datetime) -> list[Work]:
    """Every open Task, that due first at the top; those without a due date at the end."""
    found: list[Listed] = []
    after = 0
    while True:
        batch = await store.worklist.search(Wanted(types=("Task",), statuses=OPEN), after=after, limit=_BATCH)
        found += batch
        if len(batch) < _BATCH:
            break
        after = batch[-1].row
    nobody = Identity(name="")
    rows = [_work(one, nobody, now) for one in found]
    return sorted(rows, key=lambda one: (one.due is None, one.due or now, one.reference))


def _work(listed: Listed, who: Identity, now: datetime) -> Work:
    resource = listed.resource
    due = due_of(resource)
    return Work(
        reference=listed.reference,
        subject=listed.subject,
        who=who,
        title=title(resource),
        action=action_of(resource),
        role=role_of(resource),
        owner=owner_of(resource),
        priority=str(resource.get("priority", "routine")),
        due=due,
        overdue=due is not None and due < now,
        here=listed.way != COPY,
    )


def due_of(resource: Resource) -> datetime | None:
    """The deadline of a Task."""
    end = resource.get("restriction", {}).get("period", {}).get("end")
    return datetime.fromisoformat(end) if end else None


def role_of(resource: Resource) -> str:
    """Who has to act, in words: as the directory calls them, else the role."""
    for concept in resource.get("performerType", []):
        for coding in concept.get("coding", []):
            if coding.get("system") == ROLE:
                return str(concept.get("text") or display(coding["code"]))
    return ""


def owner_of(resource: Resource) -> str:
    """The person or team that owns a Task; "" where nobody does."""
    owner = resource.get("owner", {})
    return str(owner.get("display") or owner.get("reference") or "")


async def identities(store: Store, subjects: Iterable[Subject]) -> Mapping[Subject, Identity]:
    """Who these patients are."""
    of_epr: dict[str, list[str]] = {}
    for subject in dict.fromkeys(subjects):
        of_epr.setdefault(subject.epr, []).append(subject.patient.partition("/")[2])
    found: dict[Subject, Identity] = {}
    for epr, ids in of_epr.items():
        latest = await store.kept.latest(epr, "Patient", ids)
        for one in ids:
            subject = Subject(epr, f"Patient/{one}")
            found[subject] = identity_of(latest[one].resource) if one in latest else Identity(name=subject.patient)
    return found


def identity_of(patient: Resource) -> Identity:
    """Who a Patient is: the official or usual name, the NHS number, and when they were born."""
    names = sorted(patient.get("name", []), key=lambda one: one.get("use") not in ("official", "usual", None))
    spoken: Resource = next(iter(names), {})
    name = spoken.get("text") or " ".join([*spoken.get("given", []), spoken.get("family", "")]).strip()
    numbers = (one.get("value", "") for one in patient.get("identifier", []) if one.get("system") == NHS_NUMBER)
    return Identity(
        name=str(name or f"Patient/{patient.get('id', '')}"),
        nhs_number=str(next(numbers, "")),
        born=str(patient.get("birthDate", "")),
    )


async def find_people(store: Store, eprs: Iterable[str], said: str, most: int) -> list[tuple[Subject, Identity]]:
    """Patients whose NHS number is this, or whose name has all of these words; no more than `most` of them."""
    digits = "".join(said.split())
    words = said.casefold().split()
    found: list[tuple[Subject, Identity]] = []
    for epr in eprs:
        after = ""
        while len(found) < most and (batch := await store.kept.patients(epr, after=after, limit=_BATCH)):
            after = batch[-1]
            for subject, who in (await identities(store, [Subject(epr, one) for one in batch])).items():
                name = who.name.casefold()
                if who.nhs_number == digits or all(word in name for word in words):
                    found.append((subject, who))
    return found[:most]
