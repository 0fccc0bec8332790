"""From facts to a record: versions, stretches, signals, and which case an appointment belongs to."""

from datetime import UTC, datetime, timedelta

import pytest

from fhirbridge.core.facts import (
    AnyFact,
    Appointment,
    AppointmentState,
    Encounter,
    Episode,
    Referral,
    Signal,
    Source,
)
from fhirbridge.core.history import History, clock
from fhirbridge.core.timeline import Record

T = datetime(2026, 2, 2, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FOUR_HOURS = 4 * 3600
MISSED, ATTENDED, BOOKED = AppointmentState.MISSED, AppointmentState.ATTENDED, AppointmentState.BOOKED


def appointment(
    state: AppointmentState = MISSED,
    version: int = 1,
    known: datetime = T,
    services: tuple[str, ...] = (),
    referrals: tuple[str, ...] = (),
    erased: bool = False,
) -> Appointment:
    return Appointment(
        source=Source("Appointment", "a", str(version)),
        known=known,
        patient="Patient/p",
        state=state,
        start=T,
        end=T + HOUR,
        services=services,
        referrals=referrals,
        erased=erased,
    )


def episode(
    name: str,
    start: datetime | None = T - 30 * DAY,
    end: datetime | None = None,
    services: tuple[str, ...] = (),
    referrals: tuple[str, ...] = (),
    status: str | None = None,
) -> Episode:
    return Episode(
        source=Source("EpisodeOfCare", name, "1"),
        known=end or start or T - 30 * DAY,
        patient="Patient/p",
        status=status or ("finished" if end else "active"),
        start=start,
        end=end,
        services=services,
        referrals=referrals,
    )


def encounter(of: str, *episodes: str) -> Encounter:
    source = Source("Encounter", "n", "1")
    return Encounter(
        source=source, known=T, patient="Patient/p", status="finished", start=T, appointments=(of,), episodes=episodes
    )


def signal(active: bool = True, version: int = 1, known: datetime = T, start: datetime | None = None) -> Signal:
    source = Source("Flag", "f", str(version))
    return Signal(source=source, known=known, patient="Patient/p", signals=("risk",), active=active, start=start)


# --- versions ---------------------------------------------------------------------------------


def test_the_version_committed_last_holds_whatever_the_order_of_arrival() -> None:
    versions = [appointment(MISSED, 1, T), appointment(ATTENDED, 2, T + HOUR), appointment(MISSED, 3, T + 2 * HOUR)]
    for order in (versions, versions[::-1], [versions[1], versions[2], versions[0]]):
        history = History.of(order)
        assert history.latest.source.version == "3"
        assert [stretch.meaning for stretch in history.stretches] == [MISSED, ATTENDED, MISSED]


def test_versions_committed_at_one_instant_are_ordered_by_number() -> None:
    history = History.of([appointment(ATTENDED, 10), appointment(MISSED, 9)])
    assert history.latest.state is ATTENDED


def test_versions_that_mean_the_same_are_one_stretch() -> None:
    history = History.of([appointment(MISSED, 1, T), appointment(MISSED, 2, T + DAY)])
    assert history.since == T
    assert history.taken_back(MISSED) == 0


def test_since_when_what_holds_now_is_known() -> None:
    history = History.of(
        [appointment(MISSED, 1, T), appointment(ATTENDED, 2, T + HOUR), appointment(MISSED, 3, T + 2 * HOUR)]
    )
    assert history.since == T + 2 * HOUR
    assert history.taken_back(MISSED) == 1
    assert history.taken_back(ATTENDED) == 1


def test_a_version_that_comes_twice_counts_once() -> None:
    once = Record.of([appointment()])
    assert Record.of([appointment(), appointment()]) == once


def test_what_was_entered_in_error_is_nobodys_visit_but_remains_a_source() -> None:
    record = Record.of([appointment(MISSED), appointment(MISSED, 2, T + HOUR, erased=True)])
    assert [visit for case in record.cases for visit in case.visits] == []
    assert record.sources["Appointment/a"].latest.erased


# --- the clock --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "runs_from"),
    [
        (T - DAY, T),
        (T, T),
        (T + 4 * HOUR, T),
        (T + 4 * HOUR + timedelta(seconds=1), T + 4 * HOUR + timedelta(seconds=1)),
    ],
)
def test_clocks_run_from_when_it_became_known_only_if_that_is_more_than_four_hours_later(
    known: datetime, runs_from: datetime
) -> None:
    assert clock(T, known, FOUR_HOURS) == runs_from


