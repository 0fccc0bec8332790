"""Letters to practices over a real MESH: delivered, answered, undelivered, refused, and never twice."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import pytest
from mesh_client import MeshClient
from msgspec.structs import replace

from fhirbridge.adapters.mesh import MeshChannel, Post
from fhirbridge.channels import Dispatch, Recipient, Sent, Told
from fhirbridge.core.deliveries import Report, Stage, said, standing
from fhirbridge.errors import ChannelRefused, ChannelUnavailable
from fhirbridge.fhir.itk3 import SEND_DOCUMENT, Sender
from fhirbridge.fhir.stu3 import FHIR
from fhirbridge.settings import LetterSettings, MeshSettings, Settings
from fhirbridge.wiring.mesh import mesh_of
from tests.clock_double import ClockDouble
from tests.loopback import free_port
from tests.servers.mesh import (
    OTHER_PRACTICE,
    OTHER_PRACTICE_ODS,
    OURS,
    PASSWORD,
    PRACTICE,
    SHARED_KEY,
    forget_everything,
    mesh_sandbox,
    report,
)
from tests.servers.practice import answer

NOW = datetime(2026, 3, 28, 10, 5, tzinfo=UTC)
WORKFLOW = "GPCONNECT_SEND_DOCUMENT"
PDF = b"%PDF-1.7 a letter"
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"use": "official", "given": ["Test"], "family": "Person"}],
    "birthDate": "1980-03-02",
    "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}],
}
LETTERS = LetterSettings(name="Test Trust", address=("1 Road",), phone="01632 960001", crisis_phone="0808 157 0001")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mesh_sandbox(tmp_path_factory.mktemp("mesh")) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(url: str) -> None:
    forget_everything(url)


def channel(url: str, **changes: Any) -> MeshChannel:
    one = {"url": url, "mailbox": OURS, "password": PASSWORD, "shared_key": SHARED_KEY, "ods": "X26", "timeout": 10}
    made = mesh_of(Settings(letters=LETTERS, mesh=MeshSettings.model_validate({**one, **changes})), ClockDouble(NOW))
    assert made is not None
    return made


def client(url: str, mailbox: str = PRACTICE) -> MeshClient:
    return MeshClient(url, mailbox, PASSWORD, shared_key=SHARED_KEY.encode(), max_retries=0)


def dispatch(mailbox: str = PRACTICE, *, ods: str = "", role: str = "gp", pdf: bytes = PDF) -> Dispatch:
    attached = {
        "contentType": "application/pdf",
        "data": base64.b64encode(pdf).decode(),
        "title": "Discharge from our service",
        "creation": "2026-03-28T10:05:00+00:00",
    }
    return Dispatch(
        row=1,
        key=str(uuid4()),
        epr="main",
        patient="Patient/p1",
        identity="c1",
        recipient=Recipient(
            name="Organization/gp1", shown="The surgery", role=role, channel="mesh", ods=ods, mailbox=mailbox
        ),
        communication={
            "resourceType": "Communication",
            "payload": [{"contentString": "words"}, {"contentAttachment": attached}],
        },
        person=PATIENT,
    )


def post(url: str) -> Post:
    return Post(url, OURS, PASSWORD, shared_key=SHARED_KEY.encode(), max_retries=0)


def take(url: str, mailbox: str = PRACTICE) -> list[tuple[dict[str, str], bytes]]:
    """What a practice finds in its mailbox, and takes out of it."""
    taken = []
    with client(url, mailbox) as practice:
        for waiting in practice.list_messages():
            with practice.retrieve_message(waiting) as one:
                taken.append((dict(one.mex_headers()), one.read()))
    return taken


def reply(url: str, document: bytes, *, workflow: str = f"{WORKFLOW}_ACK", mailbox: str = PRACTICE) -> None:
    with client(url, mailbox) as practice:
        practice.send_message(OURS, document, workflow_id=workflow, content_type="application/xml")


def where(*told: Told) -> Stage:
    return standing([said(each.report, each.happened, each.code, each.says) for each in told]).stage


async def test_delivered_and_acknowledged(url: str) -> None:
    mesh, sent = channel(url), dispatch()
    reference, at_once = await mesh.send(sent)
    awaiting = [Sent(key=sent.key, reference=reference, since=NOW)]
    assert await mesh.learn(awaiting) == (), "nobody has collected it"
    ((headers, body),) = take(url)
    assert (headers["workflowid"], headers["localid"], headers["from"]) == (WORKFLOW, sent.key, OURS)
    assert headers["subject"] == (
        "Discharge from our service for Test Person, NHS Number: 9990000018, seen at Test Trust, X26, Version: 1"
    )
    (content,) = ElementTree.fromstring(body).iter(f"{{{FHIR}}}content")
    assert base64.b64decode(content.get("value", "")) == PDF
    collected = await mesh.learn(awaiting)
    assert [each.report for each in collected] == [Report.COLLECTED]
    reply(url, answer(sent.key, "20013", "ok"))
    reply(url, answer(sent.key, "30001", "ok", at="2026-03-28T15:00:00+00:00"))
    answered = [each for each in await mesh.learn(awaiting) if each.token]
    assert sorted(each.report for each in answered) == [Report.BUSINESS_GOOD, Report.INFRASTRUCTURE_GOOD]
    assert {each.about for each in answered} == {sent.key}
    assert where(*at_once, *collected, *answered) is Stage.RECEIVED
    await mesh.close()


async def test_what_is_told_stays_in_the_mailbox_until_it_is_durable(url: str) -> None:
    mesh, sent = channel(url), dispatch()
    await mesh.send(sent)
    reply(url, answer(sent.key, "20013", "ok"))
    first = await mesh.learn([])
    await mesh.close()
    after_a_crash = channel(url)
    again = await after_a_crash.learn([])
    assert again == first
    await after_a_crash.learnt(again)
    assert await after_a_crash.learn([]) == ()
    await after_a_crash.learnt(())
    await after_a_crash.close()


async def test_an_answer_to_a_message_of_yesterdays_process(url: str) -> None:
    yesterday, sent = channel(url), dispatch()
    await yesterday.send(sent)
    await yesterday.close()
    reply(url, answer(f"urn:uuid:{sent.key}", "30001", "ok"))
    today = channel(url)
    (told,) = await today.learn([])
    assert (told.about, told.report) == (sent.key, Report.BUSINESS_GOOD)
    await today.close()


async def test_the_same_answer_twice_says_the_same_twice(url: str) -> None:
    mesh, sent = channel(url), dispatch()
    await mesh.send(sent)
    for _ in range(2):
        reply(url, answer(sent.key, "30003", "fatal-error", says="Patient not known here"))
    one, other = await mesh.learn([])
    assert replace(one, token="") == replace(other, token="")
    assert (one.report, one.code, one.says) == (Report.BUSINESS_BAD, "30003", "Patient not known here")
    assert where(one, other) is Stage.REFUSED
    await mesh.learnt([one, other])
    await mesh.close()


async def test_sending_again_after_a_crash_sends_nothing(url: str) -> None:
    mesh, sent = channel(url), dispatch()
    first, _ = await mesh.send(sent)
    await mesh.close()
    after_a_crash = channel(url)
    second, told = await after_a_crash.send(sent)
    assert second == first
    assert [each.report for each in told] == [Report.ACCEPTED]
    assert len(take(url)) == 1
    await after_a_crash.close()


async def test_an_unknown_mailbox_is_refused(url: str) -> None:
    mesh = channel(url)
    with pytest.raises(ChannelRefused, match="MESH refuses it: 12: "):
        await mesh.send(dispatch("X26NOBODY"))
    await mesh.close()


async def test_a_message_that_nobody_collected_comes_back_as_a_report(url: str) -> None:
    mesh, sent = channel(url), dispatch()
    reference, _ = await mesh.send(sent)
    report(
        url,
        code="14",
        description="Message not collected by recipient after 5 days",
        about=reference,
        workflow=WORKFLOW,
    )
    (told,) = await mesh.learn([])
    assert (told.about, told.report, told.code) == (reference, Report.UNDELIVERABLE, "14")
    assert "not collected" in told.says
    assert where(told) is Stage.UNDELIVERED
    await mesh.learnt([told])
    await mesh.close()


@pytest.mark.parametrize("code", ["EPL-150", "EPL-151", "EPL-152", "EPL-153", "EPL-154"])
async def test_a_practice_that_mesh_cannot_find_comes_back_as_a_report(url: str, code: str) -> None:
    mesh = channel(url)
    report(url, code=code, description="No mailbox matched", about="M1", workflow=WORKFLOW, undelivered=False)
    (told,) = await mesh.learn([])
    assert (told.about, told.report, told.code) == ("M1", Report.UNDELIVERABLE, code)
    await mesh.learnt([told])
    await mesh.close()


async def test_a_large_message_goes_in_parts(url: str) -> None:
    letter = PDF + b" " + b"x" * 300_000
    mesh, sent = channel(url, chunk=100_000), dispatch(pdf=letter)
    await mesh.send(sent)
    ((headers, body),) = take(url)
    assert int(headers["chunk-range"].split(":")[1]) > 3
    (content,) = ElementTree.fromstring(body).iter(f"{{{FHIR}}}content")
    assert base64.b64decode(content.get("value", "")) == letter
    await mesh.close()


async def test_a_mailbox_is_looked_up_by_the_ods_code_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The only workflows that this MESH has receivers of are its own.
    workflow = replace(SEND_DOCUMENT, name="TEST_WORKFLOW2")
    mesh = MeshChannel(
        lambda: post(url), Sender(ods="X26", name="T", telephone="1", mailbox=OURS), workflow, ClockDouble(NOW)
    )
    asked: list[str] = []
    look_up = Post.lookup_endpoint

    def noting(self: Post, ods: str, workflow: str) -> Any:
        asked.append(ods)
        return look_up(self, ods, workflow)

    monkeypatch.setattr(Post, "lookup_endpoint", noting)
    for _ in range(2):
        await mesh.send(dispatch("", ods=OTHER_PRACTICE_ODS, role="agency"))
    assert len(take(url, OTHER_PRACTICE)) == 2
    assert asked == [OTHER_PRACTICE_ODS]
    await mesh.close()


@pytest.mark.parametrize("ods", ["", "V81999", "A99999"])
async def test_a_practice_nobody_can_name_is_found_by_the_patient(
    url: str, ods: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = channel(url)
    to: list[str] = []

    def noting(self: Post, recipient: str, *_: Any, **__: Any) -> str:
        to.append(recipient)
        return "M1"

    monkeypatch.setattr(Post, "send_message", noting)
    await mesh.send(dispatch("", ods=ods))
    assert to == ["GPPROVIDER_9990000018_19800302_Person"]
    await mesh.close()


async def test_a_wrong_password_is_our_own_fault_and_keeps_the_letter(url: str) -> None:
    mesh = channel(url, password="wrong")
    with pytest.raises(ChannelUnavailable, match="does not accept who we are") as refused:
        await mesh.send(dispatch())
    assert "wrong" not in str(refused.value)
    with pytest.raises(ChannelUnavailable, match="does not accept who we are"):
        await mesh.learn([])
    await mesh.close()


async def test_a_mesh_that_is_away_for_a_while(tmp_path: Path) -> None:
    port, sent = free_port(), dispatch()
    mesh = channel(f"http://127.0.0.1:{port}")
    with pytest.raises(ChannelUnavailable, match="MESH does not answer: ConnectionError"):
        await mesh.send(sent)
    with pytest.raises(ChannelUnavailable):
        await mesh.learn([])
    with mesh_sandbox(tmp_path, port=port) as back:
        await mesh.send(sent)
        assert len(take(back)) == 1
    await mesh.close()


async def test_what_is_not_for_us_stays_in_the_mailbox(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    mesh = channel(url)
    reply(url, b"something else", workflow="TEST_WORKFLOW2", mailbox=OTHER_PRACTICE)
    reply(url, b"<no answer at all")
    assert await mesh.learn([]) == ()
    assert await mesh.learn([]) == ()
    assert capsys.readouterr().out.count("was left there") == 2, "looked at once"
    with client(url, OURS) as ours:
        assert len(ours.list_messages()) == 2
    await mesh.close()


async def test_a_letter_without_a_pdf_or_to_nobody_is_refused_by_what_is_lacking(url: str) -> None:
    mesh = channel(url)
    for sent, told in (
        (replace(dispatch(), communication={"payload": [{"contentString": "words"}]}), "no letter as PDF: set letters"),
        (replace(dispatch(), person={**PATIENT, "identifier": []}), "lacks an NHS number"),
        (dispatch("", ods="ZZ999", role="agency"), "MESH knows no mailbox of ZZ999"),
    ):
        with pytest.raises(ChannelRefused, match=told):
            await mesh.send(sent)
    assert take(url) == []
    await mesh.close()


async def test_all_that_is_awaited_is_asked_about_in_turn_until_it_is_collected(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = channel(url)
    awaiting = [Sent(key=f"k{n}", reference=f"m{n}", since=NOW) for n in range(70)]
    asked: list[str] = []

    def tracked(self: Post, reference: str) -> dict[str, str]:
        asked.append(reference)
        return {"status": "acknowledged" if reference == "m3" else "accepted"}

    monkeypatch.setattr(Post, "track_message", tracked)
    assert [each.about for each in await mesh.learn(awaiting)] == ["k3"]
    assert await mesh.learn(awaiting) == ()
    assert set(asked) == {each.reference for each in awaiting}
    assert asked.count("m3") == 1
    await mesh.close()


async def test_many_are_sent_side_by_side(url: str) -> None:
    mesh, letters = channel(url), [dispatch() for _ in range(8)]
    await asyncio.gather(*(mesh.send(one) for one in letters))
    assert {headers["localid"] for headers, _ in take(url)} == {one.key for one in letters}
    await mesh.close()


async def test_a_day_later_hands_are_shaken_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = channel(url)
    shaken: list[datetime] = []
    monkeypatch.setattr("fhirbridge.adapters.mesh.Post.handshake", lambda self: shaken.append(NOW))
    for hours in (0, 1, 23, 25, 26):
        monkeypatch.setattr(
            mesh, "_clock", type("Later", (), {"now": lambda self, h=hours: NOW + timedelta(hours=h)})()
        )
        await mesh.learn([])
    assert len(shaken) == 2
    await mesh.close()
