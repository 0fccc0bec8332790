"""Where receivers acknowledge and answer: who may say what of which message, and what follows from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import HttpUrl, SecretStr

from fhirbridge.core.deliveries import Report
from fhirbridge.core.effects import Reported
from fhirbridge.errors import StoreUnavailable
from fhirbridge.settings import ReceiverSettings, Settings
from fhirbridge.web import application
from fhirbridge.wiring.service import Runtime
from tests.unit.fhir.receiver_messages import acknowledgement, answer
from tests.unit.stage import PATIENT
from tests.unit.test_sending import GP, Desk

PATH = "/fhir/$process-message"
SECRET = "a secret of the surgery"
OTHER = "a secret of somebody else"
LATER = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Door:
    """The service over HTTP, with one notice at the surgery and one at housing."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk = desk
        receivers = {
            "surgery": ReceiverSettings(endpoint=HttpUrl(f"{GP}/"), secret=SecretStr(SECRET)),
            "housing": ReceiverSettings(endpoint=HttpUrl("https://h.example"), secret=SecretStr(OTHER)),
        }
        settings = Settings.model_construct(receivers=receivers, public_url=HttpUrl("https://bridge.example"))
        self.runtime = Runtime(settings=settings, service=desk.service, store=desk.store, clock=desk.clock)
        transport = httpx.ASGITransport(app=application(self.runtime), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="https://bridge.example")

    async def send(self, body: Any, secret: str = SECRET, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.http.post(PATH, headers=headers, **content, **more)

    async def reports(self) -> list[Report]:
        effects = (await self.desk.store.load(PATIENT)).effects
        return [effect.report for effect in effects if isinstance(effect, Reported)]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    desk = Desk()
    await desk.planned()
    desk.clock.time = LATER + timedelta(hours=1)
    opened = Door(desk, tmp_path)
    yield opened
    await opened.http.aclose()


def issue(response: httpx.Response, status: int) -> dict[str, Any]:
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/fhir+json")
    body = response.json()
    assert body["resourceType"] == "OperationOutcome"
    (found,) = body["issue"]
    assert isinstance(found, dict)
    return found


async def test_who_answers_is_kept_for_the_audit(door: Door) -> None:
    about = door.desk.key()

    await door.send(acknowledgement("ok", about=about, details="30001"))
    await door.send(acknowledgement("ok", about=about, details="30001"), secret="wrong")

    [event] = door.desk.store.audit.events
    assert event["agent"][0]["who"]["identifier"]["value"] == "surgery"
    assert (event["subtype"][0]["code"], event["action"]) == ("operation", "E")


async def test_an_acknowledgement_is_durable_by_the_time_it_is_answered(door: Door) -> None:
    about = door.desk.key()
    response = await door.send(acknowledgement("ok", about=about, details="30001"))
    assert issue(response, 200)["severity"] == "information"
    assert await door.reports() == [Report.BUSINESS_GOOD]
    assert door.runtime.woken.is_set()
    await door.desk.settle()
    notice = await door.desk.notice()
    assert notice["status"] == "completed"
    assert datetime.fromisoformat(notice["received"]) == datetime(2026, 3, 2, 11, 30, tzinfo=UTC)


async def test_the_same_acknowledgement_again_changes_nothing(door: Door) -> None:
    about = door.desk.key()
    for _ in range(3):
        assert (await door.send(acknowledgement("ok", about=about))).status_code == 200
    assert await door.reports() == [Report.INFRASTRUCTURE_GOOD]


async def test_a_refusal_becomes_the_teams_and_a_later_good_word_closes_it(door: Door) -> None:
    about = door.desk.key()
    early = acknowledgement("fatal-error", about=about, details="30002", says="Not known here")
    await door.send(early | {"timestamp": "2026-03-02T10:00:00Z"})
    await door.desk.settle()
    (task,) = await door.desk.asked("confirm-received")
    assert "Not known here" in str(task["input"])
    await door.send(acknowledgement("ok", about=about, details="30001"))
    await door.desk.settle()
    (task,) = await door.desk.asked("confirm-received")
    assert task["status"] == "completed"


async def test_an_answer_of_the_gp_completes_the_task_to_have_them_agree(door: Door) -> None:
    assert (await door.send(answer(about=door.desk.key()))).status_code == 200
    await door.desk.settle()
    (task,) = await door.desk.asked("confirm-gp-monitoring")
    assert task["status"] == "completed"


async def test_nobody_speaks_for_another_receiver(door: Door) -> None:
    response = await door.send(acknowledgement("ok", about=door.desk.key()), secret=OTHER)
    assert "nothing that was sent to this receiver" in issue(response, 404)["diagnostics"]
    assert await door.reports() == []


@pytest.mark.parametrize("secret", ["", "wrong", SECRET[:-1]])
async def test_without_the_secret_nothing_is_even_read(door: Door, secret: str) -> None:
    response = await door.send(b"{", secret=secret)
    assert issue(response, 401)["code"] == "login"
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "JSON"),
        (b"[]", ""),
        (b'{"resourceType": "Bundle", "type": "batch"}', "Bundle.type: is no message"),
        (b'{"resourceType": "Bundle", "type": "message", "entry": [{}]}', "every entry needs a resource"),
        (b"{" * 70 + b"}" * 70, ""),
    ],
)
async def test_bad_input_is_told_what_is_wrong(door: Door, body: bytes, says: str) -> None:
    assert says in issue(await door.send(body), 400)["diagnostics"]
    assert await door.reports() == []


async def test_an_answer_to_what_was_never_sent_is_not_taken(door: Door) -> None:
    assert issue(await door.send(acknowledgement("ok", about="unheard-of")), 404)["code"] == "not-found"


async def test_a_body_beyond_the_limit_is_not_read_to_its_end(door: Door) -> None:
    limit = door.runtime.settings.limits.body
    response = await door.send(b" " * (limit + 1))
    assert "send the answer without attachments" in issue(response, 413)["diagnostics"]


async def test_what_cannot_be_kept_now_has_to_be_sent_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any, **__: Any) -> bool:
        raise StoreUnavailable("the database is away")

    monkeypatch.setattr(door.desk.store.dispatches, "report", away)
    response = await door.send(acknowledgement("ok", about=door.desk.key()))
    assert issue(response, 503)["code"] == "transient"
    assert response.headers["Retry-After"]


async def test_only_posts_are_taken(door: Door) -> None:
    response = await door.http.get(PATH, headers={"Authorization": f"Bearer {SECRET}"})
    assert response.status_code in (401, 404, 405)
