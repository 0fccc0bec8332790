"""The dry run: the same set of versions gives the same writes, each at its own virtual time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.core.calendar import Calendar
from fhirbridge.fhir.canonical import OBLIGATION
from fhirbridge.packs.loading import load_pack
from fhirbridge.simulation import DryRun, Written, account, collect, final, play
from fhirbridge.simulation.reading import Deleted
from tests.shipped import shipped_mapping
from tests.unit.simulated_record import Resource, answer, corrected, stored, twice_missed

MAPPING = shipped_mapping()
CALENDAR = Calendar()
PACK = load_pack("rdash-disengagement", calendar=CALENDAR)
BY = DryRun(packs=(PACK,), calendar=CALENDAR)
RECORD = [
    *twice_missed("p1"),
    *twice_missed("p2"),
    answer("t1", "p1", "no-answer", "2026-01-27T10:00:00Z"),
    corrected("p2", "2026-01-27T09:00:00Z"),
]
WEEK_LATER = datetime(2026, 2, 2, tzinfo=UTC)


def writes(record: Iterable[Resource | Deleted], until: datetime = WEEK_LATER) -> list[Written]:
    return [w for patient in collect(record, MAPPING, until).patients for w in play(patient, BY, until)]


def tasks(written: Iterable[Written], code: str) -> list[Resource]:
    return [r for r in final(written) if r["resourceType"] == "Task" and r["code"]["coding"][0]["code"] == code]


def asked_of(written: Iterable[Written], patient: str) -> Resource:
    (task,) = [t for t in tasks(written, "contact-patient") if t["for"]["reference"] == f"Patient/{patient}"]
    return task


def test_a_task_is_written_when_the_second_miss_becomes_known() -> None:
    task = asked_of(writes(twice_missed("p1")), "p1")

    assert (task["status"], task["meta"]["lastUpdated"]) == ("requested", "2026-01-26T11:00:00Z")


def test_what_becomes_known_later_is_ignored() -> None:
    before_the_second_miss = datetime(2026, 1, 26, 10, 59, tzinfo=UTC)

    collected = collect(twice_missed("p1"), MAPPING, before_the_second_miss)

    assert collected.later == 1
    assert writes(twice_missed("p1"), before_the_second_miss) == []


def test_the_instant_itself_counts() -> None:
    assert writes(twice_missed("p1"), datetime(2026, 1, 26, 11, tzinfo=UTC))


def test_a_failed_answer_leads_on_and_closes_the_task_by_naming_it() -> None:
    written = writes(RECORD)
    (letter,) = [r for r in final(written) if r["resourceType"] == "Communication"]
    task = asked_of(written, "p1")

    assert task["status"] == "completed"
    assert task["output"][0]["valueReference"]["reference"] == "Task/t1"
    assert (letter["status"], letter["sent"]) == ("completed", "2026-01-27T10:00:00+00:00")


def test_a_correction_withdraws_the_task_at_its_own_instant() -> None:
    task = asked_of(writes(RECORD), "p2")

    assert (task["status"], task["meta"]["lastUpdated"]) == ("cancelled", "2026-01-27T09:00:00Z")
    assert task["statusReason"]["coding"][0]["code"] == "corrected"


def test_a_timer_is_a_virtual_time_of_its_own() -> None:
    (meeting,) = tasks(writes(RECORD, datetime(2026, 3, 1, tzinfo=UTC)), "arrange-mdtm")

    assert meeting["meta"]["lastUpdated"] == "2026-02-17T10:00:00Z"


def test_each_write_has_a_provenance_right_behind_its_first_version() -> None:
    resources = final(writes(RECORD))

    assert [r["resourceType"] for r in resources[:2]] == ["Task", "Provenance"]
    for resource in (r for r in resources if r["resourceType"] != "Provenance"):
        target = f"{resource['resourceType']}/{resource['id']}"
        told = [r for r in resources if r["resourceType"] == "Provenance" and r["target"][0]["reference"] == target]
        assert len(told) == int(resource["meta"]["versionId"])


def test_resources_come_in_the_order_of_their_first_writing() -> None:
    written = writes(RECORD)
    first: dict[str, tuple[datetime, str]] = {}
    for write in written:
        first.setdefault(write.resource["id"], (write.at, write.patient))

    order = [first[r["id"]] for r in final(written) if r["resourceType"] != "Provenance"]

    assert order == sorted(order)


@settings(max_examples=20, deadline=None)
@given(st.permutations(RECORD), st.lists(st.sampled_from(RECORD), max_size=4))
def test_order_and_repetition_do_not_matter(shuffled: list[Resource], again: list[Resource]) -> None:
    assert final(writes([*shuffled, *again])) == final(writes(RECORD))


def test_of_two_that_claim_to_be_one_version_always_the_same_counts() -> None:
    one = twice_missed("p1")
    other = {**one[-1], "status": "fulfilled"}

    assert final(writes([*one, other])) == final(writes([other, *one]))


def staff(task: Resource, **elements: Any) -> Resource:
    """The service's own Task as staff changed it in the EPR, where it has an id of its own."""
    return {**task, "id": "in-the-epr", "meta": {"versionId": "2", "lastUpdated": "2026-01-26T15:00:00Z"}, **elements}


