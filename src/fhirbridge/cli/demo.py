"""`demo`: a sample EPR, a sample caseload and the service, played through a few weeks in virtual time."""

from __future__ import annotations

import asyncio
import secrets
import socket
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fhirbridge.cli.log import configure_log
from fhirbridge.cli.serve import run
from fhirbridge.core.calendar import Calendar
from fhirbridge.demo.people import Caseload, read_caseload
from fhirbridge.demo.player import Player
from fhirbridge.demo.sample_epr import command, sample_epr
from fhirbridge.demo.staff import Staff
from fhirbridge.demo.stage import EPR, VISITOR, Keys, staged
from fhirbridge.demo.surgery import surgery
from fhirbridge.demo.telling import Line, introduction, news, tell
from fhirbridge.wiring.service import Runtime

_PAPER = 116
"""Width in columns where nobody is watching."""

_WHAT_FOR = (
    "People stop coming to their appointments. Each service has a policy that says what must then be done, by whom and "
    "by when. fhirbridge watches the electronic patient record (EPR) and sees to it that this happens: it puts tasks, "
    "letters and notices into the EPR, with the reasons, and takes them back when they are no longer called for.",
    "Here a few weeks of one team are played against a real FHIR server. Staff enter what happens; fhirbridge does the "
    "rest. In the account below, staff's entries are followed by what fhirbridge writes, and why.",
)


def demo(
    leave: Annotated[bool, typer.Option("--exit", help="End after the account instead of staying up.")] = False,
) -> None:
    """Play a few weeks of a sample caseload against a sample EPR, and tell what was written and why."""
    command()  # better to hear at once that it is missing
    configure_log("error")
    with suppress(KeyboardInterrupt):  # the way to end it
        asyncio.run(_demo(leave))


async def _demo(leave: bool) -> None:
    people = Console(stderr=True, highlight=False)
    for paragraph in _WHAT_FOR:
        people.print(paragraph, end="\n\n")
    caseload = read_caseload()
    with tempfile.TemporaryDirectory(prefix="fhirbridge-demo-") as name:
        folder = Path(name)
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        port = listening.getsockname()[1]
        keys = Keys(secrets.token_urlsafe(9), secrets.token_urlsafe(24), secrets.token_bytes(16))
        async with (
            sample_epr(folder, _free_port()) as epr_url,
            surgery(frozenset(one.nhs_number for one in caseload.people if one.unknown_to_gp)) as gp,
            staged(caseload, folder, epr_url, port, keys, gp) as (runtime, clock),
            httpx.AsyncClient(base_url=epr_url, timeout=30.0) as http,
        ):
            calendar = runtime.service.sites[EPR].calendar
            player = Player(runtime, EPR, clock, Staff(http, caseload, calendar))
            stop = asyncio.Event()
            service = asyncio.create_task(run(runtime, listening, stop))
            playing = asyncio.create_task(_play(player, caseload, runtime, people))
            try:
                await asyncio.wait({service, playing}, return_when=asyncio.FIRST_COMPLETED)
                if playing.done():
                    await playing
                    _show_where_to_look(caseload, epr_url, port, keys)
                    if leave:
                        return
                    people.print("It keeps running until Ctrl-C.")
                await service
            finally:
                stop.set()
                playing.cancel()
                await asyncio.wait({service, playing})


async def _play(player: Player, caseload: Caseload, runtime: Runtime, people: Console) -> None:
    site = runtime.service.sites[EPR]
    with people.status("The sample EPR and the service find each other …") as status:
        day = ""

        def shown(moment: datetime) -> None:
            nonlocal day
            status.update(f"It is {site.calendar.at_time(moment)} in the story …")
            if not people.is_terminal and day != (day := site.calendar.on_date(moment)):
                people.print(f"It is {day} in the story …")

        await player.watched()
        await player.play(caseload, shown)
    _print(caseload, await tell(caseload, site.epr, site.calendar), site.calendar)


def _print(caseload: Caseload, told: dict[str, list[Line]], calendar: Calendar) -> None:
    account = _for_the_account()
    for person in caseload.people:
        account.print(Text(f"\n{introduction(person)}", "bold"))
        rows = Table.grid(padding=(0, 2))
        said: set[str] = set()
        for line in told[person.id]:
            wall = calendar.local(line.at)
            when = f"  {wall:%a} {wall.day:2d} {wall:%b %H:%M}"
            if not line.by_service:
                rows.add_row(when, Text(line.says, "dim"))
                continue
            rows.add_row(when, Text(f"fhirbridge {line.says}", "green"))
            rows.add_row("", Padding(Text(news(line.why, said), "italic"), (0, 0, 0, 2)))
        if not any(line.by_service for line in told[person.id]):
            rows.add_row("", Text("fhirbridge writes nothing: the policy does not call for it", "green"))
        account.print(rows)


def _show_where_to_look(caseload: Caseload, epr_url: str, port: int, keys: Keys) -> None:
    patient = f"patient=Patient/{caseload.people[0].id}"
    origin = "https://fhirbridge.example/fhir/CodeSystem/origin|fhirbridge"
    screens = epr_url.removesuffix("/fhir") + "/ui"
    service = f"http://127.0.0.1:{port}"
    links = {
        f"The service's console, in a browser (name: {VISITOR}, password: {keys.password})": service,
        "The EPR's own screens, in a browser": f"{screens}/resources?type=Task",
        f"Tasks for {caseload.people[0].name}": f"{epr_url}/Task?{patient}",
        "Letters and notices": f"{epr_url}/Communication?_tag={origin}",
        "Why each was written": f"{epr_url}/Provenance?_tag={origin}",
        "What is still to be done": f"{epr_url}/Task?status=requested",
        f"The service's FHIR view (curl -H 'Authorization: Bearer {keys.token}')": f"{service}/fhir/Task?{patient}",
        "The service: is it ready?": f"{service}/readyz",
        "The service: what it counts": f"{service}/metrics",
    }
    account = _for_the_account()
    account.print("\nWhere to look, with a browser or curl (quote the links):")
    for what, link in links.items():
        account.print(f"  {what}\n    {link}", soft_wrap=True)


def _for_the_account() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PAPER)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
