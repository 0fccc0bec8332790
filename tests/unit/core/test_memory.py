"""A record that grows is the record of all its facts, and a memory of earlier decisions changes none."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.decide import decide
from fhirbridge.core.decision import Decision
from fhirbridge.core.facts import AnyFact, Appointment, AppointmentState, Episode, Message, Relation, Task
from fhirbridge.core.gathering import Gathering
from fhirbridge.core.memory import Memory
from fhirbridge.core.own import NOTHING, Own, fold
from fhirbridge.core.policy import Pack
from fhirbridge.core.reconcile import effects_of, reconcile
from fhirbridge.core.timeline import Record
from fhirbridge.packs.loading import load_pack
from tests.unit.core.histories import PATIENT, START, histories, sourced

MANY = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
MOMENT = timedelta(microseconds=1)


def in_an_episode(history: list[AnyFact]) -> list[AnyFact]:
    """The same history in an episode of care, and without what is answered only once: there a memory is used most."""
    episode = Episode(
        source=sourced("EpisodeOfCare", "e"),
        known=START - timedelta(days=9),
        patient=PATIENT,
        status="active",
        start=START - timedelta(days=9),
        referrals=("ServiceRequest/r",),
    )
    return [episode, *(fact for fact in history if not isinstance(fact, Message | Task | Episode))]


def ended(begun: AnyFact, at: datetime) -> Episode:
    """The same episode as the EPR ended it, at once known."""
    assert isinstance(begun, Episode)
    return replace(begun, source=sourced("EpisodeOfCare", "e", 2), known=at, status="finished", end=at)


@lru_cache
def shipped(name: str) -> Pack:
    """A pack as it ships."""
    return load_pack(name, calendar=Calendar())


def by_memory_and_without(history: list[AnyFact], name: str = "rdash-disengagement") -> tuple[int, int]:
    """Play the history with a memory, comparing each decision with one made anew; decisions, and those with asks."""
    gathering, memory, own, facts = Gathering(), Memory(), NOTHING, list[AnyFact]()
    looks = asking = 0
    pack = shipped(name)
    for fact in sorted(history, key=lambda fact: (fact.known, fact.source)):
        facts.append(fact)
        gathering.add(fact)
        record = gathering.record()
        assert record == Record.of(facts)
        for now in (fact.known, fact.known + timedelta(hours=5)):
            decision, own = settled(pack, memory, record, own, now)
            again, _ = settled(pack, memory, record, own, now + MOMENT)
            assert again == decide(pack, record, own, now + MOMENT)
            looks, asking = looks + 1, asking + bool(decision.obligations)
    return looks, asking


def settled(pack: Pack, memory: Memory, record: Record, own: Own, now: datetime) -> tuple[Decision, Own]:
    """The last of the rounds at this instant, and what has been done then."""
    while True:
        decision = decide(pack, record, own, now, memory=memory)
        assert decision == decide(pack, record, own, now)
        writes = reconcile(decision, own, record)
        if not writes:
            return decision, own
        own = fold(effects_of(decision, writes, now), onto=own)


@MANY
@given(histories())
def test_a_memory_changes_no_decision(history: list[AnyFact]) -> None:
    by_memory_and_without(history)


@MANY
@given(histories(), st.none() | st.integers(1, 40))
def test_a_memory_changes_no_decision_in_an_episode(history: list[AnyFact], days: int | None) -> None:
    """The episode goes on, or ends after so many days, whatever is still learnt of its appointments."""
    history = in_an_episode(history)
    if days is not None:
        history.append(ended(history[0], START + timedelta(days=days)))
    by_memory_and_without(history)


def appointment(number: int, version: int, state: AppointmentState, known: timedelta) -> Appointment:
    start = START + timedelta(days=7 * number)
    return Appointment(
        source=sourced("Appointment", f"a{number}", version),
        known=start + known,
        patient=PATIENT,
        state=state,
        start=start,
        end=start + timedelta(hours=1),
    )


def test_an_old_spell_is_remembered_while_appointments_come_and_go() -> None:
    """The case that the memory is for: it is asked nothing of what has long been settled."""
    missed = (1, 2, 6)
    history = in_an_episode([])
    for number in range(9):
        state = AppointmentState.MISSED if number in missed else AppointmentState.ATTENDED
        history += [
            appointment(number, 1, AppointmentState.BOOKED, -timedelta(days=5)),
            appointment(number, 2, state, timedelta(hours=1)),
        ]
    looks, asking = by_memory_and_without(history)
    assert (looks, asking > 10) == (38, True)


CHILD = Relation(
    source=sourced("RelatedPerson", "c"),
    known=START - timedelta(days=8),
    patient=PATIENT,
    kinds=("child",),
    birth_date=date(2020, 1, 1),
)


def test_a_place_from_which_somebody_looked_around_is_looked_at_again() -> None:
    """A parent's first appointment, whose cancellation takes back what its booking had called for."""
    booked = appointment(1, 1, AppointmentState.BOOKED, -timedelta(days=9))
    cancelled = appointment(1, 2, AppointmentState.CANCELLED_BY_PROVIDER, -timedelta(days=5))
    again = appointment(2, 1, AppointmentState.BOOKED, -timedelta(days=9))
    _, asking = by_memory_and_without(in_an_episode([CHILD, booked, cancelled, again]))
    assert asking > 1


