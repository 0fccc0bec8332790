"""What the rows of everything that has to reach people keep to, in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from fhirbridge.channels import Dispatch, Told
from fhirbridge.core.deliveries import Recipient, Report, Stage
from fhirbridge.core.effects import (
    Addressed,
    AnyEffect,
    HandedOver,
    Key,
    Kind,
    Reported,
    Unaddressed,
    Withdrawal,
    Withdrawn,
    Written,
)
from fhirbridge.core.facts import Person, Source
from fhirbridge.ports import Outgoing, Store, Subject, Version

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SOON = NOON + timedelta(minutes=5)
ANN = Subject("epr", "Patient/ann")
LETTER = "11111111-1111-4111-8111-111111111111"
NOTICE = "22222222-2222-4222-8222-222222222222"
PRACTICE = Recipient(
    name="Organization/gp", shown="Practice", role="gp", channel="fhir", endpoint="https://gp.example/fhir"
)
POST = Recipient(name="Patient/ann", shown="Ann", role="patient", channel="post")


def written(identity: str) -> Written:
    key = Key(ANN.patient, "EpisodeOfCare/e", "rdash", Kind.COMMUNICATION, "opt-in-letter", "gp", "s")
    return Written(identity=identity, at=NOON, key=key, run="r", pathway="p", steps=("rdash-5.3-letter",), since=NOON)


def addressed(identity: str, to: Recipient) -> Addressed:
    return Addressed(identity=identity, at=NOON, to=to, awaits=Stage.RECEIVED, within="P5D", chase="1WD")


def create(identity: str) -> Outgoing:
    return Outgoing(
        identity=identity,
        type="Communication",
        verb="create",
        resource={"resourceType": "Communication", "payload": [{"contentString": "Ring us, å"}]},
        provenance={"resourceType": "Provenance"},
    )


async def decide(store: Store, *effects: AnyEffect, outgoing: tuple[Outgoing, ...] = ()) -> None:
    known = await store.load(ANN)
    await store.commit(ANN, effects=effects, outgoing=outgoing, wakes_at=None, decided_at=NOON, revision=known.revision)


async def one_letter(store: Store) -> Dispatch:
    await decide(store, written(LETTER), addressed(LETTER, PRACTICE), outgoing=(create(LETTER),))
    (dispatch,) = await store.dispatches.to_send(NOON, 10)
    return dispatch


def told(about: str, report: Report, *, happened: datetime = NOON, code: str = "") -> Told:
    return Told(about=about, report=report, happened=happened, code=code)


async def effects(store: Store) -> list[AnyEffect]:
    return [effect for effect in (await store.load(ANN)).effects if isinstance(effect, HandedOver | Reported)]


async def test_a_dispatch_carries_what_was_decided_and_whom_it_is_about(store: Store) -> None:
    person = Person(source=Source("Patient", "ann", "1"), known=NOON, patient=ANN.patient)
    await store.keep("epr", [Version(fact=person, resource={"resourceType": "Patient", "id": "ann"})], (), NOON)
    dispatch = await one_letter(store)
    assert (dispatch.epr, dispatch.patient, dispatch.identity, dispatch.recipient) == (
        "epr",
        "Patient/ann",
        LETTER,
        PRACTICE,
    )
    assert dispatch.communication == create(LETTER).resource
    assert dispatch.person == {"resourceType": "Patient", "id": "ann"}
    assert dispatch.attempts == 0


async def test_one_dispatch_for_each_recipient_and_never_two(store: Store) -> None:
    await decide(store, written(LETTER), addressed(LETTER, PRACTICE), addressed(LETTER, POST))
    await decide(store, addressed(LETTER, PRACTICE))
    found = await store.dispatches.to_send(NOON, 10)
    assert [each.recipient.name for each in found] == ["Organization/gp", "Patient/ann"]
    assert len({each.key for each in found}) == 2
    assert [each.row for each in await store.dispatches.to_send(NOON, 1)] == [found[0].row]


async def test_what_is_claimed_is_nobody_elses_until_the_claim_is_over(store: Store) -> None:
    dispatch = await one_letter(store)
    claims = await asyncio.gather(*(store.dispatches.claim(dispatch.row, NOON, SOON) for _ in range(3)))
    assert sorted(claims) == [False, False, True]
    assert await store.dispatches.to_send(NOON, 10) == []
    (again,) = await store.dispatches.to_send(SOON, 10)
    assert again.key == dispatch.key
    assert await store.dispatches.claim(dispatch.row, SOON, SOON + timedelta(minutes=5))


async def test_a_hand_over_is_kept_once_with_its_effect_and_makes_the_patient_due(store: Store) -> None:
    dispatch = await one_letter(store)
    assert await store.due(NOON, 10) == []
    await store.dispatches.claim(dispatch.row, NOON, SOON)
    accepted = told(dispatch.key, Report.ACCEPTED)
    for _ in range(2):
        await store.dispatches.handed_over(dispatch.row, "msg-1", [accepted], NOON)
    assert await effects(store) == [
        HandedOver(identity=LETTER, at=NOON, recipient=PRACTICE.name),
        Reported(identity=LETTER, at=NOON, recipient=PRACTICE.name, report=Report.ACCEPTED, happened=NOON),
    ]
    assert await store.due(NOON, 10) == [ANN]
    assert await store.dispatches.to_send(SOON, 10) == []
    assert not await store.dispatches.claim(dispatch.row, SOON, SOON)


async def test_what_is_put_off_waits_and_counts(store: Store) -> None:
    dispatch = await one_letter(store)
    await store.dispatches.claim(dispatch.row, NOON, SOON)
    await store.dispatches.put_off(dispatch.row, SOON, "away")
    assert await store.dispatches.to_send(NOON, 10) == []
    (again,) = await store.dispatches.to_send(SOON, 10)
    assert again.attempts == 1


async def test_what_is_undeliverable_is_said_once_and_not_tried_again(store: Store) -> None:
    dispatch = await one_letter(store)
    await store.dispatches.claim(dispatch.row, NOON, SOON)
    for _ in range(2):
        await store.dispatches.undeliverable(dispatch.row, "no such mailbox", NOON)
    (effect,) = await effects(store)
    assert isinstance(effect, Reported)
    assert (effect.report, effect.says, effect.recipient) == (Report.UNDELIVERABLE, "no such mailbox", PRACTICE.name)
    assert await store.due(NOON, 10) == [ANN]
    assert await store.dispatches.to_send(SOON, 10) == []


async def test_what_is_withdrawn_before_anybody_claimed_it_is_stopped(store: Store) -> None:
    dispatch = await one_letter(store)
    await decide(store, Withdrawn(identity=LETTER, at=NOON, reason=Withdrawal.RE_ENGAGED))
    assert await store.dispatches.to_send(SOON, 10) == []
    assert not await store.dispatches.claim(dispatch.row, NOON, SOON)


async def test_what_is_withdrawn_while_it_is_sent_is_brought_to_its_end(store: Store) -> None:
    dispatch = await one_letter(store)
    await store.dispatches.claim(dispatch.row, NOON, SOON)
    await decide(store, Withdrawn(identity=LETTER, at=NOON, reason=Withdrawal.RE_ENGAGED))
    await store.dispatches.handed_over(dispatch.row, "msg-1", (), NOON)
    assert [type(effect) for effect in await effects(store)] == [HandedOver]


async def test_a_report_finds_its_dispatch_by_key_or_reference_and_counts_once(store: Store) -> None:
    dispatch = await one_letter(store)
    await store.dispatches.claim(dispatch.row, NOON, SOON)
    await store.dispatches.handed_over(dispatch.row, "msg-1", (), NOON)
    good = told("msg-1", Report.BUSINESS_GOOD, code="30001")
    assert await store.dispatches.report("fhir", good, SOON)
    assert await store.dispatches.report("fhir", told(dispatch.key, Report.BUSINESS_GOOD, code="30001"), SOON)
    assert await store.dispatches.report("fhir", told(dispatch.key, Report.BUSINESS_BAD, code="30002"), SOON)
    reports = [effect for effect in await effects(store) if isinstance(effect, Reported)]
    assert [(each.report, each.code, each.happened) for each in reports] == [
        (Report.BUSINESS_GOOD, "30001", NOON),
        (Report.BUSINESS_BAD, "30002", NOON),
    ]


async def test_a_report_about_something_else_or_from_somebody_else_is_not_taken(store: Store) -> None:
    dispatch = await one_letter(store)
    good = told(dispatch.key, Report.BUSINESS_GOOD)
    assert not await store.dispatches.report("mesh", good, SOON)
    assert not await store.dispatches.report("fhir", told("msg-9", Report.BUSINESS_GOOD), SOON)
    assert not await store.dispatches.report("fhir", told("", Report.BUSINESS_GOOD), SOON)
    assert not await store.dispatches.report("fhir", good, SOON, sender="https://other.example/fhir")
    assert await effects(store) == []
    assert await store.dispatches.report("fhir", good, SOON, sender="https://gp.example/fhir/")


async def test_what_is_said_to_happen_in_the_future_has_happened_by_now(store: Store) -> None:
    dispatch = await one_letter(store)
    late = told(dispatch.key, Report.BUSINESS_GOOD, happened=SOON + timedelta(days=1))
    assert await store.dispatches.report("fhir", late, SOON)
    (effect,) = await effects(store)
    assert isinstance(effect, Reported)
    assert effect.happened == SOON


async def test_a_channel_is_asked_about_what_it_may_have_more_to_say_of(store: Store) -> None:
    await decide(store, written(LETTER), addressed(LETTER, PRACTICE), written(NOTICE), addressed(NOTICE, PRACTICE))
    for dispatch in await store.dispatches.to_send(NOON, 10):
        await store.dispatches.claim(dispatch.row, NOON, SOON)
        await store.dispatches.handed_over(dispatch.row, f"msg-{dispatch.row}", (), NOON)
    letter, notice = await store.dispatches.awaiting("fhir", 10)
    assert (letter.since, letter.reference[:4]) == (NOON, "msg-")
    assert await store.dispatches.awaiting("mesh", 10) == []
    await store.dispatches.report("fhir", told(letter.key, Report.ACCEPTED), SOON)
    await store.dispatches.report("fhir", told(notice.key, Report.COLLECTED), SOON)
    assert await store.dispatches.awaiting("fhir", 10) == [letter]


async def test_those_whom_nobody_is_known_to_stand_for_are_looked_at_again(store: Store) -> None:
    await decide(store, written(LETTER), Unaddressed(identity=LETTER, at=NOON, why="Nobody is known.", chase="1WD"))
    assert await store.dispatches.to_send(SOON, 10) == []
    assert await store.due(SOON, 10) == []
    assert await store.dispatches.look_again(SOON) == 1
    assert await store.due(SOON, 10) == [ANN]
    await decide(store, addressed(LETTER, PRACTICE))
    assert len(await store.dispatches.to_send(SOON, 10)) == 1
    assert await store.dispatches.look_again(SOON) == 0


async def test_one_that_the_epr_itself_reaches_is_not_looked_at_again(store: Store) -> None:
    await decide(store, written(LETTER), Unaddressed(identity=LETTER, at=NOON, why="Nobody is known.", chase="1WD"))
    await decide(store, HandedOver(identity=LETTER, at=NOON))
    assert await store.dispatches.look_again(SOON) == 0
