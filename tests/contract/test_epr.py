"""What every EPR adapter has to hold to: the same suite on the double and, over HTTP, on a real FHIR server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from msgspec.structs import replace

from fhirbridge.adapters.epr import FhirEpr
from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.errors import EprConflict, EprRefused
from fhirbridge.fhir.canonical import OBLIGATION, WRITE
from fhirbridge.ports import Delivery, Outgoing, Receipt, Resource, Subject

Adapter = FhirEpr | MemoryEpr


class Ticking:
    """A clock that moves on by a second whenever it is asked."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


@pytest.fixture(params=["memory", "sekmet"])
async def epr(request: pytest.FixtureRequest) -> AsyncIterator[Adapter]:
    if request.param == "memory":
        yield MemoryEpr("trust", Ticking())
        return
    async with FhirEpr("trust", request.getfixturevalue("sekmet_url")) as over_http:
        yield over_http


@pytest.fixture
def patient() -> str:
    """A patient that no other test has."""
    return f"Patient/{uuid4()}"


@pytest.fixture
def new() -> Callable[[], str]:
    """An identity that nothing has yet."""
    return lambda: str(uuid4())


def task(patient: str, identity: str, **elements: Any) -> Resource:
    identifier = [{"system": OBLIGATION, "value": identity}]
    status = {"status": "requested", "intent": "order"}
    return {"resourceType": "Task", "identifier": identifier, **status, "for": {"reference": patient}, **elements}


def plan(patient: str, identity: str, **elements: Any) -> Resource:
    identifier = [{"system": OBLIGATION, "value": identity}]
    status = {"status": "active", "intent": "plan"}
    subject = {"subject": {"reference": patient}}
    return {"resourceType": "CarePlan", "identifier": identifier, **status, **subject, **elements}


def because(identity: str, write: str) -> Resource:
    return {
        "resourceType": "Provenance",
        "meta": {"tag": [{"system": WRITE, "code": write}]},
        "target": [{"reference": f"urn:uuid:{identity}"}],
        "recorded": "2026-03-02T09:00:00Z",
        "agent": [{"who": {"display": "fhirbridge"}}],
    }


def create(identity: str, resource: Resource, row: int = 1) -> Delivery:
    kind = resource["resourceType"]
    provenance = because(identity, f"{identity}-create")
    outgoing = Outgoing(identity=identity, type=kind, verb="create", resource=resource, provenance=provenance)
    return Delivery(row=row, subject=Subject("trust", "Patient/p"), outgoing=outgoing)


def change(identity: str, elements: Resource, row: int = 2, **more: Any) -> Delivery:
    provenance = because(identity, f"{identity}-{row}")
    outgoing = Outgoing(identity=identity, type="Task", verb="change", resource=elements, provenance=provenance, **more)
    return Delivery(row=row, subject=Subject("trust", "Patient/p"), outgoing=outgoing)


async def found(epr: Adapter, kind: str, **parameters: str) -> list[Resource]:
    return [match async for match in epr.search(kind, parameters)]


async def told(epr: Adapter, *writes: str) -> list[Resource]:
    return await found(epr, "Provenance", _tag=",".join(f"{WRITE}|{write}" for write in writes))


async def current(epr: Adapter, receipt: Receipt) -> Resource:
    resource = await epr.read(receipt.reference)
    assert resource is not None
    return resource


async def erase(epr: Adapter, reference: str, base_url: str) -> None:
    if isinstance(epr, MemoryEpr):
        await epr.delete(reference)
        return
    async with httpx.AsyncClient() as client:
        (await client.delete(f"{base_url}/{reference}")).raise_for_status()


async def test_what_is_created_can_be_read_changed_and_followed_back(epr: Adapter, patient: str) -> None:
    stored = await epr.create({"resourceType": "Patient", "active": True})
    reference = f"Patient/{stored['id']}"
    changed = await epr.update({**stored, "active": False})
    assert (await epr.read(reference)) == changed
    assert changed["meta"]["versionId"] == "2"
    assert [version["active"] for version in await epr.history(reference)] == [True, False]


async def test_what_is_not_there_is_none(epr: Adapter, patient: str) -> None:
    assert await epr.read(patient) is None
    assert await epr.history(patient) == []


async def test_what_was_deleted_is_none_and_keeps_its_history(epr: Adapter, sekmet_url: str) -> None:
    stored = await epr.create({"resourceType": "Patient"})
    reference = f"Patient/{stored['id']}"
    await erase(epr, reference, sekmet_url)
    assert await epr.read(reference) is None
    assert len(await epr.history(reference)) == 1


