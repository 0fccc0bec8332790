"""Random histories of a patient, and a small EPR in virtual time that plays them.

A history is what an EPR may say about one patient: versions of appointments, a referral, signals, people, what staff
recorded, messages, a discharge or a death. Everything lies in a few weeks of 2026, on whole quarters of an hour, so
that coincidences are frequent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from hypothesis import strategies as st
from msgspec import Struct

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.decide import decide
from fhirbridge.core.decision import Decision, Write
from fhirbridge.core.effects import AnyEffect
from fhirbridge.core.facts import (
    AnyFact,
    Appointment,
    AppointmentState,
    Consent,
    Episode,
    Message,
    Person,
    Referral,
    Relation,
    Signal,
    Source,
    Task,
)
from fhirbridge.core.own import NOTHING, Own, fold
from fhirbridge.core.policy import Pack
from fhirbridge.core.reconcile import effects_of, reconcile
from fhirbridge.core.timeline import Record
from fhirbridge.packs.loading import load_pack

PATIENT = "Patient/p"
START = datetime(2026, 2, 2, 8, tzinfo=UTC)
DAYS = 12
END = START + timedelta(days=70)
MOST_ROUNDS = 6

APPOINTED = (
    AppointmentState.MISSED,
    AppointmentState.MISSED,
    AppointmentState.MISSED,
    AppointmentState.ATTENDED,
    AppointmentState.CANCELLED_BY_PATIENT,
    AppointmentState.CANCELLED_BY_PROVIDER,
)
SIGNALS = ("risk-none", "risk-none", "risk", "risk-high", "safeguarding-adult", "immediate-risk", "sharing-refused")
ACTIONS = (
    "contact-patient",
    "contact-patient",
    "contact-family",
    "unannounced-visit",
    "arrange-mdtm",
    "confirm-pathway",
)
OUTCOMES = ("no-answer", "contact-made", "message-left", "deteriorated", "discharge-agreed", "lower-risk", None)


@lru_cache(maxsize=1)
def pack() -> Pack:
    """The largest pack that ships, as it ships."""
    return load_pack("rdash-disengagement", calendar=Calendar())


def quarters(first: int = 0, last: int = DAYS * 96) -> st.SearchStrategy[datetime]:
    """Instants on quarters of an hour from START on."""
    return st.integers(first, last).map(lambda count: START + timedelta(minutes=15 * count))


def sourced(resource_type: str, name: str, version: int = 1) -> Source:
    """The source of a fact."""
    return Source(resource_type, name, str(version))


@st.composite
def appointments(draw: st.DrawFn, name: str) -> list[AnyFact]:
    """One to three versions of an appointment."""
    start = draw(quarters())
    known = start + draw(st.sampled_from((timedelta(0), timedelta(minutes=30), timedelta(hours=9))))
    versions: list[AnyFact] = []
    for version in range(1, draw(st.sampled_from((1, 1, 1, 2, 3))) + 1):
        versions.append(
            Appointment(
                source=sourced("Appointment", name, version),
                known=known,
                patient=PATIENT,
                state=draw(st.sampled_from(APPOINTED)),
                start=start,
                end=start + timedelta(hours=1),
                referrals=("ServiceRequest/r",),
            )
        )
        known += draw(st.sampled_from((timedelta(hours=1), timedelta(days=1), timedelta(days=3))))
    return versions


@st.composite
def signals(draw: st.DrawFn, name: str, codes: Sequence[str] = SIGNALS) -> list[AnyFact]:
    """A flag, ended later or not."""
    start = draw(quarters(-96 * 2, DAYS * 96))
    code = draw(st.sampled_from(codes))
    made = Signal(source=sourced("Flag", name), known=start, patient=PATIENT, signals=(code,), start=start)
    if not draw(st.booleans()):
        return [made]
    later = start + draw(st.sampled_from((timedelta(hours=2), timedelta(days=4))))
    ended = Signal(
        source=sourced("Flag", name, 2), known=later, patient=PATIENT, signals=(code,), active=False, start=start
    )
    return [made, ended]


@st.composite
def staff_tasks(draw: st.DrawFn, name: str) -> list[AnyFact]:
    """A Task that staff made and finished, without the service's identifier."""
    happened = draw(quarters())
    return [
        Task(
            source=sourced("Task", name),
            known=happened + draw(st.sampled_from((timedelta(0), timedelta(hours=6)))),
            patient=PATIENT,
            status=draw(st.sampled_from(("completed", "completed", "failed", "rejected"))),
            actions=(draw(st.sampled_from(ACTIONS)),),
            outcome=draw(st.sampled_from(OUTCOMES)),
            happened=happened,
        )
    ]


@st.composite
def messages(draw: st.DrawFn, name: str) -> list[AnyFact]:
    """A message from the patient."""
    sent = draw(quarters())
    source = sourced("Communication", name)
    return [Message(source=source, known=sent, patient=PATIENT, status="completed", from_patient=True, sent=sent)]


