"""The whole way of an event over the in-memory doubles: from what staff enter in the EPR to what stands there after."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.vocabulary import BASE
from fhirbridge.errors import EprConflict, EprRefused, EprUnavailable, NotKnown
from fhirbridge.fhir.notification import Event, Notification
from fhirbridge.ports import Delivery, Outgoing, Receipt, Subject, Subscribed
from fhirbridge.service import Service, shown
from fhirbridge.service.site import said
from tests.unit.stage import PATIENT, START, Epr, Stage, appointment


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_two_missed_appointments_become_a_task_with_its_provenance(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.settle()
    assert await stage.tasks() == []

    await stage.two_misses()
    await stage.settle()

    [task] = await stage.tasks()
    assert task["status"] == "requested"
    assert task["code"]["coding"][0]["code"] == "contact-patient"
    [provenance] = [one async for one in stage.epr.search("Provenance", {})]
    assert provenance["target"][0]["reference"].split("/_history")[0] == f"Task/{task['id']}"


async def test_a_task_answered_no_answer_leads_to_the_next_step(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.two_misses()
    await stage.settle()
    [task] = await stage.tasks()
    stage.clock.time += timedelta(hours=3)

    output = {"coding": [{"system": f"{BASE}/CodeSystem/outcome", "code": "no-answer"}]}
    answer = {"type": {"text": "outcome"}, "valueCodeableConcept": output}
    await stage.enter({**task, "status": "completed", "output": [answer]})
    await stage.settle()

    letters = [one async for one in stage.epr.search("Communication", {"patient": "Patient/p1"})]
    assert [letter["category"][0]["coding"][0]["code"] for letter in letters] == ["opt-in-letter"]


async def test_an_appointment_corrected_to_fulfilled_takes_the_task_back(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.two_misses()
    await stage.settle()
    stage.clock.time += timedelta(hours=3)

    await stage.enter(appointment("a2", "fulfilled", START - timedelta(hours=1)))
    await stage.settle()

    [task] = await stage.tasks()
    assert task["status"] == "cancelled"
    assert task["statusReason"]["coding"][0]["code"] == "corrected"


async def test_a_deleted_appointment_takes_the_task_back(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.two_misses()
    await stage.settle()
    stage.clock.time += timedelta(hours=3)

    await stage.epr.delete("Appointment/a2")
    await stage.notify(Event(type="Appointment", id="a2", deleted=True))
    await stage.settle()

    [task] = await stage.tasks()
    assert task["status"] == "cancelled"


async def test_a_deletion_counts_where_the_epr_keeps_no_history(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.two_misses()
    await stage.settle()
    stage.clock.time += timedelta(hours=3)

    await stage.epr.delete("Appointment/a2")
    stage.epr.forgets = True
    await stage.notify(Event(type="Appointment", id="a2", deleted=True))
    await stage.notify(Event(type="Appointment", id="a2", deleted=True))
    await stage.settle()

    [task] = await stage.tasks()
    assert task["status"] == "cancelled"


async def test_events_doubled_and_in_the_wrong_order_lead_to_the_same(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.two_misses()
    await stage.notify(Event(type="Appointment", id="a2"), Event(type="Appointment", id="a0"))
    await stage.settle()
    await stage.notify(Event(type="Appointment", id="a1"), Event(type="Flag", id="f1"))
    await stage.settle()

    assert len(await stage.tasks()) == 1


async def test_a_patient_heard_of_for_the_first_time_is_read_whole(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.epr.update(appointment("a1", "noshow", START - timedelta(days=7)))
    fresh = MemoryStore()
    service = Service(fresh, {"main": stage.site}, stage.clock)

    await stage.epr.update(appointment("a2", "noshow", START - timedelta(hours=1)))
    await service.ingest("main", Notification(events=(Event(type="Appointment", id="a2"),)))
    while await service.work_through():
        pass

    known = {fact.source.reference for fact in (await fresh.load(PATIENT)).facts}
    assert {"Appointment/a0", "Appointment/a1", "EpisodeOfCare/e1", "Patient/p1"} <= known
    assert len(await stage.tasks()) == 1


async def test_a_notification_that_names_nothing_makes_the_service_look(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.epr.update(appointment("a1", "noshow", START - timedelta(days=7)))
    await stage.epr.update(appointment("a2", "noshow", START - timedelta(hours=1)))

    await stage.service.ingest("main", Notification(look_again=True))
    await stage.settle()

    assert len(await stage.tasks()) == 1


async def test_a_signal_that_nobody_notified_is_read_before_deciding(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.settle()
    flag = await stage.epr.read("Flag/f1")
    assert flag is not None
    await stage.epr.update({**flag, "status": "inactive"})

    await stage.two_misses()
    await stage.settle()

    known = {fact.source.versioned for fact in (await stage.store.load(PATIENT)).facts}
    assert {"Flag/f1/_history/1", "Flag/f1/_history/2"} <= known
    clauses = {part["valueString"] for task in await stage.tasks() for part in task["input"] if "valueString" in part}
    assert "rdash-5.3-contact" not in clauses  # which only starts where the absence of risk is on record


async def test_what_the_service_has_no_use_for_is_skipped(stage: Stage) -> None:
    await stage.notify(Event(type="Observation", id="o1"))

    assert await stage.store.waiting(10) == []


async def test_an_epr_that_is_not_configured_is_not_known(stage: Stage) -> None:
    with pytest.raises(NotKnown):
        await stage.service.ingest("other", Notification())


async def test_while_the_epr_is_away_events_wait_and_nothing_is_lost(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.two_misses()
    stage.epr.away = EprUnavailable("main: down")

    await stage.settle()
    assert await stage.store.waiting(1)

    stage.epr.away = None
    stage.clock.time += timedelta(seconds=2)
    await stage.settle()
    assert await stage.store.waiting(1) == []
    assert len(await stage.tasks()) == 1


async def test_an_epr_that_is_away_is_asked_ever_more_seldom(stage: Stage) -> None:
    await stage.notify(Event(type="Appointment", id="a1"))
    stage.epr.away = EprUnavailable("main: busy", retry_after=40)

    assert await stage.service.digest() == set()
    assert await stage.service.digest() is None  # paused: not even tried
    stage.clock.time += timedelta(seconds=39)
    assert await stage.service.digest() is None
    stage.clock.time += timedelta(seconds=2)
    assert await stage.service.digest() == set()


async def test_an_epr_that_is_away_does_not_block_another(stage: Stage) -> None:
    other = Epr(stage.clock)
    other.name, other.away = "other", EprUnavailable("other: down")
    service = Service(stage.store, {"main": stage.site, "other": replace(stage.site, epr=other)}, stage.clock)
    for _ in range(3):
        await service.ingest("other", Notification(events=tuple(Event(type="Task", id=f"t{n}") for n in range(100))))
    await stage.low_risk_patient()
    await stage.two_misses()

    for _ in range(10):
        await service.work_through()

    assert len(await stage.tasks()) == 1


async def test_after_some_failures_the_epr_is_left_alone_and_then_asked_once(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.two_misses()
    asked: list[int] = []

    async def fail(deliveries: list[Delivery], references: dict[str, str]) -> list[Receipt]:
        asked.append(len(deliveries))
        raise EprUnavailable("down")

    stage.epr.deliver = fail  # type: ignore[method-assign]
    for _ in range(3):
        await stage.settle()
        stage.clock.time += timedelta(seconds=2)
    stage.clock.time -= timedelta(seconds=2)
    assert list(stage.service.left_alone()) == ["main"]
    for _ in range(5):
        await stage.settle()
    assert len(asked) == 3
    stage.clock.time += timedelta(seconds=2)
    assert stage.service.left_alone() == {}
    await stage.settle()
    assert len(asked) == 4
    assert list(stage.service.left_alone()) == ["main"]


async def test_an_epr_that_is_slow_holds_up_no_other(stage: Stage) -> None:
    slow = Epr(stage.clock)
    slow.name = "slow"
    held, reached = asyncio.Event(), asyncio.Event()

    async def wait(deliveries: list[Delivery], references: dict[str, str]) -> list[Receipt]:
        reached.set()
        await held.wait()
        return [Receipt(row=one.row, reference="Task/late") for one in deliveries]

    slow.deliver = wait  # type: ignore[method-assign]
    service = Service(stage.store, {"main": stage.site, "slow": replace(stage.site, epr=slow)}, stage.clock)
    task = {"resourceType": "Task"}
    outgoing = Outgoing(identity="i", type="Task", verb="create", resource=task, provenance={})
    late = Subject("slow", "Patient/s")
    seen = (await stage.store.load(late)).revision
    await stage.store.commit(
        late, effects=(), outgoing=(outgoing,), wakes_at=None, decided_at=stage.clock.now(), revision=seen
    )
    waiting = asyncio.create_task(service.work_for("slow"))
    await asyncio.wait_for(reached.wait(), 5)
    await stage.low_risk_patient()
    await stage.two_misses()
    while await service.work_for("main"):
        pass
    assert len(await stage.tasks()) == 1
    assert not waiting.done()
    held.set()
    assert await waiting


@pytest.mark.parametrize("error", [EprUnavailable("down"), EprConflict("changed"), EprRefused("not allowed to search")])
async def test_a_delivery_that_fails_is_tried_again(stage: Stage, error: Exception) -> None:
    await stage.low_risk_patient()
    await stage.two_misses()
    stage.epr.refuses_delivery = [error]

    await stage.settle()
    assert await stage.tasks() == []

    stage.clock.time += timedelta(seconds=3)
    await stage.settle()
    assert len(await stage.tasks()) == 1


async def test_a_row_the_epr_refuses_for_good_becomes_a_dead_letter(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.two_misses()

    async def refuse(deliveries: list[Delivery], references: dict[str, str]) -> list[Receipt]:
        return [Receipt(row=one.row, refused="no such code") for one in deliveries]

    stage.epr.deliver = refuse  # type: ignore[method-assign]
    await stage.settle()

    assert [letter.reason for letter in await stage.store.dead_letters.search()] == ["no such code"]


async def test_a_payload_counts_only_where_the_site_trusts_it(stage: Stage) -> None:
    payload = {**appointment("a9", "noshow", START), "meta": {"versionId": "1", "lastUpdated": "2026-03-02T09:00:00Z"}}
    event = Event(type="Appointment", id="a9", version="1", resource=payload)

    await stage.notify(event)
    await stage.settle()
    assert not await stage.store.has_seen(PATIENT)

    trusting = Service(stage.store, {"main": replace(stage.site, trust_payload=True)}, stage.clock)
    await trusting.ingest("main", Notification(events=(event,)))
    await trusting.digest()
    assert await stage.store.has_seen(PATIENT)


async def test_one_patient_that_fails_does_not_hold_up_the_next(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.low_risk_patient()
    await stage.enter({"resourceType": "Patient", "id": "broken"})
    await stage.two_misses()
    load = stage.store.load

    async def failing(subject: Subject) -> Any:
        if subject.patient == "Patient/broken":
            raise RuntimeError("a fault of ours")
        return await load(subject)

    monkeypatch.setattr(stage.store, "load", failing)
    await stage.settle()

    assert len(await stage.tasks()) == 1
    assert await stage.store.due(stage.clock.now(), 10) == [Subject("main", "Patient/broken")]


async def test_the_worker_s_way_does_what_the_embedded_way_does(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.two_misses()
    woken: list[Subject] = []

    class Queue:
        async def wake(self, subjects: Any) -> None:
            woken.extend(subjects)

    while await stage.service.take_in(Queue(), "main"):
        pass
    assert woken == [PATIENT]
    assert await stage.service.unfinished() == [PATIENT]
    await stage.service.work_on(woken)

    assert len(await stage.tasks()) == 1


def test_a_subject_is_shown_without_its_name() -> None:
    assert "p1" not in shown(PATIENT)
    assert shown(PATIENT) == shown(Subject("main", "Patient/p1")) != shown(Subject("main", "Patient/p2"))


def test_errors_are_logged_without_whom_they_are_about() -> None:
    error = EprRefused("main: read Patient/p-17: 403 no access to 999 123 4567 or Appointment/a.1/_history/3")

    assert said(error) == "main: read Patient/…: 403 no access to … or Appointment/…/_history/3"


async def test_no_log_line_names_a_patient(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    await stage.low_risk_patient()
    await stage.two_misses()
    stage.epr.away = EprUnavailable("main: read Patient/p1: down")
    await stage.settle()
    stage.epr.away = None
    stage.epr.refuses_delivery = [EprConflict("main: Task of Patient/p1: changed")]
    stage.clock.time += timedelta(seconds=2)
    await stage.settle()

    logged = capsys.readouterr().out
    assert "down" in logged
    assert "changed" in logged
    assert "Patient/p1" not in logged


async def test_a_notification_that_names_nothing_may_be_about_anything_that_is_subscribed_to(stage: Stage) -> None:
    await stage.low_risk_patient()
    await stage.settle()
    secret = Subscribed(epr="main", criteria="Flag?", reference="Subscription/s", secret="s", since=START)
    await stage.store.subscribed(secret)
    flag = await stage.epr.read("Flag/f1")
    assert flag is not None
    await stage.epr.update({**flag, "status": "inactive"})

    await stage.service.ingest("main", Notification(look_again=True))
    await stage.settle()

    known = {fact.source.versioned for fact in (await stage.store.load(PATIENT)).facts}
    assert "Flag/f1/_history/2" in known
