"""What the HTTP client makes of an EPR that answers badly, slowly, too much, or not at all."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import orjson
import pytest
import respx

from fhirbridge import __version__
from fhirbridge.adapters.auth import BearerToken
from fhirbridge.adapters.epr import FhirEpr
from fhirbridge.adapters.epr.entries import answered
from fhirbridge.errors import EprConflict, EprError, EprRefused, EprUnauthorised, EprUnavailable
from fhirbridge.fhir.canonical import OBLIGATION, WRITE
from fhirbridge.ports import Delivery, Event, Outgoing, Resource, Subject
from fhirbridge.service import said

BASE = "https://epr.example/fhir"
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "required", "diagnostics": "Task.intent is missing"}],
}


@pytest.fixture
async def epr() -> AsyncIterator[FhirEpr]:
    async with FhirEpr("trust", BASE, auth=BearerToken("t0ken"), largest_answer=100_000, most_pages=3) as client:
        yield client


def page(*ids: str, following: str = "", **more: Any) -> Resource:
    link = [{"relation": "next", "url": following}] if following else []
    entry = [{"resource": {"resourceType": "Task", "id": one}, **more} for one in ids]
    return {"resourceType": "Bundle", "type": "searchset", "link": link, "entry": entry}


async def ids(epr: FhirEpr) -> list[str]:
    return [match["id"] async for match in epr.search("Task", {"patient": "p"})]


@respx.mock
async def test_who_asks_and_for_what(epr: FhirEpr) -> None:
    route = respx.get(f"{BASE}/Task/1").respond(json={"resourceType": "Task", "id": "1"})
    await epr.read("Task/1")
    sent = route.calls.last.request.headers
    assert sent["Authorization"] == "Bearer t0ken"
    assert sent["User-Agent"] == f"fhirbridge/{__version__}"
    assert sent["Accept"] == "application/fhir+json"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, EprRefused),
        (401, EprUnauthorised),
        (403, EprRefused),
        (405, EprRefused),
        (408, EprUnavailable),
        (409, EprConflict),
        (412, EprConflict),
        (413, EprRefused),
        (422, EprRefused),
        (429, EprUnavailable),
        (500, EprUnavailable),
        (501, EprRefused),
        (503, EprUnavailable),
    ],
)
@respx.mock
async def test_a_status_is_somebodys_fault(epr: FhirEpr, status: int, error: type[EprError]) -> None:
    respx.post(f"{BASE}/Task").respond(status, json=OUTCOME)
    with pytest.raises(error, match=rf"trust: create Task: {status} Task.intent is missing") as raised:
        await epr.create({"resourceType": "Task"})
    assert type(raised.value) is error


@respx.mock
async def test_a_refusal_brings_its_outcome(epr: FhirEpr) -> None:
    respx.post(f"{BASE}/Task").respond(422, json=OUTCOME)
    with pytest.raises(EprRefused) as raised:
        await epr.create({"resourceType": "Task"})
    assert raised.value.outcome == OUTCOME


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30.0),
        ({"Retry-After": "Mon, 02 Mar 2026 09:02:00 GMT", "Date": "Mon, 02 Mar 2026 09:00:00 GMT"}, 120.0),
        ({"Retry-After": "Mon, 02 Mar 2026 08:00:00 GMT", "Date": "Mon, 02 Mar 2026 09:00:00 GMT"}, 0.0),
        ({"Retry-After": "Mon, 02 Mar 2026 09:02:00 GMT"}, None),
        ({"Retry-After": "soon", "Date": "Mon, 02 Mar 2026 09:00:00 GMT"}, None),
        ({}, None),
    ],
)
@respx.mock
async def test_how_long_it_wants_to_be_left_alone(epr: FhirEpr, headers: dict[str, str], seconds: float | None) -> None:
    respx.get(f"{BASE}/Task/1").respond(429, headers=headers)
    with pytest.raises(EprUnavailable) as raised:
        await epr.read("Task/1")
    assert raised.value.retry_after == seconds


@pytest.mark.parametrize("fault", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.PoolTimeout])
@respx.mock
async def test_no_answer_is_unavailable(epr: FhirEpr, fault: type[httpx.TransportError]) -> None:
    respx.get(f"{BASE}/Task/1").mock(side_effect=fault("gone"))
    with pytest.raises(EprUnavailable, match=fault.__name__):
        await epr.read("Task/1")


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"[]", b"{}", b'{"resourceType"'])
@respx.mock
async def test_what_is_not_fhir_is_an_error(epr: FhirEpr, body: bytes) -> None:
    respx.get(f"{BASE}/Task/1").respond(200, content=body)
    with pytest.raises(EprError, match="not FHIR JSON"):
        await epr.read("Task/1")


@respx.mock
async def test_an_answer_is_read_up_to_a_limit(epr: FhirEpr) -> None:
    respx.get(f"{BASE}/Task/1").respond(200, content=b" " * 100_001)
    with pytest.raises(EprError, match="more than 100000 bytes"):
        await epr.read("Task/1")


@respx.mock
async def test_a_redirect_is_not_followed(epr: FhirEpr) -> None:
    respx.get(f"{BASE}/Task/1").respond(302, headers={"Location": "https://elsewhere.example/"})
    with pytest.raises(EprError, match="redirect"):
        await epr.read("Task/1")


@pytest.mark.parametrize("reference", ["Task/../Patient", "Task", "Task/1/_history", "Task/1?x=y", "https://x/Task/1"])
async def test_only_a_reference_is_read(epr: FhirEpr, reference: str) -> None:
    with pytest.raises(EprRefused, match="Type/id"):
        await epr.read(reference)


@respx.mock
async def test_pages_are_followed_and_nothing_comes_twice(epr: FhirEpr) -> None:
    respx.get(f"{BASE}/Task", params={"patient": "p"}).respond(json=page("1", "2", following=f"{BASE}?page=2"))
    respx.get(BASE, params={"page": "2"}).respond(json=page("2", "3", following="Task?page=3"))
    respx.get(f"{BASE}/Task", params={"page": "3"}).respond(json=page("4"))
    assert await ids(epr) == ["1", "2", "3", "4"]


@respx.mock
async def test_what_is_only_included_is_no_match(epr: FhirEpr) -> None:
    respx.get(f"{BASE}/Task").respond(json=page("1", search={"mode": "include"}))
    assert await ids(epr) == []


@pytest.mark.parametrize(
    "following",
    [
        "https://elsewhere.example/fhir?page=2",
        "http://epr.example/fhir?page=2",
        "https://epr.example/fhirelsewhere?page=2",
        "https://epr.example/fhir/%2e%2e/admin",
        "https://epr.example@elsewhere.example/fhir",
        "//elsewhere.example/fhir",
        "/admin",
    ],
)
@respx.mock
async def test_a_link_out_of_the_epr_is_not_followed(epr: FhirEpr, following: str) -> None:
    respx.get(f"{BASE}/Task").respond(json=page("1", following=following))
    with pytest.raises(EprError, match="leads out"):
        await ids(epr)
    assert respx.calls.call_count == 1


@respx.mock
async def test_a_search_without_end_ends(epr: FhirEpr) -> None:
    respx.get(f"{BASE}/Task").respond(json=page("1", following=f"{BASE}/Task?again"))
    with pytest.raises(EprError, match="more than 3 pages"):
        await ids(epr)
    assert respx.calls.call_count == 3


@respx.mock
async def test_what_slips_to_a_page_that_was_read_is_found_by_reading_again(epr: FhirEpr) -> None:
    second = respx.get(BASE, params={"page": "2"}).respond(json=page("4"))
    respx.get(f"{BASE}/Task").mock(
        side_effect=[
            httpx.Response(200, json=page("1", "2", following=f"{BASE}?page=2")),
            httpx.Response(200, json=page("2", "3", following=f"{BASE}?page=2")),
            httpx.Response(200, json=page("2", "3", following=f"{BASE}?page=2")),
        ]
    )
    assert [match["id"] async for match in epr.search("Task", {})] == ["1", "2", "4", "3"]
    assert second.call_count == 3


@respx.mock
@pytest.mark.parametrize("status", [404, 410])
async def test_only_the_epr_itself_can_say_that_something_is_gone(epr: FhirEpr, status: int) -> None:
    """A gateway that has lost its EPR answers 404 to everything; nobody's record is withdrawn for that."""
    answer = respx.get(f"{BASE}/Task/1")
    answer.respond(status, html="<h1>default backend</h1>")
    with pytest.raises(EprUnavailable, match="not from a FHIR server"):
        await epr.read("Task/1")
    answer.respond(status, json={"resourceType": "OperationOutcome"})
    assert await epr.read("Task/1") is None
    answer.respond(status)
    assert await epr.read("Task/1") is None


