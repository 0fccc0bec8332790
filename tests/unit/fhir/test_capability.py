"""What follows from CapabilityStatements: recorded ones, and what none of them says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from fhirbridge.errors import EprError
from fhirbridge.fhir.capability import Capability, FeedKind, Once, Way, feeds_for, topic, type_of, writes_for
from fhirbridge.fhir.capability.statement import BACKPORT_TOPIC

STATEMENTS = Path(__file__).parent / "capabilities"
EVENTFUL = ("Appointment", "Encounter", "EpisodeOfCare", "Task", "Communication")
READ = (*EVENTFUL, "Patient", "Flag", "Consent")


def recorded(name: str) -> Capability:
    return Capability.of(orjson.loads((STATEMENTS / f"{name}.json").read_bytes()))


def statement(*resources: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "rest": [{"mode": "server", "resource": list(resources), **rest}],
    }


def kind(name: str, *interactions: str, parameters: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {
        "type": name,
        "interaction": [{"code": code} for code in interactions],
        "searchParam": [{"name": parameter} for parameter in parameters],
        **more,
    }


def feeds(capability: Capability) -> dict[str, tuple[str, str]]:
    return {feed.type: (feed.kind.value, feed.by) for feed in feeds_for(capability, READ, EVENTFUL)}


def feed_of(resource: dict[str, Any], *others: dict[str, Any]) -> tuple[FeedKind, str]:
    (feed,) = feeds_for(Capability.of(statement(resource, *others)), [resource["type"]], EVENTFUL)
    return feed.kind, feed.by


def writes(capability: Capability) -> dict[str, tuple[str, str, bool, str]]:
    return {one.type: (one.way.value, one.as_type, one.changeable, one.once.value) for one in writes_for(capability)}


def test_epic() -> None:
    capability = recorded("epic")
    assert (capability.fhir_version, capability.software, capability.security) == ("4.0.1", "Epic", ("SMART-on-FHIR",))
    assert not capability.subscribes
    assert feeds(capability) == {
        "Appointment": ("date-window", "date"),
        "Encounter": ("date-window", "date"),
        "EpisodeOfCare": ("record", "patient"),
        "Task": ("record", "patient"),
        "Communication": ("record", "patient"),
        "Patient": ("record", ""),
        "Flag": ("record", "patient"),
        "Consent": ("record", "patient"),
    }
    assert writes(capability) == {
        "Task": ("communication", "Communication", False, "searched"),
        "Flag": ("communication", "Communication", False, "searched"),
        "CarePlan": ("communication", "Communication", False, "searched"),
        "Communication": ("native", "Communication", False, "searched"),
        "Provenance": ("own", "", False, "unsure"),
        "AuditEvent": ("own", "", False, "unsure"),
    }


def test_oracle_health() -> None:
    capability = recorded("oracle-health")
    assert feeds(capability) == {
        "Appointment": ("date-window", "date"),
        "Encounter": ("last-updated", "_lastUpdated"),
        "EpisodeOfCare": ("none", ""),
        "Task": ("none", ""),
        "Communication": ("record", "patient"),
        "Patient": ("record", ""),
        "Flag": ("none", ""),
        "Consent": ("record", "patient"),
    }
    assert writes(capability) == {
        "Task": ("communication", "Communication", False, "searched"),
        "Flag": ("communication", "Communication", False, "searched"),
        "CarePlan": ("communication", "Communication", False, "searched"),
        "Communication": ("native", "Communication", False, "searched"),
        "Provenance": ("native", "Provenance", False, "searched"),
        "AuditEvent": ("own", "", False, "unsure"),
    }


def test_a_server_that_can_everything() -> None:
    capability = recorded("everything")
    assert (capability.transaction, capability.backport, capability.subscribes) == (True, True, True)
    assert feeds(capability)["Appointment"] == ("backport", topic("Appointment"))
    assert feeds(capability)["Encounter"] == ("rest-hook", "")
    assert set(writes(capability).values()) == {
        *((Way.NATIVE, one, True, Once.CONDITIONAL) for one in ("Task", "Flag", "CarePlan", "Communication")),
        *((Way.NATIVE, one, False, Once.CHOSEN_ID) for one in ("Provenance", "AuditEvent")),
    }


SUBSCRIPTION = kind("Subscription", "create", "read")
BY_UPDATE = ("_lastUpdated",)
BY_PATIENT = ("patient",)


@pytest.mark.parametrize(
    ("offered", "others", "feed"),
    [
        (
            kind("Task", "read", "search-type", parameters=BY_UPDATE),
            (),
            (FeedKind.LAST_UPDATED, "_lastUpdated"),
        ),
        (kind("Task", "read", parameters=BY_UPDATE), (), (FeedKind.NONE, "")),
        (kind("Task", "read", "history-type"), (), (FeedKind.HISTORY, "_since")),
        (kind("Task", "read", "history-instance"), (), (FeedKind.NONE, "")),
        (kind("Task", "read", "search-type", parameters=("authored-on",)), (), (FeedKind.DATE_WINDOW, "authored-on")),
        (kind("Task", "read", "search-type", parameters=("subject",)), (), (FeedKind.RECORD, "subject")),
        (kind("Task", "search-type", parameters=BY_UPDATE), (), (FeedKind.NONE, "")),
        (kind("Task", "read"), (SUBSCRIPTION,), (FeedKind.REST_HOOK, "")),
        (kind("Task", "read"), (kind("Subscription", "read"),), (FeedKind.NONE, "")),
        (kind("Flag", "read", "search-type", parameters=BY_UPDATE), (), (FeedKind.NONE, "")),
        (
            kind("Flag", "read", "history-type", "search-type", parameters=("patient",)),
            (),
            (FeedKind.RECORD, "patient"),
        ),
        (kind("Patient", "read"), (), (FeedKind.RECORD, "")),
    ],
)
def test_the_best_feed_there_is(
    offered: dict[str, Any], others: tuple[dict[str, Any], ...], feed: tuple[FeedKind, str]
) -> None:
    assert feed_of(offered, *others) == feed


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        (None, ("backport", "rest-hook", "rest-hook")),
        ("backport", ("backport", "backport", "backport")),
        ("rest-hook", ("rest-hook", "rest-hook", "rest-hook")),
        ("last-updated", ("last-updated", "last-updated", "record")),
        ("history", ("history", "date-window", "record")),
        ("date-window", ("date-window", "date-window", "record")),
        ("record", ("record", "record", "record")),
    ],
)
def test_the_best_feed_that_is_wanted(wanted: str | None, kinds: tuple[str, ...]) -> None:
    parameters = ("_lastUpdated", "date", "patient", "sent")
    topics = [{"url": BACKPORT_TOPIC, "valueCanonical": f"{topic('Appointment')}|1.0"}]
    offered = [
        kind("Appointment", "read", "search-type", "history-type", parameters=parameters),
        kind("Communication", "read", "search-type", parameters=parameters),
        kind("Flag", "read", "search-type", parameters=parameters),
        kind("Subscription", "create", "read", extension=topics),
    ]
    types = ["Appointment", "Communication", "Flag"]
    best = FeedKind(wanted) if wanted else None
    found = feeds_for(Capability.of(statement(*offered)), types, EVENTFUL, wanted=best)
    assert tuple(feed.kind.value for feed in found) == kinds


def test_a_topic_names_its_type() -> None:
    assert type_of(topic("Flag")) == type_of(f"{topic('Flag')}|1.0") == "Flag"
    assert type_of("http://other.test/SubscriptionTopic/Flag") == type_of("") == ""


@pytest.mark.parametrize(
    ("offered", "way", "as_type"),
    [
        ([kind("Task", "create", "update")], Way.NATIVE, "Task"),
        ([kind("Task", "create")], Way.OWN, ""),
        ([kind("Task", "update"), kind("DocumentReference", "create")], Way.DOCUMENT_REFERENCE, "DocumentReference"),
        (
            [kind("Task", "read"), kind("DocumentReference", "create"), kind("Communication", "create")],
            Way.COMMUNICATION,
            "Communication",
        ),
        ([], Way.OWN, ""),
    ],
)
def test_the_best_way_to_write_a_task(offered: list[dict[str, Any]], way: Way, as_type: str) -> None:
    (task, *_) = writes_for(Capability.of(statement(*offered)))
    assert (task.way, task.as_type) == (way, as_type)


@pytest.mark.parametrize(
    ("more", "parameters", "once", "by"),
    [
        ({"conditionalCreate": True, "updateCreate": True}, ("identifier",), Once.CONDITIONAL, "identifier"),
        ({"updateCreate": True}, ("status",), Once.CHOSEN_ID, ""),
        ({}, ("patient", "identifier"), Once.SEARCHED, "identifier"),
        ({}, ("subject",), Once.SEARCHED, "subject"),
        ({}, ("status",), Once.UNSURE, ""),
    ],
)
def test_what_keeps_a_task_from_being_written_twice(
    more: dict[str, Any], parameters: tuple[str, ...], once: Once, by: str
) -> None:
    task = kind("Task", "create", "update", "search-type", parameters=parameters, **more)
    (writing, *_) = writes_for(Capability.of(statement(task)))
    assert (writing.once, writing.by) == (once, by)


def test_a_way_that_somebody_has_set_is_gone() -> None:
    capability = Capability.of(statement(kind("Task", "create", "update"), kind("Communication", "create")))
    wished = {"Task": Way.DOCUMENT_REFERENCE, "Flag": Way.OWN, "CarePlan": Way.NATIVE, "Provenance": Way.COMMUNICATION}
    ways = {one.type: (one.way, one.as_type) for one in writes_for(capability, wished)}
    assert ways == {
        "Task": (Way.DOCUMENT_REFERENCE, "DocumentReference"),
        "Flag": (Way.OWN, ""),
        "CarePlan": (Way.NATIVE, "CarePlan"),
        "Communication": (Way.NATIVE, "Communication"),
        "Provenance": (Way.OWN, ""),
        "AuditEvent": (Way.OWN, ""),
    }


def test_what_no_type_says_is_taken_as_offered_and_what_some_say_is_not() -> None:
    silent = Capability.of(statement({"type": "Appointment"}, {"type": "Task"}))
    assert silent.offer("Appointment").can("read", "search-type", "create", "update")
    assert silent.offer("Appointment").searches("_lastUpdated") == "_lastUpdated"
    assert not silent.offer("Appointment").stated
    assert not silent.offer("Flag").interactions
    spoken = Capability.of(statement({"type": "Appointment"}, kind("Task", "read", "search-type")))
    assert not spoken.offer("Appointment").interactions
    assert spoken.offer("Task").stated
    some = Capability.of(statement(kind("Task", "search-type"), kind("Flag", "search-type", parameters=("patient",))))
    assert (some.offer("Task").searches("patient"), some.offer("Flag").searches("patient")) == ("", "patient")


def test_parameters_of_the_whole_server_are_those_of_each_type() -> None:
    capability = Capability.of(statement(kind("Task", "search-type"), searchParam=[{"name": "_lastUpdated"}]))
    assert capability.offer("Task").searches("_lastUpdated") == "_lastUpdated"


def test_what_a_client_does_counts_for_nothing() -> None:
    capability = Capability.of({"fhirVersion": "4.0.1", "rest": [{"mode": "client", "resource": [{"type": "Task"}]}]})
    assert capability.offers == {}


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"rest": None},
        {"rest": ["x"]},
        {"rest": [{"mode": "server", "resource": "x", "security": []}]},
        {"rest": [{"resource": [{"type": "Task", "interaction": "read", "searchParam": [{}]}]}], "software": "x"},
    ],
)
def test_an_odd_statement_is_read_as_far_as_it_goes(odd: dict[str, Any]) -> None:
    capability = Capability.of({"resourceType": "CapabilityStatement", **odd})
    assert capability.fhir_version == ""
    assert {one.way for one in writes_for(capability)} <= {Way.OWN, Way.NATIVE}


def test_another_resource_is_no_statement() -> None:
    with pytest.raises(EprError, match="OperationOutcome"):
        Capability.of({"resourceType": "OperationOutcome"})
