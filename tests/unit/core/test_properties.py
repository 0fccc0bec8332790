"""What holds for every history, whatever its facts: the promises that the engine makes."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fhirbridge.core.decide import decide
from fhirbridge.core.decision import Amend, Complete, Create, MarkDelivery, Standing, Withdraw
from fhirbridge.core.effects import Amended, Completed, Kind, Withdrawn, Written
from fhirbridge.core.facts import AnyFact, Appointment, AppointmentState, Task
from fhirbridge.core.own import Own
from fhirbridge.core.reconcile import reconcile
from fhirbridge.core.timeline import Record
from tests.unit.core.histories import END, START, Look, arrived, histories, lived, looked, pack

QUICK = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
CHEAP = settings(QUICK, max_examples=20)
MICROSECOND = timedelta(microseconds=1)


@CHEAP
@given(histories(), st.randoms(use_true_random=False))
def test_order_and_repetition_of_facts_never_matter(history: list[AnyFact], random: Random) -> None:
    look = list(lived(history))[-1]
    again = [*history, *random.sample(history, random.randint(0, len(history)))]
    random.shuffle(again)
    assert decide(pack(), Record.of(again), look.after, END) == decide(pack(), Record.of(history), look.after, END)


@QUICK
@given(histories())
def test_applying_the_writes_and_deciding_again_writes_nothing(history: list[AnyFact]) -> None:
    for look in lived(history):
        decision = decide(pack(), look.record, look.after, look.now)
        assert reconcile(decision, look.after, look.record) == ()
        assert decision == look.decision


@QUICK
@given(histories())
def test_nothing_is_written_before_the_next_look(history: list[AnyFact]) -> None:
    looks = list(lived(history))
    for look, following in zip(looks, [*looks[1:], None], strict=True):
        next_look = following.now if following else END
        for now in (look.now + (next_look - look.now) / 2, next_look - MICROSECOND):
            decision = decide(pack(), look.record, look.after, max(now, look.now))
            assert reconcile(decision, look.after, look.record) == ()


@QUICK
@given(histories())
def test_the_next_look_lies_ahead(history: list[AnyFact]) -> None:
    for look in lived(history):
        assert look.decision.wakes_at is None or look.decision.wakes_at > look.now


@QUICK
@given(histories())
def test_what_has_come_to_its_end_is_never_touched_again(history: list[AnyFact]) -> None:
    written: set[str] = set()
    ended: set[str] = set()
    for look in lived(history):
        for effect in look.effects:
            match effect:
                case Written(identity=identity):
                    assert identity not in written
                    written.add(identity)
                case Amended(identity=identity):
                    assert identity in written - ended
                case Withdrawn(identity=identity) | Completed(identity=identity):
                    assert identity in written - ended
                    ended.add(identity)
                case _:
                    pass


@QUICK
@given(histories())
def test_every_obligation_cites_a_clause_and_evidence(history: list[AnyFact]) -> None:
    rows = {step.row for pathway in pack().pathways for step in pathway.steps}
    for look in lived(history):
        for obligation in look.decision.obligations:
            assert obligation.clauses
            assert set(obligation.clauses) <= rows
            assert obligation.steps
            assert obligation.because
            assert obligation.evidence
            assert all(source.reference in look.record.sources for source in obligation.evidence)
            assert obligation.since <= look.now
            assert (obligation.due is not None) == (obligation.kind is Kind.TASK)


@QUICK
@given(histories())
def test_one_live_obligation_for_one_action_and_role_in_a_case(history: list[AnyFact]) -> None:
    for look in lived(history):
        live = [
            (thing.key.case, thing.key.kind, thing.key.action, thing.key.role)
            for thing in look.after.things.values()
            if thing.open and thing.key.kind is not Kind.COMMUNICATION
        ]
        assert len(live) == len(set(live))


@QUICK
@given(histories())
def test_correcting_every_missed_appointment_leaves_no_task(history: list[AnyFact]) -> None:
    looks = list(lived(history))
    effects = [effect for look in looks for effect in look.effects]
    latest = {fact.source.id: fact for fact in history if isinstance(fact, Appointment)}
    corrections: list[AnyFact] = [
        replace(
            fact,
            source=replace(fact.source, version="9"),
            known=END,
            state=AppointmentState.CANCELLED_BY_PROVIDER,
        )
        for fact in latest.values()
    ]
    look = looked([*history, *corrections], effects, END)
    assert [
        thing.key.action for thing in look.after.things.values() if thing.open and thing.key.kind is Kind.TASK
    ] == []


@QUICK
@given(histories(most_appointments=1, most_signals=0), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_change_what_is_asked_for(history: list[AnyFact], random: Random) -> None:
    # One version each: of several, the first to arrive fixes the due date and the generation of what is written for it.
    once = list({fact.source.reference: fact for fact in history}.values())
    now = max(fact.known for fact in once)
    other = list(once)
    random.shuffle(other)
    assert asked_for(arrived(once, now)) == asked_for(arrived(other, now))


def asked_for(own: Own) -> set[tuple[str, str, str, str, str, int]]:
    """What lives, by all that makes its identity but the generation."""
    keys = [thing.key for thing in own.things.values() if thing.open and thing.key.kind is not Kind.COMMUNICATION]
    return {(key.case, key.kind, key.action, key.role, key.scope, key.occurrence) for key in keys}


@QUICK
@given(histories(), st.sampled_from(("no-answer", "contact-made", None)), st.sampled_from(("completed", "cancelled")))
def test_what_staff_closed_is_left_alone(history: list[AnyFact], outcome: str | None, status: str) -> None:
    closed: set[str] = set()

    def reply(look: Look) -> AnyFact | None:
        """Staff close the first Task that was written, an hour later."""
        for write in look.writes:
            if isinstance(write, Create) and write.obligation.kind is Kind.TASK:
                obligation = write.obligation
                return Task(
                    source=replace(obligation.evidence[0], type="Task", id=obligation.identity, version="2"),
                    known=look.now + timedelta(hours=1),
                    patient=obligation.key.patient,
                    status=status,
                    obligation=obligation.identity,
                    actions=(obligation.action,),
                    outcome=outcome,
                    happened=look.now + timedelta(hours=1),
                )
        return None

    for look in lived(history, reply=reply):
        closed |= {task.latest.obligation for task in look.record.tasks if task.latest.obligation}
        for write in look.writes:
            match write:
                case Create(obligation=obligation):
                    assert obligation.standing is Standing.OPEN
                    assert obligation.identity not in closed
                case Amend(thing=thing) | Complete(thing=thing) | Withdraw(thing=thing):
                    assert thing.identity not in closed
                case MarkDelivery():
                    raise AssertionError("nothing is on its way where everything counts as handed over")


def test_the_histories_are_not_idle() -> None:
    """If the generator no longer reached the pathways, everything above would hold for nothing."""
    written: set[str] = set()

    @settings(QUICK, max_examples=40)
    @given(histories())
    def play(history: list[AnyFact]) -> None:
        for look in lived(history, until=START + timedelta(days=40)):
            written.update(write.obligation.clauses[0] for write in look.writes if isinstance(write, Create))

    play()
    assert {"rdash-5.1.1-contact", "rdash-5.1.1-notify", "rdash-5.2-attempts", "rdash-5.3-contact"} <= written
