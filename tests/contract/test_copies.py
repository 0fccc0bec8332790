"""What stands in an EPR as itself is copied into the service's view: in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhirbridge.core.facts import Source, Task
from fhirbridge.errors import Overtaken
from fhirbridge.fhir.canonical import ACTION, OBLIGATION, WRITE
from fhirbridge.fhir.copies import COPY
from fhirbridge.fhir.worklist import listed_id
from fhirbridge.ports import Listed, Outgoing, Placing, Receipt, Resource, Store, Subject, Version, Wanted

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANN = Subject("epr", "Patient/ann")


def task(identity: str = "i", **more: Any) -> Resource:
    return {
        "resourceType": "Task",
        "meta": {"profile": ["p"]},
        "identifier": [{"system": OBLIGATION, "value": identity}],
        "status": "requested",
        "code": {"coding": [{"system": ACTION, "code": "contact-patient"}]},
        "for": {"reference": "Patient/ann"},
        "input": [{"type": {"text": "because"}, "valueString": "It was missed."}],
        **more,
    }


def create(identity: str = "i", **more: Any) -> Outgoing:
    return Outgoing(
        identity=identity,
        type="Task",
        verb="create",
        resource=task(identity, **more),
        provenance=provenance(identity, "create"),
    )


def change(**elements: Any) -> Outgoing:
    return Outgoing(identity="i", type="Task", verb="change", resource=elements, provenance=provenance("i", "change"))


def provenance(identity: str, write: str) -> Resource:
    return {
        "resourceType": "Provenance",
        "meta": {"tag": [{"system": WRITE, "code": f"{identity}-{write}"}]},
        "target": [{"reference": f"urn:uuid:{identity}", "type": "Task"}],
    }


async def deliver(store: Store, *outgoing: Outgoing, reference: str = "Task/{}", at: datetime = NOON) -> None:
    """Decide these rows, and record that the EPR took them."""
    await store.delivered(await receipts(store, *outgoing, reference=reference, at=at), at)


async def receipts(store: Store, *outgoing: Outgoing, reference: str = "Task/{}", at: datetime = NOON) -> list[Receipt]:
    """Decide these rows; what the EPR answers to them."""
    known = await store.load(ANN)
    await store.commit(ANN, effects=(), outgoing=outgoing, wakes_at=None, decided_at=at, revision=known.revision)
    rows = await store.undelivered(at, 100)
    return [Receipt(row=row.row, reference=reference.format(f"epr-{row.outgoing.identity}")) for row in rows]


def version(number: str, known: datetime, *, erased: bool = False, **elements: Any) -> Version:
    fact = Task(
        source=Source("Task", "epr-i", number),
        known=known,
        patient=ANN.patient,
        erased=erased,
        status="requested",
        obligation="i",
    )
    return Version(fact=fact, resource={**task(), "id": "epr-i", "meta": {"versionId": number}, **elements})


async def copy(store: Store, identity: str = "i", kind: str = "Task") -> Listed | None:
    return await store.worklist.read(f"{kind}/{listed_id('epr', identity)}")


async def statuses(store: Store) -> list[str]:
    return [one.resource["status"] for one in await store.worklist.history(f"Task/{listed_id('epr', 'i')}")]


async def test_what_was_delivered_as_itself_is_copied_with_its_reason(store: Store) -> None:
    await deliver(store, create())

    one = await copy(store)
    assert one is not None
    assert (one.way, one.told, one.version, one.subject) == (COPY, "Task/epr-i", 1, ANN)
    assert one.resource["status"] == "requested"
    why = await copy(store, "i-create", "Provenance")
    assert why is not None
    assert why.resource["target"] == [{"reference": "Task/epr-i", "type": "Task"}]
    assert await store.worklist.count(Wanted(types=("Task",), statuses=("requested",))) == 1


async def test_a_change_is_laid_over_it_and_its_links_are_followed(store: Store) -> None:
    await deliver(store, create("plan"), create(basedOn=[{"reference": "urn:uuid:plan", "type": "CarePlan"}]))
    await deliver(store, change(status="cancelled", statusReason={"text": "Re-engaged"}), at=NOON + HOUR)

    one = await copy(store)
    assert one is not None
    assert (one.resource["status"], one.version) == ("cancelled", 2)
    assert one.resource["basedOn"] == [{"reference": "Task/epr-plan", "type": "CarePlan"}]


async def test_what_the_epr_says_of_it_since_is_laid_over_it_and_the_reasons_stay(store: Store) -> None:
    await deliver(store, create())
    theirs = version("2", NOON + HOUR, status="completed", owner={"display": "Bo"})
    del theirs.resource["input"]
    await store.keep("epr", [version("1", NOON)], [], NOON)
    await store.keep("epr", [theirs], [], NOON + HOUR)

    one = await copy(store)
    assert one is not None
    assert (one.resource["status"], one.resource["owner"], one.version) == ("completed", {"display": "Bo"}, 2)
    assert one.resource["input"] == task()["input"]
    assert one.resource["id"] == listed_id("epr", "i")


async def test_an_older_version_or_the_same_again_changes_nothing(store: Store) -> None:
    await deliver(store, create())
    await store.keep("epr", [version("3", NOON + 2 * HOUR, status="completed")], [], NOON)
    await store.keep("epr", [version("2", NOON + HOUR, status="accepted")], [], NOON)
    await store.keep("epr", [version("3", NOON + 2 * HOUR, status="completed")], [], NOON)

    assert await statuses(store) == ["requested", "completed"]


async def test_a_delivery_and_a_version_at_the_same_moment_are_laid_one_over_the_other(store: Store) -> None:
    await deliver(store, create())
    for number in range(2, 8):
        at = NOON + number * HOUR
        theirs = version(str(number), at, owner={"display": f"Bo {number}"})
        ours = await receipts(store, change(description=f"Said {number}"), at=at)
        await asyncio.gather(store.delivered(ours, at), store.keep("epr", [theirs], [], at))

    history = await store.worklist.history(f"Task/{listed_id('epr', 'i')}")
    assert [one.version for one in history] == list(range(1, 14))
    assert (history[-1].resource["owner"], history[-1].current) == ({"display": "Bo 7"}, True)


async def test_what_the_epr_erased_is_marked_as_an_error(store: Store) -> None:
    await deliver(store, create())
    await store.keep("epr", [version("2", NOON + HOUR, erased=True)], [], NOON)

    assert await statuses(store) == ["requested", "entered-in-error"]


async def test_what_went_elsewhere_is_not_copied(store: Store) -> None:
    await store.worklist.place(ANN, [Placing(identity="i", resource=task())], NOON)
    await deliver(store, create(), reference=f"Task/{listed_id('epr', 'i')}")
    await deliver(store, create("told"), reference="Communication/{}")
    await deliver(store, change(status="cancelled"), reference=f"Task/{listed_id('epr', 'i')}")

    assert await statuses(store) == ["requested"]
    assert await copy(store, "told") is None


async def test_a_change_to_what_was_never_delivered_is_left_alone(store: Store) -> None:
    await deliver(store, change(status="cancelled"))

    assert await copy(store) is None


async def test_a_copy_is_nothing_to_be_completed_here_nor_in_the_way_of_the_worklist(store: Store) -> None:
    await deliver(store, create())
    one = await copy(store)
    assert one is not None

    assert await store.worklist.standing(ANN) == {}
    with pytest.raises(Overtaken):
        await store.worklist.complete(one.reference, Placing(identity="i", resource=task(), based_on=1), NOON)
