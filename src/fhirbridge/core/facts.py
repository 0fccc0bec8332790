"""What is known about a patient, as frozen facts.

A fact is what one version of one resource in the EPR says, in the service's own words. It has two times: when it
happened (a field of the fact: `start`, `happened`, …) and when it became known (`known`, the version's
`meta.lastUpdated`). The timeline keeps every version, in whatever order they came, so that "since when is this known"
and "what was known at T" have answers.

All instants are timezone-aware datetimes in UTC. References are `Type/id`, without base URL or version.
Codes are those of the service's own code systems; turning an EPR's codes into them is the mapping's work.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from msgspec import Struct


class Source(Struct, frozen=True, order=True, cache_hash=True):
    """The version of the resource that a fact was read from."""

    type: str
    id: str
    version: str

    @property
    def reference(self) -> str:
        """Reference to the resource, whatever its version: `Appointment/a1`."""
        return f"{self.type}/{self.id}"

    @property
    def versioned(self) -> str:
        """Reference to exactly this version: `Appointment/a1/_history/3`."""
        return f"{self.type}/{self.id}/_history/{self.version}" if self.version else self.reference


class Fact(Struct, frozen=True, kw_only=True, tag_field="fact", tag=str.lower):
    """What one version of a resource says; the base of all facts."""

    source: Source
    known: datetime
    """When this version was committed in the EPR (`meta.lastUpdated`)."""
    patient: str
    """`Patient/id` the fact is about."""
    erased: bool = False
    """The resource says that it should never have been (`entered-in-error`), or the EPR deleted it."""


class AppointmentState(StrEnum):
    """What became of an appointment, in the words of the contract."""

    BOOKED = "booked"
    """`booked` or `pending`."""
    PRESENT = "present"
    """`arrived` or `checked-in`: counts as attended once the appointment is over."""
    ATTENDED = "attended"
    MISSED = "missed"
    CANCELLED_BY_PATIENT = "cancelled-by-patient"
    CANCELLED_BY_PROVIDER = "cancelled-by-provider"
    CANCELLED = "cancelled"
    """Cancelled, and nobody said by whom."""
    OTHER = "other"
    """`proposed`, `waitlist`: nothing has been arranged yet."""


class Appointment(Fact, frozen=True, kw_only=True):
    """An Appointment. `services` are keys that an episode of the same service shares (see `Episode`)."""

    state: AppointmentState
    start: datetime | None = None
    end: datetime | None = None
    services: tuple[str, ...] = ()
    referrals: tuple[str, ...] = ()
    """`ServiceRequest/id` of `basedOn`."""


class Encounter(Fact, frozen=True, kw_only=True):
    """An Encounter; `inpatient` when its class is IMP or ACUTE. `participants` are action roles, e.g. `advocate`."""

    status: str
    inpatient: bool = False
    start: datetime | None = None
    end: datetime | None = None
    appointments: tuple[str, ...] = ()
    episodes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    participants: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()


class Episode(Fact, frozen=True, kw_only=True):
    """An EpisodeOfCare.

    `services`: keys of the service it belongs to: `Organization/x`, `HealthcareService/x`, `CareTeam/x`, `system|code`
    of a type. Two resources belong to the same service when they share a key.
    """

    status: str
    start: datetime | None = None
    end: datetime | None = None
    settings: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    referrals: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    """Signals among its diagnoses."""


class Referral(Fact, frozen=True, kw_only=True):
    """A ServiceRequest. `priority` is R4's request priority; `requester` a reference, if given."""

    status: str
    priority: str = "routine"
    requester: str | None = None
    authored: datetime | None = None
    services: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()


class Signal(Fact, frozen=True, kw_only=True):
    """A Flag or Condition of the EPR that says something the policies ask for.

    `active` is what its status says; `start` and `end` its period, where recorded. `encounter` ties it to one stay or
    contact, where recorded.
    """

    signals: tuple[str, ...]
    active: bool = True
    start: datetime | None = None
    end: datetime | None = None
    encounter: str | None = None


class Task(Fact, frozen=True, kw_only=True):
    """A Task of the EPR: one that the service wrote (`obligation` is its identity), or one that staff made.

    `happened` is `executionPeriod.end`, else None (then it happened when this version became known).
    `about` are references of focus, encounter, partOf and reasonReference: they can name an episode.
    """

    status: str
    obligation: str | None = None
    actions: tuple[str, ...] = ()
    outcome: str | None = None
    happened: datetime | None = None
    due: datetime | None = None
    owner: str | None = None
    about: tuple[str, ...] = ()


class Message(Fact, frozen=True, kw_only=True):
    """A Communication. `sender` and `recipients` are references.

    `from_patient` and `to_patient` say whether the patient is among them. `obligation` is its identity when the
    service wrote it.
    """

    status: str
    obligation: str | None = None
    actions: tuple[str, ...] = ()
    sender: str | None = None
    recipients: tuple[str, ...] = ()
    from_patient: bool = False
    to_patient: bool = False
    sent: datetime | None = None
    received: datetime | None = None
    about: tuple[str, ...] = ()
    """References of about, encounter, basedOn and inResponseTo."""
    categorised: bool = False
    """Whether it has any category at all, be it one of the service's actions or not."""


class Plan(Fact, frozen=True, kw_only=True):
    """A CarePlan; `actions` are its category codes."""

    status: str
    obligation: str | None = None
    actions: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None


class OwnFlag(Fact, frozen=True, kw_only=True):
    """A Flag that the service wrote itself, read back: never a signal, but a person may have ended it."""

    obligation: str
    status: str


class Person(Fact, frozen=True, kw_only=True):
    """The Patient. `deceased` is true when recorded as dead; `deceased_at` when, if recorded."""

    birth_date: date | None = None
    active: bool = True
    deceased: bool = False
    deceased_at: datetime | None = None
    replaced_by: str | None = None
    replaces: tuple[str, ...] = ()
    """Of `Patient.link`, as `Patient/id`: the record that goes on instead of this one, and those that this replaces."""
    practitioners: tuple[str, ...] = ()
    """References of generalPractitioner."""
    practice: str | None = None
    """ODS code of the practice, where generalPractitioner names it by that."""


class Relation(Fact, frozen=True, kw_only=True):
    """A RelatedPerson. `kinds` are `child`, `family`, `carer`, `associate`, `next-of-kin`."""

    kinds: tuple[str, ...] = ()
    birth_date: date | None = None
    active: bool = True
    contactable: bool = False
    """Has a telephone number or an address."""
    start: datetime | None = None
    end: datetime | None = None


class Consent(Fact, frozen=True, kw_only=True):
    """A Consent about sharing. `permits` is its decision; `covers` whom (`family`, `agency`), empty for all."""

    status: str
    permits: bool
    covers: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None


class Team(Fact, frozen=True, kw_only=True):
    """A CareTeam: who holds which role, as `role=reference`."""

    status: str
    holders: tuple[str, ...] = ()


class Unmapped(Fact, frozen=True, kw_only=True):
    """A resource that the mapping could not turn into a fact. Kept and shown, never dropped."""

    reason: str


AnyFact = (
    Appointment
    | Encounter
    | Episode
    | Referral
    | Signal
    | Task
    | Message
    | Plan
    | OwnFlag
    | Person
    | Relation
    | Consent
    | Team
    | Unmapped
)