def test_without_a_time_clocks_run_from_when_it_became_known() -> None:
    assert clock(None, T, FOUR_HOURS) == T


# --- signals ----------------------------------------------------------------------------------


def test_a_signal_holds_from_its_start_until_it_is_taken_back() -> None:
    facts: list[AnyFact] = [signal(start=T - DAY, known=T - DAY), signal(False, 2, T + HOUR, start=T - DAY)]
    (span,) = Record.of(facts).signals
    assert (span.start, span.end) == (T - DAY, T + HOUR)
    assert span.holds(T)
    assert not span.holds(T + HOUR)
    assert not span.holds(T - 2 * DAY)


def test_a_signal_that_was_taken_back_and_asserted_again_is_another_period() -> None:
    facts: list[AnyFact] = [signal(), signal(False, 2, T + HOUR), signal(True, 3, T + 2 * HOUR)]
    first, second = Record.of(facts).signals
    assert (first.start, first.end, first.asserted) == (T, T + HOUR, 0)
    assert (second.start, second.end, second.asserted) == (T + 2 * HOUR, None, 1)


def test_signals_of_a_revoked_referral_do_not_count() -> None:
    def referral(status: str) -> Referral:
        source = Source("ServiceRequest", "r", "1")
        return Referral(source=source, known=T, patient="Patient/p", status=status, signals=("child-concern",))

    assert [span.code for span in Record.of([referral("active")]).signals] == ["child-concern"]
    assert Record.of([referral("revoked")]).signals == ()


# --- which case an appointment belongs to ----------------------------------------------------


def case_of(*facts: AnyFact) -> str:
    (case,) = [case for case in Record.of(facts).cases if case.visits]
    return case.id


def test_first_the_episode_of_its_encounter() -> None:
    by_encounter = encounter("Appointment/a", "EpisodeOfCare/e2")
    referred = appointment(referrals=("ServiceRequest/r",))
    assert case_of(referred, by_encounter, episode("e1", referrals=("ServiceRequest/r",)), episode("e2")) == (
        "EpisodeOfCare/e2"
    )


def test_then_the_episode_of_its_referral_even_once_that_has_finished() -> None:
    referred = appointment(referrals=("ServiceRequest/r",), services=("x|cmht",))
    finished = episode("e1", end=T - DAY, referrals=("ServiceRequest/r",))
    assert case_of(referred, finished, episode("e2", services=("x|cmht",))) == "EpisodeOfCare/e1"


def test_then_the_one_episode_of_its_service_that_was_open() -> None:
    mine = appointment(services=("x|cmht",))
    assert case_of(mine, episode("e1", services=("x|psychology",)), episode("e2", services=("x|cmht",))) == (
        "EpisodeOfCare/e2"
    )


def test_then_the_only_episode_that_was_open() -> None:
    assert case_of(appointment(), episode("e1"), episode("e2", end=T - DAY)) == "EpisodeOfCare/e1"


def test_else_it_is_a_case_of_its_own_for_its_service() -> None:
    mine = appointment(services=("x|cmht",))
    assert case_of(mine, episode("e1"), episode("e2")) == "Service/x|cmht"
    assert case_of(mine) == "Service/x|cmht"
    assert case_of(appointment()) == "Service/unknown"


@pytest.mark.parametrize(
    ("start", "end", "mine"),
    [
        (T, None, True),
        (T + HOUR, None, False),
        (None, None, True),
        (T - DAY, T + DAY, True),
        (T - DAY, T - HOUR, False),
    ],
)
def test_an_episode_counts_that_was_open_at_the_start(start: datetime | None, end: datetime | None, mine: bool) -> None:
    expected = "EpisodeOfCare/e" if mine else "Service/unknown"
    assert case_of(appointment(), episode("e", start, end)) == expected


def test_an_episode_that_was_cancelled_is_nobodys() -> None:
    assert case_of(appointment(), episode("e", status="cancelled")) == "Service/unknown"


def test_an_appointment_stays_with_its_episode_once_that_has_finished() -> None:
    assert case_of(appointment(), episode("e", end=T + DAY)) == "EpisodeOfCare/e"


def test_an_encounter_that_took_place_shows_that_the_patient_was_seen() -> None:
    (case,) = Record.of([appointment(MISSED), encounter("Appointment/a")]).cases
    assert case.visits[0].state is ATTENDED


def test_checked_in_counts_as_attended_once_it_is_over() -> None:
    (case,) = Record.of([appointment(AppointmentState.PRESENT)]).cases
    assert not case.visits[0].attended(T + HOUR - timedelta(seconds=1))
    assert case.visits[0].attended(T + HOUR)