@st.composite
def circumstances(draw: st.DrawFn) -> list[AnyFact]:
    """Perhaps a referral, an episode that ends or not, a sister, a consent, a death."""
    before = START - timedelta(days=30)
    found: list[AnyFact] = []
    if draw(st.booleans()):
        priority = draw(st.sampled_from(("routine", "urgent")))
        found.append(
            Referral(
                source=sourced("ServiceRequest", "r"), known=before, patient=PATIENT, status="active", priority=priority
            )
        )
    if draw(st.booleans()):
        settings = draw(st.sampled_from(((), ("community",), ("home-treatment",))))
        whole = Episode(
            source=sourced("EpisodeOfCare", "e"),
            known=before,
            patient=PATIENT,
            status="active",
            start=before,
            settings=settings,
            referrals=("ServiceRequest/r",),
        )
        found.append(whole)
        if draw(st.booleans()):
            at = draw(quarters())
            found.append(
                Episode(
                    source=sourced("EpisodeOfCare", "e", 2),
                    known=at,
                    patient=PATIENT,
                    status="finished",
                    start=before,
                    end=at,
                    settings=settings,
                    referrals=("ServiceRequest/r",),
                )
            )
    if draw(st.booleans()):
        found += _known_to_the_service(before)
    if draw(st.booleans()):
        sister = sourced("RelatedPerson", "sister")
        found.append(Relation(source=sister, known=before, patient=PATIENT, kinds=("family",), contactable=True))
    if draw(st.booleans()):
        at = draw(quarters())
        denial = sourced("Consent", "c")
        found.append(Consent(source=denial, known=at, patient=PATIENT, status="active", permits=False, start=at))
    if draw(st.integers(0, 7)) == 0:
        at = draw(quarters())
        found.append(Person(source=sourced("Patient", "p"), known=at, patient=PATIENT, deceased=True, deceased_at=at))
    return found


def _known_to_the_service(before: datetime) -> list[AnyFact]:
    """Seen once, and found to be without risk."""
    seen = Appointment(
        source=sourced("Appointment", "seen"),
        known=before + timedelta(days=7),
        patient=PATIENT,
        state=AppointmentState.ATTENDED,
        start=before + timedelta(days=7),
        end=before + timedelta(days=7, hours=1),
        referrals=("ServiceRequest/r",),
    )
    found = Signal(
        source=sourced("Flag", "none"),
        known=before + timedelta(days=7),
        patient=PATIENT,
        signals=("risk-none",),
        start=before + timedelta(days=7),
    )
    return [seen, found]


@st.composite
def histories(draw: st.DrawFn, most_appointments: int = 4, most_signals: int = 2) -> list[AnyFact]:
    """Everything an EPR says of one patient, in no particular order."""
    parts = [draw(circumstances())]
    parts += [draw(appointments(f"a{n}")) for n in range(draw(st.integers(1, most_appointments)))]
    parts += [draw(signals(f"f{n}")) for n in range(draw(st.integers(0, most_signals)))]
    parts += [draw(staff_tasks(f"t{n}")) for n in range(draw(st.integers(0, 2)))]
    parts += [draw(messages(f"m{n}")) for n in range(draw(st.integers(0, 1)))]
    return [fact for part in parts for fact in part]


class Look(Struct, frozen=True):
    """One look at the patient: at `now` with this record, what was decided at first, and all that was then written.

    `before` and `after` are our own effects folded, before and after it; `decision` is the last one, at rest.
    """

    now: datetime
    record: Record
    before: Own
    after: Own
    first: Decision
    decision: Decision
    writes: tuple[Write, ...]
    effects: tuple[AnyEffect, ...]


def looked(facts: Sequence[AnyFact], effects: Sequence[AnyEffect], now: datetime) -> Look:
    """Decide and write until there is nothing more to write."""
    record = Record.of(facts)
    before = own = fold(effects, onto=NOTHING)
    first = None
    written: list[Write] = []
    new: list[AnyEffect] = []
    for _ in range(MOST_ROUNDS):
        decision = decide(pack(), record, own, now)
        first = first or decision
        writes = reconcile(decision, own, record)
        if not writes:
            return Look(now, record, before, own, first, decision, tuple(written), tuple(new))
        made = effects_of(decision, writes, now)
        own = fold(made, onto=own)
        written += writes
        new += made
    raise AssertionError(f"still writing after {MOST_ROUNDS} rounds: {written}")


Reply = Callable[[Look], AnyFact | None]


def lived(facts: Iterable[AnyFact], until: datetime = END, reply: Reply | None = None) -> Iterator[Look]:
    """Play a history: a look at each instant at which something becomes known or the last decision asked for one.

    `reply` may answer a look with what staff then do, known a little later.
    """
    waiting = sorted(facts, key=lambda fact: (fact.known, fact.source))
    there: list[AnyFact] = []
    effects: list[AnyEffect] = []
    now = waiting[0].known if waiting else None
    while now is not None and now <= until:
        while waiting and waiting[0].known <= now:
            there.append(waiting.pop(0))
        look = looked(there, effects, now)
        effects += look.effects
        yield look
        answer = reply(look) if reply is not None else None
        if answer is not None:
            waiting = sorted([*waiting, answer], key=lambda fact: (fact.known, fact.source))
        following = [instant for instant in (look.decision.wakes_at, waiting[0].known if waiting else None) if instant]
        now = min(following, default=None)


def arrived(facts: Sequence[AnyFact], first: datetime) -> Own:
    """All facts arrive in the order given, a second apart from `first` on; what the service holds in the end."""
    effects: list[AnyEffect] = []
    own = NOTHING
    for count in range(1, len(facts) + 1):
        look = looked(facts[:count], effects, first + timedelta(seconds=count))
        effects += look.effects
        own = look.after
    return own
