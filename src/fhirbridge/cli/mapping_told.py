"""What a mapping made of a resource, as lines for a person."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from fhirbridge.core.facts import Unmapped
from fhirbridge.fhir.mapping import Trace
from fhirbridge.fhir.r4 import Resource


def said(resource: Resource, trace: Trace) -> list[str]:
    """The fact, its fields with the lines of the mapping that gave them, and the codes that it does not know."""
    version = resource["meta"].get("versionId")
    about = f"{resource['resourceType']}/{resource['id']}" + (f" version {version}" if version else "")
    if trace.fact is None:
        why = f"rule {trace.rule!r} says so" if trace.rule else "no rule is for it"
        return [f"{about}: of no use here; {why}"]
    if isinstance(trace.fact, Unmapped):
        head = f"{about}: unmapped by rule {trace.rule!r}: {_from_here(trace.fact.reason)}"
    else:
        head = f"{about}: {type(trace.fact).__name__.lower()}, by rule {trace.rule!r}"
    rows = [(found.field, _value(found.value), f"{near(found.place)}  {_line(found.path)}") for found in trace.found]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [head, *(f"  {field:<{widths[0]}}  {value:<{widths[1]}}  {by}" for field, value, by in rows)]
    for strange in trace.strange:
        lines.append(f"  {strange.field}: the concept map {strange.map} does not know {strange.system}|{strange.code}")
    return lines


def near(place: Path | str) -> str:
    """A path as short as it can be written from here."""
    path = Path(place)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(place)


def _from_here(text: str) -> str:
    return text.replace(f"{Path.cwd()}/", "")


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _line(path: str) -> str:
    return " ".join(path.split())
