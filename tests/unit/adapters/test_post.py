"""The spool folder: a letter is there whole or not at all, is handed over once, and its pickup is noticed."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fhirbridge.adapters.post import HANDED, OUTGOING, STAGING, PostChannel
from fhirbridge.channels import Dispatch, Sent
from fhirbridge.core.deliveries import Recipient, Report
from fhirbridge.errors import ChannelRefused, ChannelUnavailable, ConfigurationError
from tests.clock_double import ClockDouble
from tests.unit.fhir.receiver_messages import COMMUNICATION, IDENTITY, KEY, PERSON

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PDF = b"%PDF-1.7 a letter"
ADDRESS: dict[str, Any] = {"line": ["1 Example Street"], "city": "Exampletown", "postalCode": "EX1 1EX"}
LETTER = COMMUNICATION | {
    "payload": [
        *COMMUNICATION["payload"],
        {"contentAttachment": {"contentType": "application/pdf", "data": b64encode(PDF).decode()}},
    ]
}
DISPATCH = Dispatch(
    row=1,
    key=KEY,
    epr="main",
    patient="Patient/p1",
    identity=IDENTITY,
    recipient=Recipient(name="Patient/p1", shown="The patient", role="patient", channel="post"),
    communication=LETTER,
    person=PERSON | {"address": [ADDRESS]},
)


@pytest.fixture
def post(tmp_path: Path) -> PostChannel:
    return PostChannel(tmp_path / "spool", ClockDouble(NOON))


def outgoing(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "spool" / OUTGOING).iterdir())


def sent(key: str = KEY) -> Sent:
    return Sent(key=key, reference=key, since=NOON)


async def test_a_letter_lies_there_with_its_manifest(post: PostChannel, tmp_path: Path) -> None:
    assert await post.send(DISPATCH) == (KEY, ())
    (folder,) = outgoing(tmp_path)
    assert folder.name == KEY
    assert (folder / "letter-1.pdf").read_bytes() == PDF
    assert json.loads((folder / "manifest.json").read_text()) == {
        "key": KEY,
        "kind": "discharge-notice",
        "priority": "routine",
        "recipient": {"name": "Robin Example", "address": ["1 Example Street", "Exampletown", "EX1 1EX"]},
        "documents": [
            {
                "file": "letter-1.pdf",
                "contentType": "application/pdf",
                "size": len(PDF),
                "sha256": hashlib.sha256(PDF).hexdigest(),
            }
        ],
    }
    assert [each.stat().st_mode & 0o077 for each in (folder, *folder.iterdir())] == [0, 0, 0]
    assert list((tmp_path / "spool" / STAGING).iterdir()) == []


async def test_without_a_letter_the_words_are_printed(post: PostChannel, tmp_path: Path) -> None:
    await post.send(replace(DISPATCH, communication=COMMUNICATION))
    (folder,) = outgoing(tmp_path)
    assert (folder / "letter-1.txt").read_text() == "The client has been discharged from our service.\n"


async def test_an_organisation_has_its_address_from_the_directory(post: PostChannel, tmp_path: Path) -> None:
    to = Recipient(name="ods:RX9", shown="Health visiting", role="health-visitor", channel="post", address=("2 Lane",))
    await post.send(replace(DISPATCH, recipient=to))
    (folder,) = outgoing(tmp_path)
    assert json.loads((folder / "manifest.json").read_text())["recipient"] == {
        "name": "Health visiting",
        "address": ["2 Lane"],
    }


async def test_without_an_address_it_is_a_persons(post: PostChannel, tmp_path: Path) -> None:
    with pytest.raises(ChannelRefused, match="no postal address; enter it"):
        await post.send(replace(DISPATCH, person=PERSON))
    assert outgoing(tmp_path) == []


@pytest.mark.parametrize(
    ("attachment", "complaint"),
    [({"contentType": "image/tiff", "data": ""}, "image/tiff cannot be printed"), ({"data": "x"}, "without a content")],
)
async def test_what_cannot_be_printed_is_refused(
    post: PostChannel, tmp_path: Path, attachment: dict[str, Any], complaint: str
) -> None:
    unprintable = COMMUNICATION | {"payload": [{"contentAttachment": attachment}]}
    with pytest.raises(ChannelRefused, match=complaint):
        await post.send(replace(DISPATCH, communication=unprintable))
    assert outgoing(tmp_path) == []


async def test_the_pickup_is_noticed_and_nothing_before_it(post: PostChannel, tmp_path: Path) -> None:
    assert await post.learn([sent()]) == []
    await post.send(DISPATCH)
    assert await post.learn([sent()]) == []
    (folder,) = outgoing(tmp_path)
    folder.rename(tmp_path / "picked-up")
    (told,) = await post.learn([sent()])
    assert (told.about, told.report, told.happened) == (KEY, Report.COLLECTED, NOON)


async def test_sent_again_it_is_not_posted_again_even_after_the_pickup(post: PostChannel, tmp_path: Path) -> None:
    await post.send(DISPATCH)
    await PostChannel(tmp_path / "spool", ClockDouble(NOON)).send(DISPATCH)
    (folder,) = outgoing(tmp_path)
    folder.rename(tmp_path / "picked-up")
    await PostChannel(tmp_path / "spool", ClockDouble(NOON)).send(DISPATCH)
    assert outgoing(tmp_path) == []


@pytest.mark.parametrize("step", ["_write", "_sync", "rename"])
async def test_killed_at_any_step_it_is_finished_whole_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """However often the service dies at the first, the second … such step: nothing half is ever in `outgoing`."""
    for survived in range(6):
        spool = tmp_path / f"{step}-{survived}"
        _dying_at(monkeypatch, step, survived)
        died = False
        try:
            await PostChannel(spool, ClockDouble(NOON)).send(DISPATCH)
        except Died:
            died = True
        monkeypatch.undo()
        for each in (spool / OUTGOING).iterdir():
            assert {file.name for file in each.iterdir()} == {"letter-1.pdf", "manifest.json"}
        await PostChannel(spool, ClockDouble(NOON)).send(DISPATCH)
        assert [each.name for each in (spool / OUTGOING).iterdir()] == [KEY]
        assert [each.name for each in (spool / HANDED).iterdir()] == [KEY]
        assert list((spool / STAGING).iterdir()) == []
        if not died:
            break
    else:
        pytest.fail("the step is never got over")
    assert survived > 0, "the step is never come to"


class Died(BaseException):
    """The process was killed."""


def _dying_at(monkeypatch: pytest.MonkeyPatch, step: str, survived: int) -> None:
    target: Any = Path if step == "rename" else __import__("fhirbridge.adapters.post", fromlist=["post"])
    real = getattr(target, step)
    left = [survived]

    def dying(*arguments: Any) -> Any:
        if not left[0]:
            raise Died
        left[0] -= 1
        return real(*arguments)

    monkeypatch.setattr(target, step, dying)


async def test_a_folder_that_is_gone_is_tried_again(post: PostChannel, tmp_path: Path) -> None:
    (tmp_path / "spool" / STAGING).rmdir()
    with pytest.raises(ChannelUnavailable, match="cannot be written"):
        await post.send(DISPATCH)
    (tmp_path / "spool" / OUTGOING).rmdir()
    with pytest.raises(ChannelUnavailable, match="cannot be read"):
        await post.learn([sent()])


def test_a_folder_that_cannot_be_made_is_found_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"post\.folder"):
        PostChannel(tmp_path / "file" / "spool", ClockDouble(NOON))


async def test_all_letters_go_one_way(post: PostChannel) -> None:
    assert post.destination(DISPATCH) == post.destination(replace(DISPATCH, patient="Patient/p2"))
    await post.learnt(await post.learn([]))
    assert post.every <= timedelta(hours=1)
