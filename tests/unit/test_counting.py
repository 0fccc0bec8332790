"""What several processes count is one sum, and what was counted by one that has ended stays in it."""

from __future__ import annotations

import multiprocessing
import socket

import httpx
import pytest

from fhirbridge.errors import ConfigurationError
from fhirbridge.service.measures import FAILURES
from fhirbridge.wiring.counting import counted_together
from tests.loopback import free_port

LABELS = ("counting", "TogetherError")


def count(times: int) -> None:
    for _ in range(times):
        FAILURES.labels(*LABELS).inc()


def forked(times: int) -> None:
    process = multiprocessing.get_context("fork").Process(target=count, args=(times,))
    process.start()
    process.join(30)
    assert process.exitcode == 0


def told(port: int) -> list[str]:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    return [line.rpartition(" ")[2] for line in text.splitlines() if "TogetherError" in line]


def test_processes_count_together() -> None:
    port = free_port()
    try:
        with counted_together("127.0.0.1", port):
            assert told(port) == []
            forked(2)
            assert told(port) == ["2.0"]
            forked(3)
            count(1)
            assert told(port) == ["6.0"]
    finally:
        FAILURES.remove(*LABELS)
    with pytest.raises(httpx.ConnectError):
        told(port)


def test_without_a_port_nothing_changes() -> None:
    try:
        with counted_together("127.0.0.1", 0):
            forked(1)
            count(1)
            assert FAILURES.labels(*LABELS)._value.get() == 1
    finally:
        FAILURES.remove(*LABELS)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = pytest.raises(ConfigurationError, match=r"metrics_port: cannot listen on 127\.0\.0\.1")
        with told, counted_together("127.0.0.1", port):
            pytest.fail("it listens")
