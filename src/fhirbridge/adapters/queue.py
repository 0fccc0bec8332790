"""Celery over Redis, to wake workers. A message carries names and nothing else, and may be lost, doubled or late.

No message has an ETA or a countdown: when to look at a patient is a row, and whoever dispatches reads the rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from fhirbridge.ports import Subject

TASK = "fhirbridge.work_on"
BATCH = 100

_log = structlog.get_logger(__name__)


def celery_app(broker_url: str) -> Celery:
    """Celery as both ends of the queue need it: JSON only, acknowledged when done, no results."""
    app = Celery("fhirbridge", broker=broker_url)
    app.conf.update(
        task_default_queue="fhirbridge",
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"socket_connect_timeout": 5, "socket_timeout": 30},
    )
    return app


class CeleryQueue:
    """`ports.Queue` over Celery. A broker that is away is logged: the rows are found without it, a little later."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    async def wake(self, subjects: Sequence[Subject]) -> None:
        """Send the names of the patients, many in a message."""
        for start in range(0, len(subjects), BATCH):
            pairs = [[subject.epr, subject.patient] for subject in subjects[start : start + BATCH]]
            try:
                await asyncio.to_thread(self._app.send_task, TASK, args=[pairs], retry=False)
            except (OperationalError, OSError) as error:
                _log.warning("the broker does not take messages; workers will find the rows", why=type(error).__name__)
                return