def test_staff_answer_the_services_own_task() -> None:
    record = twice_missed("p1")
    task = asked_of(writes(record), "p1")
    output = answer("x", "p1", "no-answer", "2026-01-26T15:00:00Z")["output"]

    written = writes([*record, staff(task, status="completed", output=output)])

    assert [w.resource["resourceType"] for w in written] == ["Task", "Communication"]
    assert asked_of(written, "p1")["meta"]["lastUpdated"] == "2026-01-26T11:00:00Z"


def test_what_staff_set_stays_when_the_service_withdraws() -> None:
    record = twice_missed("p1")
    task = asked_of(writes(record), "p1")
    theirs = staff(task, status="in-progress", owner={"display": "Nurse"})

    after = asked_of(writes([*record, theirs, corrected("p1", "2026-01-27T09:00:00Z")]), "p1")

    assert (after["status"], after["owner"]) == ("cancelled", {"display": "Nurse"})
    assert (after["id"], after["meta"]["versionId"]) == (task["id"], "2")
    assert after["identifier"] == [{"system": OBLIGATION, "value": task["id"]}]


def test_a_deletion_in_a_history_takes_the_record_back() -> None:
    task = asked_of(writes([*twice_missed("p1"), Deleted("Appointment/p1-2", "2026-01-27T09:00:00Z")]), "p1")

    assert (task["status"], task["meta"]["lastUpdated"]) == ("cancelled", "2026-01-27T09:00:00Z")


def test_what_is_of_no_use_or_cannot_be_mapped_is_counted() -> None:
    nobody = stored("Flag", "f", "2026-01-01T00:00:00Z", status="active", code={"text": "x"})
    record = [stored("Observation", "o", "2026-01-01T00:00:00Z", status="final"), nobody, *twice_missed("p1")]

    collected = collect(record, MAPPING, WEEK_LATER)

    assert collected.without_use == {"Observation": 1}
    assert [fact.source.reference for fact in collected.unmapped] == ["Flag/f"]
    assert [patient.reference for patient in collected.patients] == ["Patient/p1"]


@pytest.mark.parametrize(
    "said",
    [
        "Patient/p2",
        "Monday 26 January 2026 at 11:00",
        "Task: Contact the patient and offer another appointment",
        "due: Wednesday 28 January 2026 at 23:59",
        "Asked for by rdash-5.3-contact",
        "The appointment on Monday 19 January 2026 at 10:00 was missed.",
        "Done, task: Contact the patient",
        "Message: Write to the patient",
        "Withdrawn, task: Contact the patient",
        "Withdrawn (corrected)",
    ],
)
def test_the_account_says_when_what_for_whom_and_why(said: str) -> None:
    assert said in "\n".join(account(writes(RECORD), CALENDAR))
