"""What the processes of one worker count together, shown by the one that they come of.

Celery forks them, and each has counters of its own that nobody could ask for. In the multiprocess mode of
prometheus_client each counts into files of its own in a shared folder, and whoever is asked adds them up. What a
process that has ended counted stays in the sum, so that no counter falls while the worker runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, start_http_server, values
from prometheus_client.multiprocess import MultiProcessCollector

from fhirbridge.errors import ConfigurationError

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def counted_together(host: str, port: int) -> Iterator[None]:
    """Count together what this process and those that it forks count meanwhile, and show it at `/metrics` there.

    To be entered before anything is counted or forked. With port 0 each counts for itself, and nothing is shown.

    Raises:
        ConfigurationError: there is no listening on that port.
    """
    if not port:
        yield
        return
    with TemporaryDirectory(prefix="fhirbridge-counts-") as folder:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]  # published without types
        try:
            server, thread = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            told = f"cannot listen on {host}:{port}: {error.strerror}"
            raise ConfigurationError(told, place="metrics_port") from error
        try:
            with _counting_into(folder):
                yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@contextmanager
def _counting_into(folder: str) -> Iterator[None]:
    before = values.ValueClass
    os.environ[_FOLDER] = folder
    # The library chooses when it is imported. A counter with labels asks for this class when it is first counted.
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        values.ValueClass = before
        del os.environ[_FOLDER]
