"""What staff and patients do over some weeks, by seed: the history that every run over this seed is given.

It goes in rounds. At the beginning of a round staff answer some of the Tasks that they find; then, during the hours of
its window, the record changes: appointments are missed, kept, cancelled, corrected and deleted, risk is noted and taken
back, patients write, episodes end and are opened again. Nothing here knows what the service does, except for the
answers, and these go by the identity of the Task: the same Task gets the same answer in every run.

In most seeds the answers have been learnt before the record changes. In the others (`mixed`) the two come together, and
the service may have to decide without knowing what staff have done already: then it may rightly ask for more than it
would have asked otherwise.

Some seeds lead towards a discharge (`leads`): patients without risk miss appointments, are reached and wish to go.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from fhirbridge.core.vocabulary import BASE
from fhirbridge.ports import Resource
from tests.faults.dice import Dice
from tests.faults.feeding import deletes

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday."""
BEFORE = START - timedelta(days=28)
ANSWERING = timedelta(hours=6)
"""From the answers to the changes of the record: foul weather for an hour, then time to learn of the answers."""

APPOINTED = ("noshow", "noshow", "noshow", "fulfilled", "cancelled", "booked")
CORRECTED = ("fulfilled", "noshow", "cancelled", "entered-in-error")
SIGNALS = ("risk-none", "risk-none", "risk-none", "risk", "risk-high", "sharing-refused", "safeguarding-adult")
STAFF_DID = ("contact-patient", "contact-family", "arrange-mdtm", "unannounced-visit")
OUTCOMES = (
    *("no-answer", "no-answer", "message-left", "contact-made", "declined", "done", "higher-risk", "plan-agreed"),
    *("well-wants-discharge", "discharge-agreed"),
)


class Move(Struct, frozen=True):
    """One change of the record at one instant: `resource` is put, or `deleted` names what is deleted."""

    at: datetime
    resource: Resource | None = None
    deleted: str = ""

    @property
    def kind(self) -> str:
        """The type of the resource."""
        return str(self.resource["resourceType"]) if self.resource is not None else self.deleted.partition("/")[0]


class Round(Struct, frozen=True):
    """Answers of staff, then a window in which the record changes, then quiet until the next round.

    The answers come at `answers`, the changes from `begins` to `ends`; all of it is in foul weather. Between the two it
    is fair for a while, unless they come together.
    """

    number: int
    answers: datetime
    begins: datetime
    ends: datetime
    moves: tuple[Move, ...]


class Scenario(Struct, frozen=True):
    """The whole history: `setting_up` before anything can go wrong, then the rounds; it is looked at until `ends`."""

    seed: int
    mixed: bool
    patients: tuple[str, ...]
    setting_up: tuple[Move, ...]
    rounds: tuple[Round, ...]
    ends: datetime


def scenario(seed: int) -> Scenario:
    """The history of this seed."""
    dice = Dice(seed)
    patients = tuple(f"p{number}" for number in range(dice.one_of("patients", (1, 1, 1, 2))))
    histories = [_History(dice, patient, leading=leads(seed)) for patient in patients]
    setting_up = [move for history in histories for move in history.set_up()]
    rounds = []
    mixed = seed % 5 == 4
    answers = START
    for number in range(dice.one_of("rounds", (2, 2, 3) if leads(seed) else (1, 1, 1, 2, 2, 3))):
        begins = answers if mixed else answers + ANSWERING
        length = dice.one_of("window", (2, 2, 3, 8, 26))
        ends = begins + timedelta(hours=length)
        moves = [one.missed(begins) for one in histories if leads(seed) and not number]
        for _ in range(dice.whole("moves", 1, 4)):
            at = begins + timedelta(minutes=10 * dice.whole("at", 0, length * 6 - 1))
            moves.append(dice.one_of("whose", histories).move(at))
        rounds.append(Round(number, answers, begins, ends, tuple(sorted(moves, key=lambda move: move.at))))
        answers += timedelta(days=dice.whole("apart", 3, 5))
    return Scenario(seed, mixed, patients, tuple(setting_up), tuple(rounds), answers)


def leads(seed: int) -> bool:
    """Whether the history leads towards a discharge."""
    return seed % 6 == 2


def answer(seed: int, identity: str, number: int) -> Resource | None:
    """What staff make of the Task with this identity in this round: elements to change, None to leave it."""
    dice = Dice(seed)
    name = f"answer {identity} {number}"
    if not dice.falls(name, 0.8 if leads(seed) else 0.5):
        return None
    if dice.falls(name, 0.15):
        return {"status": "in-progress", "owner": {"reference": "Practitioner/nurse"}}
    wishes = leads(seed) and dice.falls(name, 0.6)
    code = "well-wants-discharge" if wishes else dice.one_of(name, OUTCOMES)
    output = {"coding": [{"system": f"{BASE}/CodeSystem/outcome", "code": code}]}
    status = dice.one_of(name, ("completed", "completed", "completed", "completed", "rejected", "cancelled"))
    return {"status": status, "output": [{"type": {"text": "outcome"}, "valueCodeableConcept": output}]}


