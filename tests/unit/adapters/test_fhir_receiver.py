"""The channel to receivers with a FHIR endpoint: what is sent where, and what is made of their answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
import respx
from msgspec.structs import replace

from fhirbridge.adapters.fhir_receiver import LARGEST_ANSWER, FhirChannel, Receiver
from fhirbridge.channels import Dispatch
from fhirbridge.core.deliveries import Recipient, Report
from fhirbridge.errors import ChannelRefused, ChannelUnavailable
from tests.clock_double import ClockDouble
from tests.unit.fhir.receiver_messages import COMMUNICATION, IDENTITY, KEY, PERSON, SOURCE, TO, acknowledgement

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
GP = TO["endpoint"]
OTHER = "https://other.example/fhir"
MESSAGE = f"{GP}/$process-message"
DISPATCH = Dispatch(
    row=1,
    key=KEY,
    epr="main",
    patient="Patient/p1",
    identity=IDENTITY,
    recipient=Recipient(
        name="Organization/gp1", shown=TO["name"], role="gp", channel="fhir", ods="A81001", endpoint=GP
    ),
    communication=COMMUNICATION,
    person=PERSON,
)


@pytest.fixture
async def channel() -> AsyncIterator[FhirChannel]:
    receivers = [Receiver(endpoint=GP, token="ours"), Receiver(endpoint=f"{OTHER}/", way="transaction")]
    async with FhirChannel(receivers, SOURCE, ClockDouble(NOON)) as opened:
        yield opened


@pytest.fixture
def http() -> Any:
    with respx.mock(assert_all_called=False) as router:
        yield router


async def test_a_message_goes_to_the_endpoint_with_our_token(channel: FhirChannel, http: Any) -> None:
    route = http.post(MESSAGE).respond(202)
    assert await channel.send(DISPATCH) == (KEY, ())
    (request,) = [call.request for call in route.calls]
    assert request.headers["Authorization"] == "Bearer ours"
    assert request.headers["Content-Type"] == "application/fhir+json"
    bundle = orjson.loads(request.content)
    assert (bundle["type"], bundle["entry"][0]["resource"]["source"]["endpoint"]) == ("message", SOURCE)


async def test_the_receivers_own_message_in_the_answer_is_its_acknowledgement(channel: FhirChannel, http: Any) -> None:
    http.post(MESSAGE).respond(200, json=acknowledgement("fatal-error", details="30002", says="Not known here"))
    _, (told,) = await channel.send(DISPATCH)
    assert (told.report, told.code, told.says) == (Report.BUSINESS_BAD, "30002", "Not known here")
    assert told.happened == NOON


async def test_an_acknowledgement_of_something_else_counts_for_nothing(channel: FhirChannel, http: Any) -> None:
    http.post(MESSAGE).respond(200, json=acknowledgement("ok", about="another"))
    assert await channel.send(DISPATCH) == (KEY, ())


async def test_a_transaction_that_was_carried_out_was_taken_in(channel: FhirChannel, http: Any) -> None:
    route = http.post(OTHER).respond(200, json={"resourceType": "Bundle", "type": "transaction-response"})
    http.post(f"{OTHER}/").mock(side_effect=route.side_effect)
    to = replace(DISPATCH.recipient, endpoint=f"{OTHER}/")
    _, (told,) = await channel.send(replace(DISPATCH, recipient=to))
    assert told.report is Report.INFRASTRUCTURE_GOOD
    (request,) = [call.request for call in route.calls]
    assert "Authorization" not in request.headers
    assert orjson.loads(request.content)["entry"][0]["request"]["ifNoneExist"].endswith(KEY)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 409, 429, 500, 503])
async def test_what_does_not_speak_of_the_message_leaves_it_waiting(
    channel: FhirChannel, http: Any, status: int
) -> None:
    http.post(MESSAGE).respond(status, headers={"Retry-After": "7", "Location": OTHER})
    with pytest.raises(ChannelUnavailable, match=f"answers {status}") as caught:
        await channel.send(DISPATCH)
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_it_does_not_take_is_said_with_its_reason(channel: FhirChannel, http: Any, status: int) -> None:
    issue = {"severity": "error", "code": "invalid", "diagnostics": "no\n such event"}
    http.post(MESSAGE).respond(status, json={"resourceType": "OperationOutcome", "issue": [issue]})
    with pytest.raises(ChannelRefused, match=rf"refuses it \({status}\): no such event"):
        await channel.send(DISPATCH)


async def test_a_receiver_that_is_away_is_away(channel: FhirChannel, http: Any) -> None:
    http.post(MESSAGE).mock(side_effect=httpx.ConnectError("refused"))
    with pytest.raises(ChannelUnavailable, match="cannot be reached"):
        await channel.send(DISPATCH)


async def test_an_endless_answer_is_not_read_to_its_end(channel: FhirChannel, http: Any) -> None:
    http.post(MESSAGE).respond(200, content=b" " * (LARGEST_ANSWER + 1))
    assert await channel.send(DISPATCH) == (KEY, ())


async def test_nothing_goes_where_the_settings_name_nobody(channel: FhirChannel, http: Any) -> None:
    stranger = replace(DISPATCH.recipient, endpoint="https://stranger.example/fhir")
    with pytest.raises(ChannelRefused, match="name no such receiver; add it to receivers"):
        await channel.send(replace(DISPATCH, recipient=stranger))
    assert not http.calls


async def test_each_endpoint_is_a_destination_of_its_own(channel: FhirChannel) -> None:
    slashed = replace(DISPATCH.recipient, endpoint=f"{GP}/")
    assert channel.destination(DISPATCH) == channel.destination(replace(DISPATCH, recipient=slashed)) == GP
    assert await channel.learn([]) == ()
    await channel.learnt([])