async def test_a_search_gives_every_match_of_every_page_once(epr: Adapter, patient: str) -> None:
    written = [(await epr.create(task(patient, f"{patient}-{n}")))["id"] for n in range(5)]
    await epr.create(task("Patient/another", f"{patient}-x"))
    matches = await found(epr, "Task", patient=patient, _count="2")
    assert sorted(match["id"] for match in matches) == sorted(written)


async def test_a_search_by_identifier_needs_system_and_value(
    epr: Adapter, patient: str, new: Callable[[], str]
) -> None:
    identity = new()
    await epr.create(task(patient, identity))
    assert len(await found(epr, "Task", identifier=f"{OBLIGATION}|{identity}")) == 1
    assert await found(epr, "Task", identifier=f"https://elsewhere.example|{identity}") == []


async def test_a_search_by_last_change(epr: Adapter, patient: str) -> None:
    stored = await epr.create(task(patient, patient))
    last = stored["meta"]["lastUpdated"]
    later = (datetime.fromisoformat(last) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    assert len(await found(epr, "Task", patient=patient, _lastUpdated=f"ge{last}")) == 1
    assert await found(epr, "Task", patient=patient, _lastUpdated=f"ge{later}") == []


async def test_a_search_between_two_instants(epr: Adapter, patient: str) -> None:
    stored = await epr.create(task(patient, patient))
    last = datetime.fromisoformat(stored["meta"]["lastUpdated"]).replace(microsecond=0)
    before, after = (f"{last + timedelta(seconds=s):%Y-%m-%dT%H:%M:%SZ}" for s in (-5, 5))

    async def between(low: str, high: str) -> list[Resource]:
        return [
            one async for one in epr.search("Task", {"patient": patient, "_lastUpdated": [f"ge{low}", f"lt{high}"]})
        ]

    assert [one["id"] for one in await between(before, after)] == [stored["id"]]
    assert await between(after, "2199-01-01T00:00:00Z") == []
    assert await between("2001-01-01T00:00:00Z", before) == []


async def test_everything_that_was_committed_to_a_type(epr: Adapter, sekmet_url: str) -> None:
    stored = await epr.create({"resourceType": "Patient", "active": True})
    await epr.update({**stored, "active": False})
    await erase(epr, f"Patient/{stored['id']}", sekmet_url)
    other = await epr.create({"resourceType": "Organization", "name": "Another type"})
    since = datetime.fromisoformat(stored["meta"]["lastUpdated"]) - timedelta(seconds=2)

    committed = [event async for event in epr.changes("Patient", since)]

    mine = [(event.version, event.deleted) for event in committed if event.id == stored["id"]]
    assert {("1", False), ("2", False)} <= set(mine)
    assert any(deleted for _, deleted in mine)
    assert {event.type for event in committed} == {"Patient"}
    assert other["id"] not in {event.id for event in committed}
    future = since + timedelta(days=30_000)
    assert [event async for event in epr.changes("Patient", future)] == []


async def test_a_search_that_is_not_understood_is_refused_not_widened(epr: Adapter, patient: str) -> None:
    with pytest.raises(EprRefused):
        await found(epr, "Task", bogus="1")


async def test_a_write_and_its_provenance(epr: Adapter, patient: str, new: Callable[[], str]) -> None:
    identity = new()
    (receipt,) = await epr.deliver([create(identity, task(patient, identity))], {})
    assert (receipt.row, receipt.version, receipt.refused) == (1, "1", "")
    stored = await current(epr, receipt)
    assert stored["identifier"] == [{"system": OBLIGATION, "value": identity}]
    (provenance,) = await told(epr, f"{identity}-create")
    assert provenance["target"] == [{"reference": receipt.reference}]


async def test_delivered_again_after_a_crash_nothing_is_written_twice(
    epr: Adapter, patient: str, new: Callable[[], str]
) -> None:
    one, other = new(), new()
    rows = [create(one, task(patient, one)), create(other, plan(patient, other), row=2)]
    first = await epr.deliver(rows, {})
    assert await epr.deliver(rows, {}) == first
    assert len(await found(epr, "Task", patient=patient)) == 1
    assert len(await found(epr, "CarePlan", patient=patient)) == 1
    provenances = await told(epr, f"{one}-create", f"{other}-create")
    assert [provenance["meta"]["versionId"] for provenance in provenances] == ["1", "1"]


async def test_rows_that_refer_to_each_other(epr: Adapter, patient: str, new: Callable[[], str]) -> None:
    the_task, the_plan = new(), new()
    linked = [
        create(the_task, task(patient, the_task, basedOn=[{"reference": f"urn:uuid:{the_plan}"}])),
        create(
            the_plan, plan(patient, the_plan, activity=[{"reference": {"reference": f"urn:uuid:{the_task}"}}]), row=2
        ),
    ]
    first, second = await epr.deliver(linked, {})
    assert (await current(epr, first))["basedOn"] == [{"reference": second.reference}]
    assert (await current(epr, second))["activity"] == [{"reference": {"reference": first.reference}}]


@pytest.mark.parametrize("remembered", [True, False], ids=["reference-known", "found-by-identifier"])
async def test_a_row_that_refers_to_what_was_delivered_before(
    epr: Adapter, patient: str, new: Callable[[], str], remembered: bool
) -> None:
    the_task, the_plan = new(), new()
    (planned,) = await epr.deliver([create(the_plan, plan(patient, the_plan))], {})
    row = create(the_task, task(patient, the_task, basedOn=[{"reference": f"urn:uuid:{the_plan}"}]))
    (receipt,) = await epr.deliver([row], {the_plan: planned.reference} if remembered else {})
    assert (await current(epr, receipt))["basedOn"] == [{"reference": planned.reference}]


@pytest.mark.parametrize("remembered", [True, False], ids=["reference-known", "found-by-identifier"])
async def test_a_change_keeps_what_staff_changed(
    epr: Adapter, patient: str, new: Callable[[], str], remembered: bool
) -> None:
    identity = new()
    (written,) = await epr.deliver([create(identity, task(patient, identity, output=[]))], {})
    owner = {"reference": "Practitioner/p1"}
    note = [{"text": "Rang twice."}]
    await epr.update({**await current(epr, written), "status": "in-progress", "owner": owner, "note": note})
    elements = {"status": "cancelled", "statusReason": {"text": "corrected"}, "note": [{"text": "Taken back."}]}
    references = {identity: written.reference} if remembered else {}
    (receipt,) = await epr.deliver([change(identity, elements)], references)
    after = await current(epr, receipt)
    assert (receipt.reference, receipt.version) == (written.reference, "3")
    assert (after["status"], after["owner"], after["statusReason"]) == ("cancelled", owner, {"text": "corrected"})
    assert after["note"] == [{"text": "Rang twice."}, {"text": "Taken back."}]
    (provenance,) = await told(epr, f"{identity}-2")
    assert provenance["target"] == [{"reference": written.reference}]


@pytest.mark.parametrize("ended", ["completed", "cancelled", "failed", "rejected", "entered-in-error"])
async def test_what_staff_have_ended_stays_as_they_ended_it(
    epr: Adapter, patient: str, new: Callable[[], str], ended: str
) -> None:
    identity = new()
    (written,) = await epr.deliver([create(identity, task(patient, identity))], {})
    theirs = await epr.update({**await current(epr, written), "status": ended})
    elements = {"status": "cancelled", "statusReason": {"text": "corrected"}}
    (receipt,) = await epr.deliver([change(identity, elements)], {identity: written.reference})
    assert receipt == Receipt(row=2, reference=written.reference, version="2")
    assert await current(epr, receipt) == theirs
    assert await told(epr, f"{identity}-2") == []


async def test_a_value_that_a_person_set_stays(epr: Adapter, patient: str, new: Callable[[], str]) -> None:
    identity = new()
    ours = {"period": {"end": "2026-03-04T17:00:00Z"}}
    (written,) = await epr.deliver([create(identity, task(patient, identity, restriction=ours))], {})
    theirs = {"period": {"end": "2026-03-09T17:00:00Z"}}
    await epr.update({**await current(epr, written), "restriction": theirs})
    sooner = {"restriction": {"period": {"end": "2026-03-03T17:00:00Z"}}, "priority": "urgent"}
    row = change(identity, sooner, before={"restriction.period.end": ours["period"]["end"]})
    (receipt,) = await epr.deliver([row], {identity: written.reference})
    after = await current(epr, receipt)
    assert (after["restriction"], after["priority"]) == (theirs, "urgent")


async def test_a_change_delivered_again_is_not_made_again(epr: Adapter, patient: str, new: Callable[[], str]) -> None:
    identity = new()
    (written,) = await epr.deliver([create(identity, task(patient, identity))], {})
    row = change(identity, {"priority": "urgent"})
    (first,) = await epr.deliver([row], {identity: written.reference})
    await epr.update({**await current(epr, first), "priority": "routine"})
    (again,) = await epr.deliver([row], {identity: written.reference})
    assert (again.reference, again.version) == (first.reference, "3")
    assert (await current(epr, again))["priority"] == "routine"
    assert [one["meta"]["versionId"] for one in await told(epr, f"{identity}-2")] == ["1"]


async def test_something_created_and_changed_in_one_delivery(
    epr: Adapter, patient: str, new: Callable[[], str]
) -> None:
    identity = new()
    rows = [create(identity, task(patient, identity)), change(identity, {"status": "completed"})]
    first, second = await epr.deliver(rows, {})
    assert first.reference == second.reference
    assert (first.version, second.version) == ("1", "2")
    assert (await current(epr, second))["status"] == "completed"


async def test_links_across_waves(epr: Adapter, patient: str, new: Callable[[], str]) -> None:
    the_task, the_plan = new(), new()
    rows = [
        create(the_task, task(patient, the_task, basedOn=[{"reference": f"urn:uuid:{the_plan}"}])),
        change(the_task, {"status": "completed"}),
        create(the_plan, plan(patient, the_plan), row=3),
    ]
    first, _, planned = await epr.deliver(rows, {})
    assert (await current(epr, first))["basedOn"] == [{"reference": planned.reference}]


async def test_a_link_to_what_was_never_written_is_left_out(epr: Adapter, patient: str, new: Callable[[], str]) -> None:
    identity, never = new(), {"reference": f"urn:uuid:{new()}"}
    kept = {"reference": "CarePlan/theirs"}
    row = create(identity, task(patient, identity, basedOn=[never, kept], focus=never, note=[{"text": "As agreed."}]))
    (receipt,) = await epr.deliver([row], {})
    stored = await current(epr, receipt)
    assert stored["basedOn"] == [kept]
    assert stored["note"] == [{"text": "As agreed."}]
    assert "focus" not in stored


async def test_a_change_that_somebody_overtakes_is_a_conflict(
    epr: Adapter, patient: str, new: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    identity, other = new(), new()
    (written,) = await epr.deliver([create(identity, task(patient, identity))], {})
    transact = epr.transact

    async def too_late(bundle: Resource) -> Resource:
        await epr.update({**await current(epr, written), "status": "accepted"})
        return await transact(bundle)

    monkeypatch.setattr(epr, "transact", too_late)
    rows = [change(identity, {"status": "cancelled"}), create(other, task(patient, other), row=3)]
    with pytest.raises(EprConflict):
        await epr.deliver(rows, {identity: written.reference})
    assert (await current(epr, written))["status"] == "accepted"
    assert len(await found(epr, "Task", patient=patient)) == 1
    assert await told(epr, f"{identity}-2", f"{other}-create") == []


async def test_a_change_to_what_was_deleted_is_refused(
    epr: Adapter, patient: str, new: Callable[[], str], sekmet_url: str
) -> None:
    identity = new()
    (written,) = await epr.deliver([create(identity, task(patient, identity))], {})
    await erase(epr, written.reference, sekmet_url)
    cancelled = change(identity, {"status": "cancelled"})
    with pytest.raises(EprConflict, match="not in the EPR"):  # it may only not be shown yet
        await epr.deliver([cancelled], {identity: written.reference})
    (receipt,) = await epr.deliver([replace(cancelled, attempts=10)], {identity: written.reference})
    assert "not in the EPR" in receipt.refused
    assert identity in receipt.refused


async def test_only_the_bad_row_of_a_transaction_is_refused(epr: Adapter, patient: str, new: Callable[[], str]) -> None:
    good, bad, the_plan = new(), new(), new()
    not_a_task = {name: part for name, part in task(patient, bad).items() if name != "intent"}
    activities = [{"reference": {"reference": f"urn:uuid:{identity}"}} for identity in (good, bad)]
    rows = [
        create(the_plan, plan(patient, the_plan, activity=activities)),
        create(good, task(patient, good, basedOn=[{"reference": f"urn:uuid:{the_plan}"}]), row=2),
        create(bad, not_a_task, row=3),
    ]
    planned, written, refused = await epr.deliver(rows, {})
    assert (planned.refused, written.refused) == ("", "")
    assert "intent" in refused.refused
    assert refused.reference == ""
    assert (await current(epr, planned))["activity"] == [{"reference": {"reference": written.reference}}]
    assert (await current(epr, written))["basedOn"] == [{"reference": planned.reference}]
    assert await told(epr, f"{bad}-create") == []


async def test_what_the_epr_holds_twice_is_not_written_a_third_time(
    epr: Adapter, patient: str, new: Callable[[], str]
) -> None:
    identity, other = new(), new()
    oldest = await epr.create(task(patient, identity))
    await epr.create(task(patient, identity))
    rows = [create(identity, task(patient, identity)), create(other, task(patient, other), row=2)]
    first, second = await epr.deliver(rows, {})
    assert first.reference == f"Task/{oldest['id']}"
    assert second.version == "1"
    assert len(await found(epr, "Task", patient=patient)) == 3
    (provenance,) = await told(epr, f"{identity}-create")
    assert provenance["target"] == [{"reference": first.reference}]
