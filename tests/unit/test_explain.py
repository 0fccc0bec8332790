"""Explanations say what was decided, and of what does not exist whether it is waited for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from fhirbridge.core.accounts import CaseAccount, Outlook, PathwayAccount, StepAccount
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.decide import decide
from fhirbridge.core.explain import explain
from fhirbridge.core.facts import AnyFact, Appointment, AppointmentState, Episode, Message, Signal, Source, Task
from fhirbridge.core.own import NOTHING, Own, fold
from fhirbridge.core.reconcile import effects_of, reconcile
from fhirbridge.core.timeline import Record
from fhirbridge.packs.loading import load_pack
from fhirbridge.simulation import standing

PATIENT = "Patient/p"
EPISODE = "EpisodeOfCare/e"
CALENDAR = Calendar()
PACK = load_pack("rdash-disengagement", calendar=CALENDAR)
FIRST = datetime(2026, 2, 2, 10, tzinfo=UTC)
SECOND = FIRST + timedelta(days=7)


def appointment(name: str, at: datetime, state: AppointmentState) -> Appointment:
    return Appointment(source=Source("Appointment", name, "1"), known=at, patient=PATIENT, state=state, start=at)


def low_risk(*more: AnyFact) -> tuple[AnyFact, ...]:
    """Two misses in a row in an episode with an attended appointment and the absence of risk recorded."""
    begun = FIRST - timedelta(days=21)
    return (
        Episode(source=Source("EpisodeOfCare", "e", "1"), known=begun, patient=PATIENT, status="active", start=begun),
        Signal(source=Source("Flag", "r", "1"), known=begun, patient=PATIENT, signals=("risk-none",), start=begun),
        appointment("a0", FIRST - timedelta(days=14), AppointmentState.ATTENDED),
        appointment("a1", FIRST, AppointmentState.MISSED),
        appointment("a2", SECOND, AppointmentState.MISSED),
        *more,
    )


def carried_out(facts: tuple[AnyFact, ...], instants: tuple[datetime, ...]) -> Own:
    own = NOTHING
    for now in instants:
        record = Record.of(fact for fact in facts if fact.known <= now)
        decision = decide(PACK, record, own, now)
        own = fold(effects_of(decision, reconcile(decision, own, record), now), onto=own)
    return own


def explained(facts: tuple[AnyFact, ...], now: datetime, own: Own = NOTHING) -> CaseAccount:
    (case,) = explain(PACK, Record.of(facts), own, now)
    return case


def pathway(case: CaseAccount, name: str) -> PathwayAccount:
    return next(one for one in case.pathways if one.id == name)


def step(case: CaseAccount, name: str) -> StepAccount:
    return next(one for path in case.pathways for run in path.runs for one in run.steps if one.id == name)


def said(account: StepAccount | PathwayAccount) -> str:
    return " ".join(reason.says for reason in account.because)


def test_every_pathway_of_the_pack_is_accounted_for() -> None:
    case = explained(low_risk(), SECOND)
    assert [one.id for one in case.pathways] == [one.id for one in PACK.pathways]
    assert all(one.runs or one.because for one in case.pathways)


def test_what_exists_cites_what_it_rests_on() -> None:
    own = carried_out(low_risk(), (FIRST, SECOND))
    (run,) = pathway(explained(low_risk(), SECOND, own), "low-risk").runs
    first = run.steps[0]
    assert (first.id, first.outlook, first.clause) == ("rdash-5.3-contact", Outlook.EXISTS, "5.3")
    assert [(one.action, one.role) for one in first.asked] == [("contact-patient", "lead-professional")]
    cited = {source.versioned for reason in run.because for source in reason.sources}
    assert {"Appointment/a1/_history/1", "Appointment/a2/_history/1", "Flag/r/_history/1"} <= cited
    assert first.because == ()  # the reasons of the run are told once


def test_what_is_explained_as_existing_is_what_is_decided() -> None:
    later = SECOND + timedelta(days=4)
    own = carried_out(low_risk(), (FIRST, SECOND, later))
    case = explained(low_risk(), later, own)
    asked = {one.identity for path in case.pathways for run in path.runs for s in run.steps for one in s.asked}
    decided = {one.identity for one in decide(PACK, Record.of(low_risk()), own, later).obligations}
    sent = {thing.identity for thing in own.things.values() if thing.sent is not None}
    assert decided
    assert asked == decided | sent  # what was sent is settled, and no longer decided about


def test_who_has_to_act_is_not_told_what_else_does_not_run() -> None:
    """Of somebody at risk who missed once: an account of the pathway says so, the Task does not."""
    at_risk = tuple(fact for fact in low_risk() if not isinstance(fact, Signal))
    decision = decide(PACK, Record.of(at_risk), NOTHING, SECOND)
    said = {reason.says for obligation in decision.obligations for reason in obligation.because}
    assert said
    assert not any("Not running" in says for says in said)
    (run,) = pathway(explained(at_risk, SECOND), "risk").runs
    assert any("Not running: “Home treatment" in reason.says for reason in run.because)


def test_a_step_after_an_open_one_is_waited_for() -> None:
    own = carried_out(low_risk(), (FIRST, SECOND))
    letter = step(explained(low_risk(), SECOND, own), "rdash-5.3-letter")
    assert (letter.outlook, letter.until) == (Outlook.NOT_YET, None)
    assert "has not been answered yet" in said(letter)


def test_a_step_that_time_brings_about_is_waited_for_until_then() -> None:
    facts = (appointment("a1", FIRST, AppointmentState.MISSED),)
    case = explained(facts, FIRST, carried_out(facts, (FIRST,)))
    visit, notice = step(case, "rdash-5.1.1-cold-call"), step(case, "rdash-5.1.1-notify")
    assert (visit.outlook, visit.until) == (Outlook.NOT_YET, FIRST.replace(hour=23, minute=59, second=59))
    assert (notice.outlook, notice.until) == (Outlook.NOT_YET, FIRST + timedelta(days=1))
    assert said(notice) == "It comes when there has been no contact by then."


def test_a_step_after_one_that_is_waited_for_names_it() -> None:
    own = carried_out(low_risk(), (FIRST, SECOND))
    meeting = step(explained(low_risk(), SECOND, own), "rdash-5.3-three-weeks")
    assert meeting.outlook is Outlook.NOT_YET
    assert "can only follow “Write to the patient, inviting them to opt in”" in said(meeting)


def test_a_step_that_only_the_record_could_bring_about_is_not_called_for() -> None:
    own = carried_out(low_risk(), (FIRST, SECOND))
    family = step(explained(low_risk(), SECOND, own), "rdash-5.3-family")
    assert family.outlook is Outlook.NOT_AT_ALL
    assert said(family) == "Nobody of the family who can be reached is on record."


def test_a_step_that_the_reason_of_its_run_keeps_away_says_so_again() -> None:
    facts = (appointment("a1", FIRST, AppointmentState.MISSED),)
    assessment = step(explained(facts, FIRST, carried_out(facts, (FIRST,))), "rdash-5.4-assessment")
    assert assessment.outlook is Outlook.NOT_AT_ALL
    assert said(assessment) == "Nothing is recorded about risk, so it counts as unknown."


def test_nothing_is_waited_for_in_a_run_that_has_ended() -> None:
    back = SECOND + timedelta(days=1)
    message = Message(
        source=Source("Communication", "m", "1"),
        known=back,
        patient=PATIENT,
        status="completed",
        from_patient=True,
        sent=back,
    )
    facts = low_risk(message)
    now = back + timedelta(days=1)
    case = explained(facts, now, carried_out(facts, (FIRST, SECOND, back)))
    (run,) = pathway(case, "low-risk").runs
    assert run.ending is not None
    assert run.ending.at == back
    outlooks = {one.id: one.outlook for one in run.steps}
    assert Outlook.NOT_YET not in outlooks.values()
    assert outlooks["rdash-5.3-rebook"] is Outlook.EXISTS
    assert "had ended by Tuesday 10 February 2026 at 10:00" in said(step(case, "rdash-5.3-letter"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("routine-referral", "An earlier appointment of this episode was attended."),
        (
            "recall",
            "The record carried no signal community-treatment-order or conditional-discharge "
            "when the appointment was missed.",
        ),
        ("discharged", "The episode has not ended."),
        ("mental-health-act", "None of the pathways that it accompanies runs."),
        ("overdue", "Nothing that was asked for is overdue."),
    ],
)
def test_a_pathway_that_does_not_run_says_why(name: str, why: str) -> None:
    account = pathway(explained(low_risk(), SECOND), name)
    assert account.outlook is Outlook.NOT_AT_ALL
    assert why in said(account)


@pytest.mark.parametrize("name", ["confirm-pathway", "recall"])
def test_without_a_miss_nothing_is_said_of_one(name: str) -> None:
    case = explained(low_risk()[:3], FIRST)
    assert said(pathway(case, name)) == "No appointment was missed."


def test_one_miss_says_how_many_it_takes() -> None:
    account = pathway(explained(low_risk()[:-1], SECOND), "low-risk")
    assert said(account).endswith("It takes 2 missed appointments in a row.")


def test_a_pathway_of_the_same_group_runs_instead() -> None:
    account = pathway(explained(low_risk()[2:], SECOND), "low-risk")  # risk unknown: the higher-risk one runs
    assert "“In receipt of services; risk identified or unknown, or contact with children” runs instead." in said(
        account
    )


def test_told_to_a_person_that_a_concern_is_over() -> None:
    over = SECOND + timedelta(days=1)
    stated = Signal(
        source=Source("Flag", "c", "1"), known=FIRST, patient=PATIENT, signals=("disengagement-concern",), start=FIRST
    )
    ended = replace(stated, source=Source("Flag", "c", "2"), known=over, active=False, end=over)
    facts = low_risk(stated, ended)
    text = "\n".join(standing(explain(PACK, Record.of(facts), NOTHING, over), over, CALENDAR))
    assert "until Tuesday 10 February 2026 at 10:00, when what it was about came to an end [Flag/c version 2]" in text


def test_told_to_a_person_each_reason_stands_once() -> None:
    answered = SECOND + timedelta(hours=5)
    own = carried_out(low_risk(), (FIRST, SECOND))
    (task,) = own.things.values()
    answer = Task(
        source=Source("Task", "t", "2"),
        known=answered,
        patient=PATIENT,
        status="completed",
        obligation=task.identity,
        actions=("contact-patient",),
        outcome="no-answer",
        happened=answered,
    )
    facts = low_risk(answer)
    own = carried_out(facts, (FIRST, SECOND, answered))
    text = "\n".join(standing(explain(PACK, Record.of(facts), own, answered), answered, CALENDAR))
    assert text.count("The absence of risk is recorded [Flag/r version 1].") - text.count("Does not run") < 4
    assert "Lead professional: Contact patient" in text
    assert "answered on Monday 9 February 2026 at 15:00: no answer [Task/t version 2]" in text
    assert "Patient: Opt in letter, sent on Monday 9 February 2026 at 15:00" in text
    assert "Arrange a multidisciplinary team meeting: Not before Monday 2 March 2026 at 15:00." in text


@pytest.mark.parametrize(
    ("pack", "name", "says"),
    [
        ("inactivity-discharge", "goals-met", "No outcome goals-met is recorded."),
        ("twelve-point-discharge", "stay", "There has been no inpatient stay."),
        ("twelve-point-discharge", "follow-up", "No inpatient stay has ended."),
        ("solitary-confinement", "debrief", "No signal confinement has ended."),
    ],
)
def test_what_a_pathway_is_about_and_is_not_there_is_named(pack: str, name: str, says: str) -> None:
    (case,) = explain(load_pack(pack, calendar=CALENDAR), Record.of(low_risk()), NOTHING, SECOND)

    assert [reason.says for reason in pathway(case, name).because] == [says]


def test_an_episode_that_ended_is_no_contact() -> None:
    ended = Episode(
        source=Source("EpisodeOfCare", "e", "2"),
        known=SECOND + timedelta(days=1),
        patient=PATIENT,
        status="finished",
        start=FIRST - timedelta(days=21),
        end=SECOND + timedelta(days=1),
    )
    pack = load_pack("inactivity-discharge", calendar=CALENDAR, overrides={"lapses": 2})
    (case,) = explain(pack, Record.of(low_risk(ended)), NOTHING, SECOND + timedelta(days=2))

    step = next(s for s in pathway(case, "inactive").runs[0].steps if s.id == "inactivity-return")
    assert any("had been no contact" in reason.says for reason in step.because)
    assert not any("was in contact" in reason.says for reason in step.because)


def test_what_gave_way_to_the_next_was_not_corrected() -> None:
    pack = load_pack("therapy-commitment", calendar=CALENDAR)
    cases = explain(pack, Record.of(low_risk()), NOTHING, FIRST + timedelta(weeks=8))

    told = [line for line in standing(cases, FIRST + timedelta(weeks=8), CALENDAR) if "Check in" in line]
    assert told[0].endswith("withdrawn, as another took its place")
    assert told[-1].endswith("; open")


def test_an_appointment_that_nobody_announced_is_not_called_booked() -> None:
    pack = load_pack("therapy-commitment", calendar=CALENDAR)
    (case,) = explain(pack, Record.of(low_risk()), NOTHING, SECOND)

    assert ["was not known of before" in r.says for r in pathway(case, "inform").because] == [True]