class _History:
    """What happens to one patient."""

    def __init__(self, dice: Dice, patient: str, *, leading: bool) -> None:
        self._dice = dice
        self._leading = leading
        self._patient = patient
        self._subject = {"reference": f"Patient/{patient}"}
        self._appointments: dict[str, Resource] = {}
        self._ended = False
        self._count = 0

    def set_up(self) -> list[Move]:
        dice, patient = self._dice, self._patient
        person = {"resourceType": "Patient", "id": patient, "birthDate": "1980-01-01"}
        risk = "risk-none" if self._leading else dice.one_of("risk", SIGNALS)
        moves = [person, self._episode("active"), self._signal("risk", risk)]
        if dice.falls("relation", 0.5):
            kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "MTH"}]}
            phone = [{"system": "phone", "value": "0113 496 0000"}]
            relation = {"resourceType": "RelatedPerson", "id": f"{patient}-mother", "patient": self._subject}
            moves.append({**relation, "active": True, "relationship": [kind], "telecom": phone})
        moves.append(self._appointment("fulfilled", START - timedelta(days=21)))
        if self._leading or dice.falls("missed before", 0.6):
            moves.append(self._appointment("noshow", START - timedelta(days=3)))
        return [Move(BEFORE, resource) for resource in moves]

    def missed(self, at: datetime) -> Move:
        """They miss an appointment."""
        return Move(at, self._appointment("noshow", at))

    def move(self, at: datetime) -> Move:
        """Something that happens to them at this instant."""
        match self._dice.one_of("what", ("appointed",) * 5 + ("corrected",) * 3 + ("else",) * 4):
            case "corrected":
                return self._correction(at)
            case "else":
                return self._something_else(at)
            case _:
                return Move(at, self._appointment(self._dice.one_of("status", APPOINTED), at))

    def _correction(self, at: datetime) -> Move:
        name = self._dice.one_of("which", sorted(self._appointments))
        if self._dice.falls("deleted", 0.2) and deletes(self._dice.seed):
            return Move(at, deleted=f"Appointment/{name}")
        resource = {**self._appointments[name], "status": self._dice.one_of("to", CORRECTED)}
        self._appointments[name] = resource
        return Move(at, resource)

    def _something_else(self, at: datetime) -> Move:
        dice = self._dice
        match dice.one_of("else", ("signal", "signal", "message", "task", "episode", "consent")):
            case "signal":
                status = dice.one_of("active", ("active", "active", "inactive"))
                return Move(at, self._signal(dice.one_of("kind", ("risk", "other")), dice.one_of("s", SIGNALS), status))
            case "message":
                message = {"resourceType": "Communication", "id": self._name("m"), "status": "completed"}
                return Move(at, {**message, "subject": self._subject, "sender": self._subject, "sent": at.isoformat()})
            case "task":
                return Move(at, self._staff_task(at))
            case "episode":
                self._ended = not self._ended
                return Move(at, self._episode("finished" if self._ended else "active", at))
            case _:
                return Move(at, self._consent(at))

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{self._patient}-{kind}{self._count}"

    def _appointment(self, status: str, at: datetime) -> Resource:
        name = self._name("a")
        start = at + timedelta(days=2) if status == "booked" else at - timedelta(minutes=30)
        resource: dict[str, Any] = {
            "resourceType": "Appointment",
            "id": name,
            "status": status,
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=30)).isoformat(),
            "participant": [{"actor": self._subject, "status": "accepted"}],
        }
        self._appointments[name] = resource
        return resource

    def _episode(self, status: str, at: datetime | None = None) -> Resource:
        period = {"start": BEFORE.date().isoformat()}
        if status == "finished" and at is not None:
            period["end"] = at.isoformat()
        return {
            "resourceType": "EpisodeOfCare",
            "id": f"{self._patient}-e",
            "status": status,
            "patient": self._subject,
            "period": period,
        }

    def _signal(self, kind: str, code: str, status: str = "active") -> Resource:
        return {
            "resourceType": "Flag",
            "id": f"{self._patient}-{kind}",
            "status": status,
            "subject": self._subject,
            "code": {"coding": [{"system": f"{BASE}/CodeSystem/signal", "code": code}]},
            "period": {"start": BEFORE.date().isoformat()},
        }

    def _staff_task(self, at: datetime) -> Resource:
        """Something that staff did without being asked."""
        output = {"coding": [{"system": f"{BASE}/CodeSystem/outcome", "code": self._dice.one_of("did", OUTCOMES)}]}
        code = self._dice.one_of("task", STAFF_DID)
        return {
            "resourceType": "Task",
            "id": self._name("t"),
            "status": "completed",
            "intent": "order",
            "for": self._subject,
            "code": {"coding": [{"system": f"{BASE}/CodeSystem/action", "code": code}]},
            "executionPeriod": {"end": at.isoformat()},
            "output": [{"type": {"text": "outcome"}, "valueCodeableConcept": output}],
        }

    def _consent(self, at: datetime) -> Resource:
        scope = "http://terminology.hl7.org/CodeSystem/consentscope"
        return {
            "resourceType": "Consent",
            "id": f"{self._patient}-consent",
            "status": "active",
            "patient": self._subject,
            "dateTime": at.isoformat(),
            "scope": {"coding": [{"system": scope, "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "provision": {"type": self._dice.one_of("consent", ("deny", "permit"))},
        }
