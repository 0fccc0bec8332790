"""The fault bench says little about what it does: thousands of expected failures a minute."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(scope="session", autouse=True)
def quiet() -> Iterator[None]:
    """Only what is critical is logged."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    # What is imported stays, and each run is thrown away as a whole: looking for garbage in between finds none.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    yield
    structlog.reset_defaults()
