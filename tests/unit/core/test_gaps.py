"""While something of the EPR may be unknown, nothing new leads towards a discharge; reaching out goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fhirbridge.core.accounts import Outlook, StepAccount
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.decide import decide
from fhirbridge.core.explain import explain
from fhirbridge.core.facts import AnyFact, Appointment, AppointmentState, Episode, Signal, Source, Task
from fhirbridge.core.gaps import Cause, Gap
from fhirbridge.core.own import NOTHING, Own, fold
from fhirbridge.core.reconcile import effects_of, reconcile
from fhirbridge.core.timeline import Record
from fhirbridge.packs.loading import load_pack

PATIENT = "Patient/p"
PACK = load_pack("rdash-disengagement", calendar=Calendar())
MISSED = datetime(2026, 2, 9, 10, tzinfo=UTC)
"""When the second appointment in a row was missed."""
TRIED = MISSED + timedelta(days=1)
SILENT = TRIED + timedelta(days=22)
"""Three weeks after the opt-in letter."""
BEGUN = MISSED - timedelta(days=28)
GAP = Gap(
    epr="main",
    type="Appointment",
    feed="rest-hook",
    cause=Cause.DOWNTIME,
    since=SILENT - timedelta(hours=2),
    until=SILENT,
)


def appointment(name: str, at: datetime, state: AppointmentState) -> Appointment:
    return Appointment(source=Source("Appointment", name, "1"), known=at, patient=PATIENT, state=state, start=at)


FACTS: tuple[AnyFact, ...] = (
    Episode(source=Source("EpisodeOfCare", "e", "1"), known=BEGUN, patient=PATIENT, status="active", start=BEGUN),
    Signal(source=Source("Flag", "r", "1"), known=BEGUN, patient=PATIENT, signals=("risk-none",), start=BEGUN),
    appointment("a0", MISSED - timedelta(days=21), AppointmentState.ATTENDED),
    appointment("a1", MISSED - timedelta(days=7), AppointmentState.MISSED),
    appointment("a2", MISSED, AppointmentState.MISSED),
    Task(
        source=Source("Task", "t", "1"),
        known=TRIED,
        patient=PATIENT,
        status="completed",
        actions=("contact-patient",),
        outcome="no-answer",
        happened=TRIED,
    ),
)


def looked(own: Own, now: datetime, *gaps: Gap) -> tuple[Own, frozenset[str], tuple[str, ...]]:
    """What there is after a look at that instant, the actions that are open or sent then, and the steps held back."""
    record = Record.of(fact for fact in FACTS if fact.known <= now)
    decision = decide(PACK, record, own, now, gaps=gaps)
    after = fold(effects_of(decision, reconcile(decision, own, record), now), onto=own)
    return after, frozenset(thing.key.action for thing in after.things.values()), decision.held


def before_the_meeting() -> Own:
    own = NOTHING
    for now in (MISSED, TRIED):
        own, _, _ = looked(own, now)
    return own


def step(own: Own, name: str, *gaps: Gap) -> StepAccount:
    (case,) = explain(PACK, Record.of(FACTS), own, SILENT, gaps=gaps)
    return next(one for path in case.pathways for run in path.runs for one in run.steps if one.id == name)


def test_nothing_new_towards_a_discharge_is_asked_for_while_a_gap_is_open() -> None:
    own, actions, held = looked(before_the_meeting(), SILENT, GAP)
    assert "arrange-mdtm" not in actions
    assert "rdash-5.3-three-weeks" in held

    _, actions, held = looked(own, SILENT + timedelta(minutes=1))
    assert "arrange-mdtm" in actions
    assert held == ()


def test_reaching_out_goes_on_while_a_gap_is_open() -> None:
    own, actions, held = looked(NOTHING, MISSED, GAP)
    assert "contact-patient" in actions
    assert held == ()
    assert "opt-in-letter" in looked(own, TRIED, GAP)[1]


def test_what_was_written_before_the_gap_stays() -> None:
    own, _, _ = looked(before_the_meeting(), SILENT)
    later = SILENT + timedelta(minutes=1)
    assert looked(own, later, GAP) == looked(own, later)


def test_the_explanation_names_start_and_cause_of_the_gap() -> None:
    own = before_the_meeting()
    account = step(own, "rdash-5.3-three-weeks", GAP)
    says = " ".join(reason.says for reason in account.because)
    assert account.outlook is Outlook.NOT_YET
    assert account.asked == ()
    assert "Wednesday 4 March 2026 at 08:00 may not be known (Appointment), because the service was not running" in says
    assert step(own, "rdash-5.3-three-weeks").outlook is Outlook.EXISTS


def test_what_follows_a_step_that_is_held_back_is_waited_for_too() -> None:
    own = before_the_meeting()
    assert step(own, "rdash-5.6-agree", GAP).outlook is Outlook.NOT_YET
