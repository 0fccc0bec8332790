"""Notifications in both dialects, and that nothing in them gets further than an event or a SenderError."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fhirbridge.errors import SenderError, TooLarge
from fhirbridge.fhir.notification import Event, Notification, bundled, deleted, posted, put

NOSHOW: dict[str, Any] = {
    "resourceType": "Appointment",
    "id": "a1",
    "meta": {"versionId": "2", "lastUpdated": "2026-01-05T10:00:00Z"},
    "status": "noshow",
    "cancelationReason": {"text": "R4's app-4 would refuse this"},
    "start": "2026-01-05T09:00:00Z",
}


def as_bytes(value: object) -> bytes:
    return orjson.dumps(value)


def parameters(kind: str, *events: dict[str, Any], so_far: str = "7", names: str = "kebab") -> dict[str, Any]:
    event_name, number_name, count_name = {
        "kebab": ("notification-event", "event-number", "events-since-subscription-start"),
        "camel": ("notificationEvent", "eventNumber", "eventsSinceSubscriptionStart"),
    }[names]
    told = [
        {
            "name": event_name,
            "part": [
                {"name": number_name, "valueString": event["number"]},
                {"name": "timestamp", "valueInstant": "2026-01-05T10:00:01Z"},
                *([{"name": "focus", "valueReference": {"reference": event["focus"]}}] if "focus" in event else []),
            ],
        }
        for event in events
    ]
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": "https://epr.example/fhir/Subscription/s1"}},
            {"name": "topic", "valueCanonical": "https://fhirbridge.example/fhir/SubscriptionTopic/Appointment|1.0"},
            {"name": "status", "valueCode": "requested"},
            {"name": "type", "valueCode": kind},
            {"name": count_name, "valueString": so_far},
            *told,
        ],
    }


def bundle(status: dict[str, Any], *entries: dict[str, Any], kind: str = "history") -> bytes:
    return as_bytes({"resourceType": "Bundle", "type": kind, "entry": [{"resource": status}, *entries]})


# --- R4 rest-hook


@pytest.mark.parametrize("body", [b"", b"  \r\n"])
def test_an_empty_post_says_look_again(body: bytes) -> None:
    assert posted(body) == Notification(look_again=True)


def test_a_post_with_the_resource() -> None:
    event = Event(type="Appointment", id="a1", version="2", resource=NOSHOW)
    assert posted(as_bytes(NOSHOW)) == Notification(events=(event,))


def test_a_put_with_the_resource() -> None:
    assert put("Appointment", "a1", as_bytes(NOSHOW)).events[0].resource == NOSHOW


def test_a_put_without_a_body_names_the_resource() -> None:
    told = put("Appointment", "a1", b"")
    assert told.events == (Event(type="Appointment", id="a1"),)
    assert told.look_again


def test_a_put_whose_body_is_another_resource_is_refused() -> None:
    with pytest.raises(SenderError, match="the path says Appointment/a2, the body Appointment/a1"):
        put("Appointment", "a2", as_bytes(NOSHOW))


def test_a_delete() -> None:
    assert deleted("Appointment", "a1").events == (Event(type="Appointment", id="a1", deleted=True),)


@pytest.mark.parametrize(("kind", "identity"), [("Appointmnt", "a1"), ("Appointment", "a/1"), ("Appointment", "")])
def test_a_path_that_is_no_reference_is_refused(kind: str, identity: str) -> None:
    with pytest.raises(SenderError) as error:
        deleted(kind, identity)
    assert error.value.place == "path"


def test_a_type_of_no_use_is_an_event_all_the_same() -> None:
    observation = {"resourceType": "Observation", "id": "o", "meta": {"lastUpdated": "2026-01-05T10:00:00Z"}}
    assert posted(as_bytes(observation)).events[0].type == "Observation"


# --- R5 Backport


def test_a_handshake_has_no_event() -> None:
    told = posted(bundle(parameters("handshake", so_far="0")))
    assert (told.kind, told.events, told.look_again, told.so_far) == ("handshake", (), False, 0)
    assert told.subscription == "https://epr.example/fhir/Subscription/s1"
    assert (told.topic, told.status) == ("https://fhirbridge.example/fhir/SubscriptionTopic/Appointment", "requested")


def test_a_heartbeat_counts() -> None:
    assert posted(bundle(parameters("heartbeat", so_far="12"))).so_far == 12


@pytest.mark.parametrize("names", ["kebab", "camel"])
@pytest.mark.parametrize("kind", ["history", "subscription-notification"])
def test_ids_only(names: str, kind: str) -> None:
    focus = {"number": "7", "focus": "https://epr.example/fhir/Appointment/a1/_history/3"}
    told = posted(bundle(parameters("event-notification", focus, names=names), kind=kind))
    assert told.events == (Event(type="Appointment", id="a1", version="3"),)
    assert (told.numbers, told.so_far, told.look_again) == ((7,), 7, False)


def test_an_empty_payload_says_look_again() -> None:
    told = posted(bundle(parameters("event-notification", {"number": "7"})))
    assert (told.events, told.look_again, told.numbers) == ((), True, (7,))


def test_full_resources_more_than_one_event() -> None:
    status = parameters(
        "event-notification",
        {"number": "7", "focus": "Appointment/a1"},
        {"number": "8", "focus": "Encounter/e1"},
        {"number": "9", "focus": "Appointment/a1"},
        {"number": "10", "focus": "Task/t1"},
    )
    told = posted(
        bundle(
            status,
            {"fullUrl": "https://epr.example/fhir/Appointment/a1", "resource": NOSHOW, "request": {"method": "PUT"}},
            {"request": {"method": "DELETE", "url": "Encounter/e1"}},
            {"resource": {"resourceType": "Patient", "id": "context"}},
        )
    )
    assert told.events == (
        Event(type="Appointment", id="a1", version="2", resource=NOSHOW),
        Event(type="Encounter", id="e1", deleted=True),
        Event(type="Task", id="t1"),
    )
    assert told.numbers == (7, 8, 9, 10)


def test_the_status_resource_of_r4b() -> None:
    status = {
        "resourceType": "SubscriptionStatus",
        "type": "event-notification",
        "subscription": {"reference": "Subscription/s1"},
        "topic": "https://fhirbridge.example/fhir/SubscriptionTopic/Appointment",
        "status": "active",
        "eventsSinceSubscriptionStart": 3,
        "notificationEvent": [{"eventNumber": 3, "focus": {"reference": "Appointment/a1"}}],
    }
    told = posted(bundle(status, kind="subscription-notification"))
    assert (told.events, told.numbers, told.so_far) == ((Event(type="Appointment", id="a1"),), (3,), 3)
    assert (told.topic, told.status) == ("https://fhirbridge.example/fhir/SubscriptionTopic/Appointment", "active")


def test_the_answer_to_status_is_a_searchset() -> None:
    answer = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": parameters("query-status")}]}
    assert (bundled(answer).kind, bundled(answer).so_far) == ("query-status", 7)


def test_a_bad_resource_in_a_bundle_is_named_with_its_entry() -> None:
    status = parameters("event-notification", {"number": "7", "focus": "Appointment/a1"})
    with pytest.raises(SenderError) as error:
        posted(bundle(status, {"resource": {**NOSHOW, "status": "lost"}}))
    assert error.value.place == "Bundle.entry[1].resource.Appointment.status"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (as_bytes({"resourceType": "Bundle", "type": "transaction"}), "Bundle.entry"),
        (as_bytes({"resourceType": "Bundle", "entry": ["x"]}), "Bundle.entry[0]"),
        (bundle(NOSHOW, kind="transaction"), "Bundle.entry[0].resource"),
        (bundle(parameters("news")), "Bundle.entry[0].resource.type"),
        (bundle(parameters("event-notification", {"number": "1", "focus": "urn:uuid:1"})), "Bundle.entry[0].resource"),
    ],
)
def test_a_bundle_that_is_no_notification_is_refused(body: bytes, place: str) -> None:
    with pytest.raises(SenderError) as error:
        posted(body)
    assert error.value.place == place


# --- bad input


@pytest.mark.parametrize(
    ("change", "place", "issue"),
    [
        ({"resourceType": "Appointmnt"}, "resourceType", "structure"),
        ({"resourceType": None}, "resourceType", "structure"),
        ({"id": None}, "Appointment.id", "required"),
        ({"id": "a b"}, "Appointment.id", "value"),
        ({"meta": {}}, "Appointment.meta.lastUpdated", "required"),
        ({"meta": "x"}, "Appointment.meta.lastUpdated", "required"),
        ({"meta": {"lastUpdated": "2026-01-05"}}, "Appointment.meta.lastUpdated", "value"),
        ({"meta": {"lastUpdated": "2026-01-05T10:00:00"}}, "Appointment.meta.lastUpdated", "value"),
        ({"meta": {"lastUpdated": "2026-01-05T10:00:00Z", "versionId": 3}}, "Appointment.meta.versionId", "value"),
        ({"status": None}, "Appointment.status", "required"),
        ({"status": "missed"}, "Appointment.status", "code-invalid"),
        ({"status": ["noshow"]}, "Appointment.status", "code-invalid"),
        ({"start": "2026-02-30T09:00:00Z"}, "Appointment.start", "value"),
        ({"start": "2026-01-05T24:00:00Z"}, "Appointment.start", "value"),
        ({"start": "2026-01-05T09:00:00+15:00"}, "Appointment.start", "value"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "Appointment.start", "value"),
        ({"start": "9999-12-31T23:59:59-14:00"}, "Appointment.start", "value"),
        ({"start": 5}, "Appointment.start", "value"),
    ],
)
def test_a_bad_resource_is_refused_with_the_element(change: dict[str, Any], place: str, issue: str) -> None:
    with pytest.raises(SenderError) as error:
        posted(as_bytes({**NOSHOW, **change}))
    assert (error.value.place, error.value.issue) == (place, issue)
    assert error.value.message


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"noshow", b'{"a": NaN}', b'{"id": "\\ud800"}'])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(SenderError, match="not JSON"):
        posted(body)


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"1"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(SenderError, match="not a JSON object"):
        posted(body)


def test_a_body_over_the_limit_is_too_large() -> None:
    body = as_bytes(NOSHOW)
    assert posted(body, max_bytes=len(body)).events
    with pytest.raises(TooLarge):
        posted(body, max_bytes=len(body) - 1)


def nested(depth: int) -> bytes:
    """NOSHOW with an element that makes it `depth` levels deep."""
    return as_bytes(NOSHOW)[:-1] + b',"x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_nesting_within_the_limit_is_read() -> None:
    assert posted(nested(64)).events


@pytest.mark.parametrize("depth", [65, 1000, 1100, 200_000])
def test_nesting_beyond_the_limit_is_too_large(depth: int) -> None:
    with pytest.raises(TooLarge, match="nested deeper than 64"):
        posted(nested(depth))


def test_many_small_objects_are_not_deep() -> None:
    assert posted(as_bytes({**NOSHOW, "participant": [{"status": "accepted"}] * 500})).events


# --- hostile


def survives(body: bytes) -> None:
    with suppress(SenderError):
        assert all(isinstance(event, Event) for event in posted(body).events)


@given(st.binary(max_size=200))
@example(b'{"resourceType":"Bundle","entry":[{}]}')
def test_no_bytes_get_further_than_an_event_or_a_refusal(body: bytes) -> None:
    survives(body)


JSON = st.recursive(
    st.sampled_from([None, True, -1, 2**63, 0.5, "", "a1", "Appointment/a1", "event-notification", "2026-02-30"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resource", "request", "reference", "parameter", "part", "name", "start", "coding"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([*NOSHOW, "entry", "parameter", "type", "period"]),
        JSON
        | st.sampled_from(["Bundle", "Task", "Appointment", NOSHOW["meta"], [{"resource": parameters("heartbeat")}]]),
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_json_gets_further_than_an_event_or_a_refusal(body: dict[str, Any]) -> None:
    survives(as_bytes({**NOSHOW, **body}))
    survives(as_bytes({"resourceType": "Bundle", **body}))
    survives(as_bytes({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Parameters", **body}}]}))


@given(
    st.binary(max_size=30), st.integers(0, 400), st.sampled_from([as_bytes(NOSHOW), bundle(parameters("handshake"))])
)
def test_no_damage_gets_further_than_an_event_or_a_refusal(junk: bytes, at: int, body: bytes) -> None:
    survives(body[:at] + junk + body[at + len(junk) :])
