"""From a discharge in the EPR to the practice's own word about it: the letter, MESH, and what the EPR shows then."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace
from pypdf import PdfReader

from fhirbridge.adapters.mesh import MeshChannel, Post
from fhirbridge.core.deliveries import Stage
from fhirbridge.fhir.directory_file import read_directory
from fhirbridge.fhir.itk3 import SEND_DOCUMENT, Sender
from fhirbridge.fhir.stu3 import FHIR
from fhirbridge.service import Service
from fhirbridge.service.addressing import Addressing, Way
from tests.servers.mesh import OURS, PASSWORD, PRACTICE, SHARED_KEY, forget_everything, mesh_sandbox, report
from tests.servers.practice import answer
from tests.unit.letters.test_letters_of_the_service import Writing
from tests.validators import faults_of_written

DIRECTORY = read_directory(
    {
        "organisations": [
            {
                "ods": "A81001",
                "name": "Example Surgery",
                "references": ["Organization/gp1"],
                "channel": "mesh",
                "mailbox": PRACTICE,
                "telephone": "0161 496 0000",
                "address": ["1 High Street", "Exampleton"],
            }
        ],
        "roles": {"agency": {"display": "Agencies", "channel": "epr"}},
    },
    "directory.yaml",
)


class Discharge(Writing):
    """Somebody who did not come is discharged; the practice is told by MESH."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.mesh = MeshChannel(
            lambda: self.post(OURS),
            Sender(ods="X26", name="Test Trust", telephone="01632 960001", mailbox=OURS),
            SEND_DOCUMENT,
            self.clock,
            every=timedelta(0),
        )
        addressing = Addressing(ways={"mesh": Way(Stage.RECEIVED, "P5D")}, chase="1WD")
        self.site = replace(self.site, directory=DIRECTORY, addressing=addressing)
        self.service = Service(self.store, {"main": self.site}, self.clock, {"mesh": self.mesh})

    def post(self, mailbox: str) -> Post:
        return Post(self.url, mailbox, PASSWORD, shared_key=SHARED_KEY.encode(), max_retries=0)

    def collect(self) -> tuple[str, str, bytes]:
        """The practice takes its message: MESH's id, the key by which it is answered, and what is in it."""
        practice = self.post(PRACTICE)
        (waiting,) = practice.list_messages()
        with practice.retrieve_message(waiting) as one:
            key, body = str(one.local_id), one.read()
        practice.close()
        return waiting, key, body

    def reply(self, document: bytes) -> None:
        practice = self.post(PRACTICE)
        practice.send_message(OURS, document, workflow_id=SEND_DOCUMENT.answer, content_type="application/xml")
        practice.close()

    async def chased(self) -> list[str]:
        codes = [(task["code"]["coding"][0]["code"], task) for task in await self.tasks()]
        return [task["status"] for code, task in codes if code == "confirm-received"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mesh_sandbox(tmp_path_factory.mktemp("mesh")) as running:
        yield running


@pytest.fixture
async def stage(url: str) -> AsyncIterator[Discharge]:
    forget_everything(url)
    discharge = Discharge(url)
    await discharge.patient_who_does_not_come()
    await discharge.end_of_the_episode()
    yield discharge
    await discharge.mesh.close()


async def test_both_validators_take_what_stands_in_the_epr_then(stage: Discharge) -> None:
    assert faults_of_written(await stage.sent("discharge-notice", "gp")) == []


async def test_the_practice_gets_the_letter_and_its_word_reaches_the_epr(stage: Discharge) -> None:
    sent = await stage.sent("discharge-notice", "gp")
    assert (sent["status"], "received" in sent) == ("in-progress", False)
    _, key, body = stage.collect()
    (content,) = ElementTree.fromstring(body).iter(f"{{{FHIR}}}content")
    pages = PdfReader(io.BytesIO(base64.b64decode(content.get("value", "")))).pages
    words = " ".join(" ".join(page.extract_text() for page in pages).split())
    assert "Example Surgery 1 High Street Exampleton" in words
    assert "The episode of care ended on Tuesday 3 March 2026." in words
    stage.clock.time += timedelta(hours=1)
    now = stage.clock.time.isoformat()
    stage.reply(answer(key, "20013", "ok", at=now))
    await stage.settle()
    assert "received" not in await stage.sent("discharge-notice", "gp"), "taken in by a system, by nobody yet"
    stage.reply(answer(key, "30001", "ok", at=now))
    await stage.settle()
    known = await stage.sent("discharge-notice", "gp")
    assert (known["status"], bool(known["received"])) == ("completed", True)
    assert await stage.chased() == []


async def test_a_practice_that_does_not_know_the_patient_is_followed_up_until_it_does(stage: Discharge) -> None:
    _, key, _ = stage.collect()
    stage.clock.time += timedelta(hours=6)
    stage.reply(answer(key, "30003", "fatal-error", says="Patient not known here", at=stage.clock.time.isoformat()))
    await stage.settle()
    assert await stage.chased() == ["requested"]
    stage.clock.time += timedelta(hours=1)
    stage.reply(answer(key, "30001", "ok", at=stage.clock.time.isoformat()))
    await stage.settle()
    assert [status != "requested" for status in await stage.chased()] == [True]


async def test_a_letter_that_nobody_collected_is_in_somebodys_hands(stage: Discharge) -> None:
    practice = stage.post(PRACTICE)
    (waiting,) = practice.list_messages()
    practice.close()
    stage.clock.time += timedelta(days=1)
    report(stage.url, code="14", description="Not collected", about=waiting, workflow=SEND_DOCUMENT.name)
    await stage.settle()
    assert await stage.chased() == ["requested"]