@respx.mock
async def test_one_page_is_of_one_moment_and_read_once(epr: FhirEpr) -> None:
    asked = respx.get(f"{BASE}/Task").respond(json=page("1", "2"))
    assert len([match async for match in epr.search("Task", {})]) == 2
    assert asked.call_count == 1


@respx.mock
async def test_a_search_that_never_holds_still_is_given_up(epr: FhirEpr) -> None:
    count = iter(range(1000))
    respx.get(BASE, params={"page": "2"}).respond(json=page("last"))
    respx.get(f"{BASE}/Task").mock(
        side_effect=lambda _: httpx.Response(200, json=page(f"new-{next(count)}", following=f"{BASE}?page=2"))
    )
    with pytest.raises(EprUnavailable, match="keeps changing"):
        [match async for match in epr.search("Task", {})]


@respx.mock
async def test_the_history_of_a_type_tells_of_versions_and_deletions(epr: FhirEpr) -> None:
    entry = [
        {"request": {"method": "DELETE", "url": "Task/2"}, "response": {"etag": 'W/"7"'}},
        {"resource": {"resourceType": "Task", "id": "1", "meta": {"versionId": "3"}}},
        {"resource": {"resourceType": "Patient", "id": "1"}},
        {"request": {"method": "DELETE", "url": "Patient/2"}},
    ]
    asked = respx.get(f"{BASE}/Task/_history").respond(json={"resourceType": "Bundle", "entry": entry})
    since = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=1)))

    events = [event async for event in epr.changes("Task", since)]

    assert events == [Event(type="Task", id="2", version="7", deleted=True), Event(type="Task", id="1", version="3")]
    assert asked.calls[0].request.url.params["_since"] == "2026-03-29T01:30:00Z"


