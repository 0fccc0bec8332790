"""Channels for real: a receiver on loopback that answers by HTTP, a spool folder, a database that outlives a crash."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from msgspec.structs import replace
from pydantic import HttpUrl, SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from fhirbridge.adapters.store import open_store
from fhirbridge.fhir.directory_file import read_directory
from fhirbridge.service import Service
from fhirbridge.service.sending import CLAIM
from fhirbridge.settings import PostSettings, ReceiverSettings, Settings
from fhirbridge.web import application
from fhirbridge.wiring.channels import addressing_of, channels_of
from fhirbridge.wiring.service import Runtime
from tests.unit.fhir.receiver_messages import acknowledgement, answer
from tests.unit.test_sending import DIRECTORY, Desk, Died

pytestmark = pytest.mark.slow

TOKEN, SECRET = "what the surgery gave us", "what the surgery has to show"


@asynccontextmanager
async def served(app: ASGIApp, listening: socket.socket) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await running


def listen() -> tuple[socket.socket, str]:
    listening = socket.create_server(("127.0.0.1", 0))
    return listening, f"http://127.0.0.1:{listening.getsockname()[1]}"


class Surgery:
    """A receiver: it takes messages over, each once, and says what it thinks of them when it is asked to."""

    def __init__(self) -> None:
        self.inbox: dict[str, dict[str, Any]] = {}
        self.busy = False

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/fhir/$process-message", self._taken, methods=["POST"])])

    async def _taken(self, request: Request) -> Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        if self.busy:
            return JSONResponse({"resourceType": "OperationOutcome"}, 503, headers={"Retry-After": "60"})
        bundle = await request.json()
        self.inbox[bundle["id"]] = bundle
        return Response(status_code=202)

    async def say(self, what: Any, **more: Any) -> int:
        """Answer the one message that came, where its header says."""
        ((key, bundle),) = self.inbox.items()
        source = bundle["entry"][0]["resource"]["source"]["endpoint"]
        async with httpx.AsyncClient() as http:
            response = await http.post(
                source, json=what(about=key, **more), headers={"Authorization": f"Bearer {SECRET}"}
            )
        return response.status_code


@pytest.fixture
async def surgery() -> AsyncIterator[tuple[Surgery, str]]:
    one = Surgery()
    listening, url = listen()
    async with served(one.app(), listening):
        yield one, f"{url}/fhir"


@asynccontextmanager
async def bridge(endpoint: str) -> AsyncIterator[Desk]:
    """The service with its own door on loopback, whose directory has the surgery there."""
    listening, url = listen()
    settings = Settings.model_construct(
        receivers={
            "surgery": ReceiverSettings(endpoint=HttpUrl(endpoint), token=SecretStr(TOKEN), secret=SecretStr(SECRET))
        },
        public_url=HttpUrl(url),
    )
    (known,) = DIRECTORY.organisations
    directory = replace(DIRECTORY, organisations=(replace(known, endpoint=endpoint),), roles={})
    async with AsyncExitStack() as stack:
        desk = Desk()
        channels = await channels_of(settings, desk.clock, stack)
        desk.site = replace(desk.site, directory=directory, addressing=addressing_of(settings, channels))
        desk.service = Service(desk.store, {"main": desk.site}, desk.clock, channels)
        runtime = Runtime(settings=settings, service=desk.service, store=desk.store, clock=desk.clock)
        await stack.enter_async_context(served(application(runtime), listening))
        yield desk


async def test_a_notice_goes_over_the_wire_and_the_surgery_answers_later(surgery: tuple[Surgery, str]) -> None:
    one, endpoint = surgery
    async with bridge(endpoint) as desk:
        await desk.planned(identifier=[{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}])
        (message,) = one.inbox.values()
        assert "9990000018" in str(message)
        assert (await desk.notice())["status"] == "in-progress"
        desk.clock.time = datetime(2026, 3, 2, 13, tzinfo=UTC)
        assert await one.say(acknowledgement) == 200
        assert await one.say(acknowledgement) == 200
        await desk.settle()
        notice = await desk.notice()
        assert notice["status"] == "completed"
        assert datetime.fromisoformat(notice["received"]) == datetime(2026, 3, 2, 11, 30, tzinfo=UTC)
        assert await one.say(answer) == 200
        await desk.settle()
        (task,) = await desk.asked("confirm-gp-monitoring")
        assert task["status"] == "completed"


async def test_a_surgery_that_does_not_know_the_patient_makes_a_task(surgery: tuple[Surgery, str]) -> None:
    one, endpoint = surgery
    async with bridge(endpoint) as desk:
        await desk.planned()
        assert await one.say(acknowledgement, code="fatal-error", issue="not-found", says="Not known here") == 200
        await desk.settle()
        (task,) = await desk.asked("confirm-received")
        assert "Not known here" in str(task["input"])
        assert "0161 496 0000" in task["description"]


async def test_a_surgery_that_is_busy_gets_it_when_it_wants_to(surgery: tuple[Surgery, str]) -> None:
    one, endpoint = surgery
    one.busy = True
    async with bridge(endpoint) as desk:
        await desk.planned()
        one.busy = False
        await desk.after(seconds=59)
        assert one.inbox == {}
        await desk.after(seconds=1)
        assert len(one.inbox) == 1


async def test_a_letter_is_posted_and_its_pickup_completes_the_communication(tmp_path: Path) -> None:
    desk = await posting(tmp_path)
    (letter,) = (tmp_path / "outgoing").iterdir()
    assert (await desk.notice("patient"))["status"] == "in-progress"
    shutil.rmtree(letter)
    await desk.after(hours=2)
    notice = await desk.notice("patient")
    assert notice["status"] == "completed"
    assert notice["received"] > notice["sent"]
    await desk.after(days=7)
    assert await desk.asked("confirm-received") == []


async def test_a_letter_that_nobody_picks_up_is_the_teams_after_two_working_days(tmp_path: Path) -> None:
    desk = await posting(tmp_path)
    desk.clock.time = datetime(2026, 3, 4, 23, 59, 58, tzinfo=UTC)
    await desk.settle()
    assert await desk.asked("confirm-received") == []
    await desk.after(seconds=1)
    (task,) = await desk.asked("confirm-received")
    assert "had not confirmed by Wednesday 4 March 2026" in str(task["input"])
    shutil.rmtree(next((tmp_path / "outgoing").iterdir()))
    await desk.after(hours=8)
    (task,) = await desk.asked("confirm-received")
    assert task["status"] == "completed"


async def posting(folder: Path) -> Desk:
    """A service that writes to the patient by post, and has."""
    settings = Settings.model_construct(post=PostSettings(folder=folder))
    desk = Desk()
    async with AsyncExitStack() as stack:
        channels = await channels_of(settings, desk.clock, stack)
    directory = read_directory({"roles": {"patient": {"channel": "post"}}}, "directory.yaml")
    desk.site = replace(desk.site, directory=directory, addressing=addressing_of(settings, channels))
    desk.service = Service(desk.store, {"main": desk.site}, desk.clock, channels)
    await desk.planned(address=[{"line": ["1 Example Street"], "postalCode": "EX1 1EX"}])
    return desk


async def test_what_was_sent_when_the_service_died_is_not_sent_twice_by_the_next(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fhirbridge.db'}"
    desk = Desk()
    async with AsyncExitStack() as stack:
        desk.store = await open_store(url)  # type: ignore[assignment]
        desk.open()
        desk.channel.dies_after = Died()
        with pytest.raises((Died, BaseExceptionGroup)):
            await desk.planned()
        await desk.store.close()  # type: ignore[attr-defined]
        assert len(desk.channel.arrived) >= 1
        desk.channel.dies_after = None
        desk.store = await open_store(url)  # type: ignore[assignment]
        stack.push_async_callback(desk.store.close)  # type: ignore[attr-defined]
        desk.open()
        await desk.settle()
        desk.clock.time += CLAIM
        await desk.settle()
        assert sorted(one.recipient.name for one in desk.channel.arrived.values()) == [
            "Organization/gp1",
            "ods:HOUSING1",
        ]
        assert (await desk.notice())["status"] == "in-progress"
        tries = list(desk.channel.tries)
        await desk.after(hours=1)
        assert desk.channel.tries == tries
