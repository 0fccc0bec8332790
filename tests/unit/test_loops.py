"""Two systems that answer each other are stopped: only the loop, visibly, and not for good."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from fhirbridge.core.decision import Amend, Complete, Create, Obligation, Withdraw, Write
from fhirbridge.core.effects import Kind, Released, Withdrawal
from fhirbridge.core.identity import of_obligation
from fhirbridge.core.own import Own, Thing, fold
from fhirbridge.ports import Event, Resource
from fhirbridge.service.loops import Bounds, Brake
from tests.unit.fhir.writes import obligation, thing
from tests.unit.stage import PATIENT, START, appointment
from tests.unit.test_own_writes import Stage

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Ruled(Stage):
    """An EPR with a rule: where a Task asks for contact, the miss is put right; where it is cancelled, it was one."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = True

    async def _told(self, event: Event) -> None:
        await super()._told(event)
        task = event.resource
        if not self.answers or task is None or event.type != "Task":
            return
        if task["code"]["coding"][0]["code"] != "contact-patient" or task["for"]["reference"] != "Patient/p1":
            return
        status = {"requested": "fulfilled", "cancelled": "noshow"}.get(task["status"])
        if status is not None:
            self.clock.time += SECOND
            await self.epr.update(appointment("a1", status, START - timedelta(days=3)))

    async def contacts(self) -> list[Resource]:
        return [one for one in await self.ours("Task") if one["code"]["coding"][0]["code"] == "contact-patient"]

    async def runs(self, turns: int) -> None:
        """The service and the EPR go on for so many turns."""
        for _ in range(turns):
            await self.bring()
            await self.service.work_through()


async def test_a_loop_comes_to_rest_with_what_is_asked_for_standing() -> None:
    stage = Ruled()
    await stage.begin()

    await stage.settle()

    contacts = await stage.contacts()
    assert len(contacts) == Bounds().obligation // 2 + 1
    assert [one["status"] for one in contacts].count("requested") == 1
    assert stage.clock.now() < START + HOUR


async def test_the_pause_is_kept_with_its_reason_and_said_once() -> None:
    stage = Ruled()
    await stage.begin()
    await stage.settle()
    await stage.settle()
    standing = next(one for one in await stage.contacts() if one["status"] == "requested")

    found = await stage.store.own.held(START)

    [(subject, held)] = [one for one in found if one[1].identity == standing["identifier"][0]["value"]]
    assert subject == PATIENT
    assert held.why == "It was written 12 times within an hour."
    assert stage.clock.now() < held.until <= stage.clock.now() + HOUR
    assert await stage.store.own.held(held.at + SECOND) == []


async def test_letters_are_not_sent_again_and_again() -> None:
    stage = Ruled()
    await stage.begin()
    await stage.settle()

    notices = [one for one in await stage.ours("Communication") if "safeguarding-notice" in str(one["category"])]
    roles = [str(one["recipient"]) + str(one["extension"]) for one in notices]
    assert max(roles.count(role) for role in roles) == Bounds().letter


async def test_it_ends_by_itself() -> None:
    stage = Ruled()
    await stage.begin()
    await stage.settle()
    stage.answers = False
    [(_, held), *_] = await stage.store.own.held(START)
    stage.clock.time = max(held.until, stage.clock.now() + HOUR) + SECOND

    assert PATIENT in await stage.service.due()
    await stage.settle()

    # The last that the rule said is that the appointment was kept.
    assert {one["status"] for one in await stage.contacts()} == {"cancelled"}


async def test_a_person_ends_it() -> None:
    stage = Ruled()
    await stage.begin()
    await stage.settle()
    stage.answers = False
    contact = next(one for one in await stage.contacts() if one["status"] == "requested")

    known = await stage.store.load(PATIENT)
    identity = contact["identifier"][0]["value"]
    now = stage.clock.now()
    effects = [Released(identity=identity, at=now)]
    await stage.store.commit(
        PATIENT, effects=effects, outgoing=(), wakes_at=now, decided_at=now, revision=known.revision
    )
    await stage.settle()

    assert {one["status"] for one in await stage.contacts()} == {"cancelled"}


async def test_others_are_reached_meanwhile_and_so_is_this_patient_for_anything_new() -> None:
    stage = Ruled()
    await stage.begin()
    await stage.settle()
    other = {"reference": "Patient/p2"}
    for resource in (
        {"resourceType": "Patient", "id": "p2", "birthDate": "1980-01-01"},
        {"resourceType": "EpisodeOfCare", "id": "e2", "status": "active", "patient": other},
        {**appointment("b0", "fulfilled", START - timedelta(days=21)), "participant": [{"actor": other}]},
        {**appointment("b1", "noshow", START - timedelta(days=1)), "participant": [{"actor": other}]},
    ):
        await stage.epr.update(resource)
    stage.clock.time += timedelta(minutes=45)
    await stage.epr.update(appointment("a2", "noshow", stage.clock.now() - timedelta(minutes=40)))
    before = {one["id"] for one in await stage.ours("Task")}
    await stage.settle()

    assert [one async for one in stage.epr.search("Task", {"patient": "Patient/p2"})]
    assert {one["id"] for one in await stage.ours("Task")} - before