@respx.mock
async def test_history_is_given_oldest_first_over_its_pages(epr: FhirEpr) -> None:
    following = f"{BASE}/Task/1/_history?page=2"
    respx.get(following).respond(json=page("second", "first"))
    respx.get(f"{BASE}/Task/1/_history", params={"_count": "200"}).respond(json=page("third", following=following))
    assert [version["id"] for version in await epr.history("Task/1")] == ["first", "second", "third"]


@respx.mock
async def test_nothing_of_a_query_reaches_log_or_message(epr: FhirEpr, caplog: pytest.LogCaptureFixture) -> None:
    respx.get(f"{BASE}/Patient").respond(500)
    with caplog.at_level(logging.INFO), pytest.raises(EprUnavailable) as raised:
        _ = [one async for one in epr.search("Patient", {"identifier": "https://fhir.nhs.uk/Id/nhs-number|9990000018"})]
    assert "9990000018" not in caplog.text + str(raised.value)


def rows(count: int) -> list[Delivery]:
    return [
        Delivery(
            row=number,
            subject=Subject("trust", "Patient/p"),
            outgoing=Outgoing(
                identity=f"i{number}",
                type="Task",
                verb="create",
                resource={"resourceType": "Task", "identifier": [{"system": OBLIGATION, "value": f"i{number}"}]},
                provenance={"resourceType": "Provenance", "meta": {"tag": [{"system": WRITE, "code": f"w{number}"}]}},
            ),
        )
        for number in range(count)
    ]


def offers(provenance: Resource | None) -> None:
    kinds = [{"type": "Task", "conditionalCreate": True}, *([provenance] if provenance else [])]
    rest = {"mode": "server", "resource": kinds, "interaction": [{"code": "transaction"}]}
    statement = {"resourceType": "CapabilityStatement", "rest": [rest]}
    respx.get(f"{BASE}/metadata").respond(json=statement)
    respx.get(f"{BASE}/Provenance").respond(json={"resourceType": "Bundle"})


def answers(*locations: str) -> Resource:
    entry = [{"response": {"status": "201", "location": one, "etag": 'W/"7"'}} for one in locations]
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": entry}


@pytest.mark.parametrize(
    ("location", "reference", "version"),
    [
        (f"{BASE}/Task/9/_history/1", "Task/9", "1"),
        ("Task/9/_history/1", "Task/9", "1"),
        ("Task/9", "Task/9", "7"),
    ],
)
@respx.mock
async def test_where_the_epr_put_it(epr: FhirEpr, location: str, reference: str, version: str) -> None:
    offers(None)
    respx.post(BASE).respond(json=answers(location))
    (receipt,) = await epr.deliver(rows(1), {})
    assert (receipt.reference, receipt.version) == (reference, version)


@respx.mock
async def test_where_the_epr_does_not_say_it_is_looked_for(epr: FhirEpr) -> None:
    offers(None)
    respx.post(BASE).respond(json=answers(""))
    respx.get(f"{BASE}/Task", params={"identifier": f"{OBLIGATION}|i0"}).respond(json=page("found"))
    (receipt,) = await epr.deliver(rows(1), {})
    assert (receipt.reference, receipt.version) == ("Task/found", "7")


@pytest.mark.parametrize(
    ("provenance", "requests"),
    [
        (None, ["POST Task"]),
        ({"type": "Provenance", "conditionalCreate": True}, ["POST Task", "POST Provenance"]),
        ({"type": "Provenance", "updateCreate": True}, ["POST Task", "PUT Provenance/w0"]),
    ],
    ids=["not-offered", "conditionally", "by-id"],
)
@respx.mock
async def test_a_provenance_is_kept_as_the_epr_can(
    epr: FhirEpr, provenance: Resource | None, requests: list[str]
) -> None:
    offers(provenance)
    route = respx.post(BASE).respond(json=answers(*["Task/1"] * len(requests)))
    await epr.deliver(rows(1), {})
    sent = [entry["request"] for entry in orjson.loads(route.calls.last.request.content)["entry"]]
    assert [f"{request['method']} {request['url']}" for request in sent] == requests
    assert sent[0]["ifNoneExist"] == f"identifier={OBLIGATION}|i0"
    if requests[-1] == "POST Provenance":
        assert sent[-1]["ifNoneExist"] == f"_tag={WRITE}|w0"


