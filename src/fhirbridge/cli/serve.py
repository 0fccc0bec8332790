"""`serve` and `worker`: the service itself, embedded in one process or scaled out over a queue."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvicorn

from fhirbridge import worker as celery_worker
from fhirbridge.adapters.queue import CeleryQueue, celery_app
from fhirbridge.cli.log import configure_log
from fhirbridge.errors import ConfigurationError, FhirbridgeError
from fhirbridge.service import Turn, run_forever
from fhirbridge.settings import Settings, read_settings
from fhirbridge.web import application
from fhirbridge.wiring.housekeeping import keep_tidy
from fhirbridge.wiring.service import Runtime, built
from fhirbridge.wiring.watching import watch, watchers

Config = Annotated[Path | None, typer.Option("--config", help="A file with settings, in TOML or YAML.")]

WRONG = 2

_log = structlog.get_logger(__name__)


def serve(config: Config = None) -> None:
    """Take notifications and write what the policy asks for; with a broker, leave the work to the workers."""
    settings = _settings(config)
    try:
        asyncio.run(_serve(settings))
    except ConfigurationError as error:
        raise _wrong(error) from None


def worker(config: Config = None) -> None:
    """Work for a service that is scaled out: advance patients and deliver, as the queue and the timers say."""
    settings = _settings(config)
    try:
        celery_worker.run(settings)
    except ConfigurationError as error:
        raise _wrong(error) from None


def _settings(config: Path | None) -> Settings:
    try:
        settings = read_settings(config)
    except ConfigurationError as error:
        raise _wrong(error) from None
    configure_log(settings.log_level)
    return settings


def _wrong(error: FhirbridgeError) -> typer.Exit:
    typer.echo(f"fhirbridge: {error}", err=True)
    return typer.Exit(WRONG)


async def _serve(settings: Settings) -> None:
    listening = listen(settings)
    if settings.port == 0:
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
    async with built(settings) as runtime:
        _log.info("listening", host=settings.host, port=settings.port, eprs=sorted(settings.eprs))
        await run(runtime, listening, asyncio.Event())


async def run(runtime: Runtime, listening: socket.socket, stop: asyncio.Event) -> None:
    """Be the service until `stop` is set, or the process is asked to end: HTTP, the turns, and the subscriptions."""
    server = uvicorn.Server(
        uvicorn.Config(application(runtime), log_config=None, access_log=False, timeout_graceful_shutdown=10)
    )
    watching = await watchers(runtime)  # what may have been missed has to be known before anything is decided
    background = [
        asyncio.create_task(_run(runtime, stop), name="turns"),
        asyncio.create_task(keep_tidy(runtime, stop), name="housekeeping"),
        asyncio.create_task(watch(runtime, watching, stop), name="feeds"),
    ]
    for task in background:
        # A service that only takes in and does nothing would look healthy; better to be restarted.
        task.add_done_callback(lambda _: setattr(server, "should_exit", True))
    await server.serve(sockets=[listening])
    stop.set()
    await asyncio.gather(*background)


async def _run(runtime: Runtime, stop: asyncio.Event) -> None:
    """A loop for each EPR and one for the channels: none waits for another."""
    service = runtime.service
    one = _turn(runtime)
    turns: list[Turn] = [partial(one, name) for name in sorted(service.sites)]
    async with asyncio.TaskGroup() as group:
        for turn in (*turns, service.sending.turn):
            group.create_task(
                run_forever(
                    turn,
                    stop=stop,
                    woken=runtime.woken.listener(),
                    clock=runtime.clock,
                    next_due=service.next_due,
                    poll=timedelta(seconds=runtime.settings.poll),
                )
            )


def _turn(runtime: Runtime) -> Callable[[str], Awaitable[bool]]:
    service = runtime.service
    if not runtime.settings.broker_url:
        return service.work_for
    queue = CeleryQueue(celery_app(runtime.settings.broker_url))
    return partial(service.take_in, queue)


def listen(settings: Settings) -> socket.socket:
    """Listen before anything else, so that no notification of a subscription just made finds a closed door."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}", place="port"
        ) from None
