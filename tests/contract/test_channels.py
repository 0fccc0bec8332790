"""What every `channels.Channel` keeps to: the tests' own, the spool folder, and MESH."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.adapters.mesh import MeshChannel, Post
from fhirbridge.adapters.post import OUTGOING, PostChannel
from fhirbridge.channels import Channel, Dispatch, Sent, Told
from fhirbridge.core.deliveries import FAILED, Recipient, Stage, said, standing
from fhirbridge.fhir.itk3 import SEND_DOCUMENT, Sender
from tests.channel_double import ChannelDouble
from tests.clock_double import ClockDouble
from tests.servers.mesh import OURS, PASSWORD, PRACTICE, SHARED_KEY, forget_everything, mesh_sandbox

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ATTACHED: dict[str, Any] = {
    "contentType": "application/pdf",
    "data": b64encode(b"%PDF-1.7 a letter").decode(),
    "title": "Discharge from our service",
    "creation": "2026-03-02T12:00:00+00:00",
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"use": "official", "family": "Person"}],
    "birthDate": "1980-03-02",
    "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}],
}
ONE = "2e1d8e73-5a64-4f1d-8c2a-3b5c7e7a9b02"
OTHER = "3f2e9f84-6b75-4a2e-9d3b-4c6d8f8b0c03"


class Bench(Struct):
    """A channel, how to make it as a new process would, and what has arrived at the other end."""

    make: Callable[[], Channel]
    arrived: Callable[[], list[str]]


@pytest.fixture(scope="module")
def mesh_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mesh_sandbox(tmp_path_factory.mktemp("mesh")) as url:
        yield url


@pytest.fixture(params=["double", "post", "mesh"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "double":
        double = ChannelDouble()
        yield Bench(lambda: double, lambda: list(double.arrived))
    elif request.param == "post":
        spool = tmp_path / "spool"
        yield Bench(
            lambda: PostChannel(spool, ClockDouble(NOON)), lambda: [each.name for each in (spool / OUTGOING).iterdir()]
        )
    else:
        url = request.getfixturevalue("mesh_url")
        forget_everything(url)
        made: list[MeshChannel] = []

        def make() -> Channel:
            sender = Sender(ods="X26", name="Test Trust", telephone="01632 960001", mailbox=OURS)
            channel = MeshChannel(lambda: post(url, OURS), sender, SEND_DOCUMENT, ClockDouble(NOON), every=timedelta(0))
            made.append(channel)
            return channel

        yield Bench(make, lambda: local_ids(url))
        for each in made:
            await each.close()


def post(url: str, mailbox: str) -> Post:
    return Post(url, mailbox, PASSWORD, shared_key=SHARED_KEY.encode(), max_retries=0)


def local_ids(url: str) -> list[str]:
    """What lies in the practice's mailbox; it is left there."""
    practice, found = post(url, PRACTICE), []
    for waiting in practice.list_messages():
        message = practice.retrieve_message(waiting)
        found.append(str(message.local_id))
        message.close()  # type: ignore[no-untyped-call]
    practice.close()
    return found


def dispatch(key: str = ONE) -> Dispatch:
    return Dispatch(
        row=1,
        key=key,
        epr="main",
        patient="Patient/p1",
        identity="c1",
        recipient=Recipient(
            name="Organization/gp1",
            shown="The surgery",
            role="gp",
            channel="any",
            mailbox=PRACTICE,
            endpoint="https://gp.example",
            address=("1 High Street",),
        ),
        communication={
            "resourceType": "Communication",
            "payload": [{"contentString": "words"}, {"contentAttachment": ATTACHED}],
        },
        person=PATIENT,
    )


def stage(*told: Told) -> Stage:
    return standing([said(each.report, each.happened) for each in told]).stage


async def test_what_is_sent_arrives_and_is_called_something(bench: Bench) -> None:
    channel = bench.make()
    reference, told = await channel.send(dispatch())
    assert reference
    assert bench.arrived() == [ONE]
    assert stage(*told) not in FAILED
    assert {each.about for each in told} <= {ONE, reference}


async def test_what_is_sent_again_arrives_once(bench: Bench) -> None:
    first, _ = await bench.make().send(dispatch())
    again, _ = await bench.make().send(dispatch())
    assert again == first
    assert bench.arrived() == [ONE]


async def test_one_more_recipient_is_one_more_message(bench: Bench) -> None:
    channel = bench.make()
    for key in (ONE, OTHER):
        await channel.send(dispatch(key))
    assert sorted(bench.arrived()) == [ONE, OTHER]


async def test_nothing_is_told_of_what_nobody_has_touched(bench: Bench) -> None:
    channel = bench.make()
    assert list(await channel.learn([])) == []
    reference, _ = await channel.send(dispatch())
    assert list(await channel.learn([Sent(key=ONE, reference=reference, since=NOON)])) == []
    await channel.learnt([])


async def test_a_destination_is_the_same_for_the_same_recipient_and_names_no_patient(bench: Bench) -> None:
    channel = bench.make()
    one, other = dispatch(), replace(dispatch(OTHER), patient="Patient/p2", person=None)
    assert channel.destination(one) == channel.destination(other)
    assert "Patient" not in channel.destination(one)


async def test_a_channel_has_a_name_and_awaits_something_good(bench: Bench) -> None:
    channel = bench.make()
    assert channel.name
    assert channel.awaits in (Stage.COLLECTED, Stage.TAKEN_IN, Stage.RECEIVED)
    assert channel.every >= timedelta(0)
