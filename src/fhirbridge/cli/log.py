"""The log of a process: one JSON object a line, without a word about patients.

What is logged on purpose is chosen with care where it is logged. What cannot be chosen is the message of an error that
nobody foresaw, and of the libraries: so references and NHS numbers are taken out of every line at the last moment.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from fhirbridge.service import nameless

_UNCHOSEN = ("event", "exception")


def configure_log(level: str) -> None:
    """One JSON object a line to standard error, ours and the libraries' alike; tracebacks without values."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_names,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _without_names(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    for name in _UNCHOSEN:
        if isinstance(words := line.get(name), str):
            line[name] = nameless(words)
    return line
