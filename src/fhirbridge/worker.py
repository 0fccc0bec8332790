"""The Celery worker: a shell around the same service that runs embedded.

One task takes names of patients and does what the embedded loop does for them. Each process of the pool has its own
event loop, store and connections, built when its first task comes, so that nothing is shared across a fork. The main
process runs the dispatcher: it reads the rows for what is due and puts the names into the queue, so that a message
that is lost costs a moment and no more.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

from celery import Celery
from celery.signals import worker_process_shutdown, worker_ready, worker_shutting_down

from fhirbridge.adapters.queue import TASK, CeleryQueue, celery_app
from fhirbridge.errors import ConfigurationError
from fhirbridge.ports import Queue, Subject
from fhirbridge.service import Service, run_forever
from fhirbridge.settings import Settings
from fhirbridge.wiring.counting import counted_together
from fhirbridge.wiring.service import Runtime, built

REPEAT_AFTER = timedelta(seconds=30)
"""How long the dispatcher leaves a patient to the workers before it names them again."""


class Bench:
    """One process's own service on its own event loop, built at first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runner: asyncio.Runner | None = None
        self._stack = AsyncExitStack()
        self._runtime: Runtime | None = None

    def work_on(self, pairs: list[list[str]]) -> None:
        """Advance and deliver for these patients."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        self._runner.run(self._work_on([Subject(epr, patient) for epr, patient in pairs]))

    def close(self) -> None:
        """Give everything back."""
        if self._runner is not None:
            self._runner.run(self._stack.aclose())
            self._runner.close()
            self._runner = None

    async def _work_on(self, subjects: list[Subject]) -> None:
        if self._runtime is None:
            self._runtime = await self._stack.enter_async_context(built(self._settings))
        await self._runtime.service.work_on(subjects)


class Dispatcher:
    """Finds in the rows whom there is something to do for, and names them to the workers."""

    def __init__(self, service: Service, queue: Queue) -> None:
        self._service = service
        self._queue = queue
        self._named: dict[Subject, datetime] = {}

    async def turn(self) -> bool:
        """Name everybody who is due and was not named lately; never more to do at once."""
        now = self._service.clock.now()
        self._named = {subject: at for subject, at in self._named.items() if now - at < REPEAT_AFTER}
        fresh = [subject for subject in await self._service.unfinished() if subject not in self._named]
        if fresh:
            await self._queue.wake(fresh)
            self._named |= dict.fromkeys(fresh, now)
        return False


def worker_app(settings: Settings) -> Celery:
    """Celery with the one task.

    Raises:
        ConfigurationError: no broker is configured.
    """
    if not settings.broker_url:
        raise ConfigurationError("set it to redis://HOST:PORT/DATABASE, or run serve alone", place="broker_url")
    app = celery_app(settings.broker_url)
    bench = Bench(settings)

    @app.task(name=TASK)
    def work_on(pairs: list[list[str]]) -> None:
        bench.work_on(pairs)

    worker_process_shutdown.connect(lambda **_: bench.close(), weak=False)
    return app


def run(settings: Settings) -> None:
    """Work until told to stop: SIGTERM finishes what is under way, SIGQUIT does not.

    Raises:
        ConfigurationError: no broker is configured, or there is no listening on the port for what is counted.
    """
    app = worker_app(settings)
    stopping = threading.Event()
    dispatching = threading.Thread(target=_dispatch, args=(settings, app, stopping), name="dispatcher", daemon=True)

    def ready(**_: Any) -> None:
        dispatching.start()

    def shutting_down(**_: Any) -> None:
        stopping.set()

    worker_ready.connect(ready, weak=False)
    worker_shutting_down.connect(shutting_down, weak=False)
    pool: dict[str, Any] = {"pool": "solo"} if not settings.worker_processes else {"pool": "prefork"}
    with counted_together(settings.host, settings.metrics_port):
        app.Worker(concurrency=settings.worker_processes or 1, loglevel=settings.log_level.upper(), **pool).start()
    stopping.set()
    if dispatching.is_alive():
        dispatching.join(timeout=10)


def _dispatch(settings: Settings, app: Celery, stopping: threading.Event) -> None:
    asyncio.run(_dispatch_until(settings, CeleryQueue(app), stopping))


async def _dispatch_until(settings: Settings, queue: Queue, stopping: threading.Event) -> None:
    stop = asyncio.Event()
    async with built(settings) as runtime, asyncio.TaskGroup() as group:
        dispatcher = Dispatcher(runtime.service, queue)
        group.create_task(_stop_with(stopping, stop))
        await run_forever(
            dispatcher.turn,
            stop=stop,
            woken=runtime.woken,
            clock=runtime.clock,
            next_due=runtime.service.next_due,
            poll=timedelta(seconds=settings.poll),
        )


async def _stop_with(stopping: threading.Event, stop: asyncio.Event) -> None:
    await asyncio.to_thread(stopping.wait)
    stop.set()