def test_an_appointment_that_is_over_while_nothing_comes_in_counts_from_then() -> None:
    """Four were missed, and somebody is there for the fifth: with its end the share of those attended is known."""
    history = in_an_episode([appointment(n, 1, AppointmentState.MISSED, timedelta(hours=1)) for n in range(4)])
    history.append(appointment(4, 1, AppointmentState.PRESENT, timedelta(minutes=5)))
    assert by_memory_and_without(history, "therapy-commitment")[1] > 0


def test_what_was_corrected_is_told_again_when_something_else_calls_for_it() -> None:
    """A parent called off what they were then said to have missed: one is corrected as the other is told of."""
    called_off = appointment(1, 1, AppointmentState.CANCELLED_BY_PATIENT, -timedelta(days=2))
    missed = appointment(1, 2, AppointmentState.MISSED, timedelta(hours=11))
    assert by_memory_and_without(in_an_episode([CHILD, called_off, missed]), "discharge-planning")[1] > 0


def test_what_was_kept_of_a_record_stays_the_same_object() -> None:
    gathering = Gathering()
    for fact in in_an_episode([appointment(1, 1, AppointmentState.BOOKED, -timedelta(days=5))]):
        gathering.add(fact)
    before = gathering.record()
    gathering.add(appointment(2, 1, AppointmentState.BOOKED, -timedelta(days=9)))
    after = gathering.record()
    assert after.cases[0].episode is before.cases[0].episode
    assert [visit.source.id for visit in after.cases[0].visits] == ["a1", "a2"]
    assert gathering.record() is after


def test_a_miss_that_becomes_known_after_the_episode_was_ended_is_followed_by_what_a_discharge_calls_for() -> None:
    """What is outside of the spells looks at the runs of the last one, though none was there when it looked first."""
    history = in_an_episode([appointment(0, 1, AppointmentState.ATTENDED, timedelta(hours=1))])
    booked = appointment(1, 1, AppointmentState.BOOKED, -timedelta(days=5))
    missed = appointment(1, 2, AppointmentState.MISSED, timedelta(hours=3))
    end = ended(history[0], START + timedelta(days=7, hours=1))
    assert by_memory_and_without([*history, booked, end, missed])[1] > 0


def test_a_booking_elsewhere_is_looked_at_where_somebody_was_discharged() -> None:
    """With nobody discharged it counts nowhere, and the last decision stands."""
    in_both = replace(appointment(1, 1, AppointmentState.BOOKED, -timedelta(days=5)), referrals=("ServiceRequest/s",))
    begun = in_an_episode([])[0]
    assert isinstance(begun, Episode)
    elsewhere = replace(begun, source=sourced("EpisodeOfCare", "f"), referrals=("ServiceRequest/s",))
    end = ended(begun, START - timedelta(days=1))
    for history, stands in ([begun, elsewhere], True), ([begun, elsewhere, end], False):
        gathering, memory, pack = Gathering(), Memory(), shipped("rdash-disengagement")
        for fact in history:
            gathering.add(fact)
        settled(pack, memory, gathering.record(), NOTHING, START)
        gathering.add(in_both)
        memory.turn_to(pack, gathering.record(), NOTHING, ())
        assert (memory.stands((None, True), START) is not None) is stands