# --- the brake by itself


CONTACT = obligation(Kind.TASK, "contact-patient", "care-coordinator")
LETTER = obligation(Kind.COMMUNICATION, "opt-in-letter", "patient")


def again(of: Obligation, generation: int) -> Obligation:
    key = replace(of.key, generation=generation)
    return replace(of, key=key, identity=of_obligation(key))


def to_and_fro(of: Obligation, times: int, every: timedelta = SECOND) -> Own:
    """It was asked for so many times, and taken back after each but the last."""
    things: dict[str, Thing] = {}
    for generation in range(times):
        one = again(of, generation)
        at = START + 2 * generation * every
        gone = at + every if generation < times - 1 else None
        things[one.identity] = thing(one, written=at, withdrawn=gone)
    return Own(things=things, runs={})


def last(own: Own) -> Thing:
    return list(own.things.values())[-1]


def held(own: Own, write: Write, now: timedelta) -> bool:
    through, noted = Brake(Bounds(), own, START + now).sort([write])
    assert (through == (write,)) == (not noted)
    return not through


def test_the_withdrawal_beyond_the_bound_is_held_until_the_oldest_write_has_passed() -> None:
    own = to_and_fro(CONTACT, 7)  # 13 writes
    write = Withdraw(last(own), Withdrawal.CORRECTED)

    assert held(own, write, 20 * SECOND)
    [note] = Brake(Bounds(), own, START + 20 * SECOND).sort([write])[1]
    assert note.until == START + SECOND + HOUR  # when no more than 11 are left
    assert not held(own, write, HOUR + SECOND)


def test_below_the_bound_nothing_is_held() -> None:
    own = to_and_fro(CONTACT, 6)  # 11 writes
    assert not held(own, Withdraw(last(own), Withdrawal.CORRECTED), 20 * SECOND)


def test_amendments_count_too() -> None:
    own = Own(things={CONTACT.identity: thing(CONTACT, amended=tuple(START + n * SECOND for n in range(12)))}, runs={})
    assert held(own, Amend(last(own), CONTACT), 20 * SECOND)


def test_a_task_is_asked_for_however_often_it_was_before() -> None:
    own = to_and_fro(CONTACT, 20)
    assert not held(own, Create(again(CONTACT, 20)), 60 * SECOND)


def test_a_letter_is_sent_three_times_in_a_day_at_most() -> None:
    own = to_and_fro(LETTER, 3, every=HOUR)
    assert held(own, Create(again(LETTER, 3)), 6 * HOUR)
    assert not held(to_and_fro(LETTER, 2, every=HOUR), Create(again(LETTER, 2)), 6 * HOUR)
    assert not held(own, Create(again(LETTER, 3)), 24 * HOUR + SECOND)


def test_what_is_new_passes_whatever_else_is_held() -> None:
    own = to_and_fro(CONTACT, 40)
    assert not held(own, Create(LETTER), 90 * SECOND)
    assert not held(own, Create(obligation(Kind.TASK, "contact-family", "care-coordinator")), 90 * SECOND)


def test_a_death_and_an_answer_are_never_held() -> None:
    own = to_and_fro(CONTACT, 40)
    assert not held(own, Withdraw(last(own), Withdrawal.DECEASED), 90 * SECOND)
    assert not held(own, Complete(last(own), CONTACT), 90 * SECOND)


def test_causes_that_are_new_each_time_are_bounded_by_patient() -> None:
    each = [replace(CONTACT, key=replace(CONTACT.key, scope=f"event {number}")) for number in range(31)]
    each = [replace(one, identity=of_obligation(one.key)) for one in each]
    things = {one.identity: thing(one, written=START + number * SECOND) for number, one in enumerate(each)}
    fresh = replace(CONTACT, key=replace(CONTACT.key, scope="event 31"))

    assert held(Own(things=things, runs={}), Create(fresh), 40 * SECOND)
    # Of one look at the record, however much is written: nobody has answered anything yet.
    at_once = {name: replace(one, written=START) for name, one in things.items()}
    assert not held(Own(things=at_once, runs={}), Create(fresh), 40 * SECOND)


def test_what_is_held_is_noted_once() -> None:
    own = to_and_fro(CONTACT, 7)
    write = Withdraw(last(own), Withdrawal.CORRECTED)
    [note] = Brake(Bounds(), own, START + 20 * SECOND).sort([write])[1]

    through, noted = Brake(Bounds(), fold([note], onto=own), START + 30 * SECOND).sort([write])

    assert (through, noted) == ((), ())


def test_once_released_the_count_begins_again() -> None:
    own = to_and_fro(CONTACT, 7)
    released = fold([Released(identity=last(own).identity, at=START + 20 * SECOND)], onto=own)
    assert not held(released, Withdraw(last(released), Withdrawal.CORRECTED), 30 * SECOND)
