"""What the tests of one process share."""

from __future__ import annotations

import gc

import pytest
import structlog


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks() -> None:
    """As in the service's own log: drawing one with all of its values takes longer than what failed."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


def pytest_collection_finish() -> None:
    """What was imported and loaded stays: looking for garbage in it, again and again, finds none."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
