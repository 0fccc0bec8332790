"""What every `ports.DeadLetters` keeps to, in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fhirbridge.ports import DeadLetter, Outgoing, Receipt, Store, Subject

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
ANN = Subject("epr", "Patient/ann")
BOB = Subject("other", "Patient/bob")
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}


def create(identity: str, description: str = "Ring") -> Outgoing:
    resource = {"resourceType": "Task", "description": description}
    return Outgoing(identity=identity, type="Task", verb="create", resource=resource, provenance={})


async def refused(store: Store, subject: Subject, *identities: str) -> list[int]:
    """Rows that were decided at noon, and refused an hour later."""
    seen = (await store.load(subject)).revision
    rows = tuple(create(identity) for identity in identities)
    await store.commit(subject, effects=(), outgoing=rows, wakes_at=None, decided_at=NOON, revision=seen)
    waiting = [one.row for one in await store.undelivered(NOON, 100, [subject.epr])]
    await store.delivered([Receipt(row=row, refused="422 no", outcome=OUTCOME) for row in waiting], LATER)
    return waiting


async def test_what_was_refused_is_kept_with_everything_about_it(store: Store) -> None:
    (row,) = await refused(store, ANN, "i")
    letter = DeadLetter(
        row=row,
        subject=ANN,
        outgoing=create("i"),
        decided_at=NOON,
        refused_at=LATER,
        attempts=1,
        reason="422 no",
        outcome=OUTCOME,
    )
    assert await store.dead_letters.search() == [letter]
    assert await store.dead_letters.count() == {"epr": 1}


async def test_what_was_delivered_is_none(store: Store) -> None:
    seen = (await store.load(ANN)).revision
    await store.commit(ANN, effects=(), outgoing=(create("i"),), wakes_at=None, decided_at=NOON, revision=seen)
    assert await store.dead_letters.search() == []
    (row,) = await store.undelivered(NOON, 10)
    await store.delivered([Receipt(row=row.row, reference="Task/1")], NOON)
    assert await store.dead_letters.search() == []
    assert await store.dead_letters.count() == {}


async def test_they_are_found_by_epr_by_patient_and_by_row(store: Store) -> None:
    first, second = await refused(store, ANN, "i", "j")
    (third,) = await refused(store, BOB, "k")

    async def found(**asked: object) -> list[int]:
        return [letter.row for letter in await store.dead_letters.search(**asked)]  # type: ignore[arg-type]

    assert await found() == [first, second, third]
    assert await found(eprs=["other"]) == [third]
    assert await found(subjects=[ANN]) == [first, second]
    assert await found(rows=[second, third, 4711]) == [second, third]
    assert await found(after=first, limit=1) == [second]
    assert await store.dead_letters.count() == {"epr": 2, "other": 1}


async def test_revived_they_wait_in_their_old_place_with_what_is_to_be_sent_now(store: Store) -> None:
    first, second = await refused(store, ANN, "i", "j")
    seen = (await store.load(ANN)).revision
    await store.commit(ANN, effects=(), outgoing=(create("later"),), wakes_at=None, decided_at=LATER, revision=seen)
    assert await store.dead_letters.revive({first: create("i", "Visit"), 4711: create("x")}, LATER) == 1
    waiting = await store.undelivered(LATER, 10)
    assert [(one.outgoing.identity, one.attempts) for one in waiting] == [("i", 0), ("later", 0)]
    assert waiting[0].outgoing.resource["description"] == "Visit"
    assert [letter.row for letter in await store.dead_letters.search()] == [second]
    await store.delivered([Receipt(row=one.row, reference=f"Task/{one.row}") for one in waiting], LATER)
    assert (await store.load(ANN)).references == {"i": f"Task/{first}", "later": f"Task/{waiting[1].row}"}


async def test_one_epr_can_be_asked_for_alone(store: Store) -> None:
    for subject in (ANN, BOB):
        seen = (await store.load(subject)).revision
        rows = (create(subject.patient),)
        await store.commit(subject, effects=(), outgoing=rows, wakes_at=None, decided_at=NOON, revision=seen)
    assert [one.subject for one in await store.undelivered(NOON, 10, ["other"])] == [BOB]
    assert await store.undelivered(NOON, 10, []) == []
    assert len(await store.undelivered(NOON, 10)) == 2