@respx.mock
async def test_what_the_service_may_not_read_is_no_rows_fault(epr: FhirEpr) -> None:
    offers({"type": "Provenance"})
    respx.get(f"{BASE}/Provenance").respond(403, json=OUTCOME)
    with pytest.raises(EprRefused):
        await epr.deliver(rows(2), {})


@respx.mock
async def test_an_epr_that_goes_away_between_single_rows_is_unavailable(epr: FhirEpr) -> None:
    offers(None)
    respx.post(BASE).mock(side_effect=[httpx.Response(422), httpx.Response(422, json=OUTCOME), httpx.Response(503)])
    with pytest.raises(EprUnavailable):
        await epr.deliver(rows(2), {})


@respx.mock
async def test_an_answer_that_leaves_entries_out_is_an_error(epr: FhirEpr) -> None:
    offers(None)
    respx.post(BASE).respond(json=answers("Task/1"))
    with pytest.raises(EprError, match="2 entries sent, 1 answered"):
        await epr.deliver(rows(2), {})


REASON = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "business-rule", "diagnostics": "Amina Okafor has no such team"}],
}


@respx.mock
async def test_a_conflict_about_something_new_is_a_refusal_with_its_outcome(epr: FhirEpr) -> None:
    offers(None)
    respx.post(BASE).respond(409, json=REASON)
    respx.get(f"{BASE}/Task").respond(json={"resourceType": "Bundle"})
    (receipt,) = await epr.deliver(rows(1), {})
    assert "no such team" in receipt.refused
    assert receipt.outcome == REASON


@pytest.mark.parametrize(("attempts", "given_up"), [(0, False), (2, False), (3, True)])
@respx.mock
async def test_a_conflict_about_a_change_is_one_with_somebody_until_it_was_tried_often(
    epr: FhirEpr, attempts: int, given_up: bool
) -> None:
    offers(None)
    task = {"resourceType": "Task", "id": "1", "meta": {"versionId": "3"}, "status": "requested"}
    respx.get(f"{BASE}/Task/1").respond(json=task)
    put = respx.post(BASE).respond(409, json=REASON)
    outgoing = Outgoing(identity="i0", type="Task", verb="change", resource={"status": "cancelled"}, provenance={})
    row = Delivery(row=1, subject=Subject("trust", "Patient/p"), outgoing=outgoing, attempts=attempts)
    if given_up:
        (receipt,) = await epr.deliver([row], {"i0": "Task/1"})
        assert receipt.outcome == REASON
    else:
        with pytest.raises(EprConflict):
            await epr.deliver([row], {"i0": "Task/1"})
    sent = orjson.loads(put.calls.last.request.content)["entry"][0]["request"]
    assert sent == {"method": "PUT", "url": "Task/1", "ifMatch": 'W/"3"'}


@pytest.mark.parametrize("status", [400, 409, 422, 500])
@respx.mock
async def test_no_log_says_what_an_epr_said(epr: FhirEpr, status: int) -> None:
    respx.get(f"{BASE}/Task/1").respond(status, json=REASON)
    with pytest.raises(EprError) as raised:
        await epr.read("Task/1")
    assert "Amina Okafor" in str(raised.value)
    assert "Okafor" not in said(raised.value)
    assert str(status) in said(raised.value)


@respx.mock
async def test_one_interaction_carries_its_conditions_and_says_where_it_went(epr: FhirEpr) -> None:
    post = respx.post(f"{BASE}/Task").respond(201, headers={"Location": f"{BASE}/Task/9/_history/1"})
    put = respx.put(f"{BASE}/Task/9").respond(200, headers={"ETag": 'W/"2"'})
    create = {"method": "POST", "url": "Task", "ifNoneExist": "identifier=a|b"}
    created = await epr.interact({"resource": {"resourceType": "Task"}, "request": create})
    change = {"method": "PUT", "url": "Task/9", "ifMatch": 'W/"1"'}
    changed = await epr.interact({"resource": {"resourceType": "Task", "id": "9"}, "request": change})
    assert (answered(created), answered(changed)) == (("Task/9", "1"), ("Task/9", "2"))
    assert post.calls.last.request.headers["If-None-Exist"] == "identifier=a|b"
    assert put.calls.last.request.headers["If-Match"] == 'W/"1"'
