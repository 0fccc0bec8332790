"""Tables of words with what they cannot tell: as a page, and each table as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import jinja2
import msgspec
import orjson
from msgspec import Struct

from fhirbridge.core.calendar import Calendar


class Table(Struct, frozen=True, kw_only=True):
    """A table under its own heading; `empty` is said in its place when it has no rows."""

    title: str
    caption: str
    empty: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Sheet(Struct, frozen=True, kw_only=True):
    """A page: `told` is the line under its title, `says` how to read it, `unsaid` what the record cannot tell."""

    title: str
    told: str
    says: tuple[str, ...]
    tables: tuple[Table, ...]
    unsaid: tuple[str, ...]


def page(sheet: Sheet) -> bytes:
    """HTML by itself: nothing is fetched."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fhirbridge.reporting", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("sheet.html").render(sheet=sheet).encode()


def lines(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> bytes:
    """CSV with a head; no spreadsheet takes a cell for a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows([_plain(_cell(cell)) for cell in row] for row in rows)
    return text.getvalue().encode()


def _plain(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def data(report: Struct, calendar: Calendar) -> bytes:
    """JSON: the report as it is, in UTC whatever the calendar; lengths of time as ISO 8601 durations."""
    return orjson.dumps(
        msgspec.to_builtins(report, builtin_types=(datetime,)),
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z,
    )


def named(epr: str, reference: str) -> str:
    """What a resource is called in a table: with its EPR, where that is known."""
    return f"{epr}: {reference}" if epr else reference


def in_days(length: timedelta) -> str:
    """A length of time in days and whole hours."""
    days, hours = length.days, length.seconds // 3600
    return f"{days} {'day' if days == 1 else 'days'} {hours} {'hour' if hours == 1 else 'hours'}"


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return "" if value is None else str(value)
