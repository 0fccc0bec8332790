"""A case file → a Case. Whatever is wrong in it is refused with file, line and remedy."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from fhirbridge.casebook.case import Case, Entry, Wanted
from fhirbridge.casebook.times import instant, parsed
from fhirbridge.casebook.verbs import ANSWER, ANSWER_KEYS, VERBS
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.effects import Kind
from fhirbridge.fhir.located_yaml import Spot, load
from fhirbridge.fhir.r4 import RESOURCE_TYPES
from fhirbridge.simulation import Outage

_NEEDED = ("title", "why", "rows", "record", "until", "writes")
_TOP = {*_NEEDED, "pack", "settings", "risk-when-unrecorded", "facts", "absent", "only", "gaps"}
_LINE = {"on", "known"}
_GAP = {"from", "to", "types"}
_KINDS = {"task": Kind.TASK, "communication": Kind.COMMUNICATION, "flag": Kind.FLAG, "care-plan": Kind.CARE_PLAN}
_WRITE = {"on", "to", "due", "for", "priority", "because", "then", *_KINDS}


def case_files(folder: Path) -> list[Path]:
    """Every case file below a folder, in order."""
    return sorted(folder.glob("*/*.yaml"))


def read_case(file: Path, calendar: Calendar) -> Case:
    """The case in a file; `calendar` gives its local time.

    Raises:
        ConfigurationError: `file:line`, what is wrong there and what to write instead.
    """
    top = load(file)
    items = top.items(_TOP)
    for needed in _NEEDED:
        if needed not in items:
            top.fail(f"{needed} is missing; a case needs {', '.join(_NEEDED)}")
    record = _record(items["record"], calendar)
    writes = [wanted for spot in items["writes"].sequence() for wanted in _wanted(spot, calendar)]
    return Case(
        file=file,
        pack=items["pack"].text() if "pack" in items else file.parent.name,
        title=items["title"].text(),
        why=items["why"].text(),
        rows=tuple(items["rows"].texts()),
        record=record,
        until=instant(items["until"], calendar, ends=True),
        writes=tuple(writes),
        facts=_facts(items["facts"]) if "facts" in items else {},
        absent=tuple(items["absent"].texts()) if "absent" in items else (),
        only=frozenset(items["only"].texts()) if "only" in items else frozenset(),
        settings=items["settings"].value() if "settings" in items else {},
        outages=tuple(_outage(spot, calendar) for spot in items["gaps"].sequence()) if "gaps" in items else (),
        risk_when_unrecorded=items["risk-when-unrecorded"].text() if "risk-when-unrecorded" in items else "unknown",
    )


def _record(spot: Spot, calendar: Calendar) -> tuple[Entry, ...]:
    """The lines of the record in the order in which they became known; of those known at once, as written."""
    entries = [_entry(line, calendar) for line in spot.sequence()]
    return tuple(sorted(entries, key=lambda entry: entry.known))


def _entry(line: Spot, calendar: Calendar) -> Entry:
    items = line.items()
    words = sorted(items.keys() & {*VERBS, ANSWER})
    # `episode` opens a line, and is also a key of `encounter`; `patient` likewise may be a value, never a key.
    verbs = [word for word in words if not any(word in _keys(other) for other in words if other != word)]
    if len(verbs) != 1:
        line.fail(f"a line says one thing; it needs exactly one of {', '.join(sorted({*VERBS, ANSWER}))}")
    (verb,) = verbs
    if "on" not in items:
        line.fail("'on' is missing: when did it happen?")
    allowed = {verb, *_LINE, *_keys(verb)}
    for key, value in items.items():
        if key not in allowed:
            value.fail(f"{key!r} means nothing beside {verb!r}; known are {', '.join(sorted(allowed - {verb}))}")
    on = instant(items["on"], calendar)
    if verb == "booked" and "known" not in items:
        line.fail("'known' is missing: when was the appointment booked?")
    known = instant(items["known"], calendar) if "known" in items else on
    details = {key: value for key, value in items.items() if key not in {verb, *_LINE}}
    return Entry(spot=line, on=on, known=known, verb=verb, name=items[verb], details=details)


def _keys(verb: str) -> frozenset[str]:
    return ANSWER_KEYS if verb == ANSWER else VERBS[verb].keys


def _wanted(spot: Spot, calendar: Calendar) -> Iterable[Wanted]:
    items = spot.items(_WRITE)
    kinds = [word for word in _KINDS if word in items]
    if len(kinds) != 1 or "on" not in items or "for" not in items:
        spot.fail(f"a write needs 'on', 'for' (the ledger rows) and exactly one of {', '.join(_KINDS)}")
    kind = _KINDS[kinds[0]]
    if (kind is Kind.TASK) != ("due" in items):
        spot.fail("a task needs 'due', nothing else has one")
    if (kind in (Kind.TASK, Kind.COMMUNICATION)) != ("to" in items):
        spot.fail("a task or communication needs 'to', a flag or care-plan has none")
    then, then_on = _then(items["then"], calendar) if "then" in items else ("", None)
    for role in items["to"].texts() if "to" in items else [""]:
        yield Wanted(
            place=spot.place,
            on=instant(items["on"], calendar),
            kind=kind,
            action=items[kinds[0]].text(),
            role=role,
            due=instant(items["due"], calendar, ends=True) if "due" in items else None,
            priority=items["priority"].text() if "priority" in items else "routine",
            clauses=frozenset(items["for"].texts()),
            because=tuple(items["because"].texts()) if "because" in items else (),
            then=then,
            then_on=then_on,
        )


def _outage(spot: Spot, calendar: Calendar) -> Outage:
    items = spot.items(_GAP)
    if missing := sorted(_GAP - items.keys()):
        spot.fail(f"{', '.join(missing)} is missing; a gap needs from, to and types")
    since, until = instant(items["from"], calendar), instant(items["to"], calendar)
    if until <= since:
        items["to"].fail("a gap ends after it began")
    types = tuple(items["types"].texts())
    if strange := [kind for kind in types if kind not in RESOURCE_TYPES]:
        items["types"].fail(f"{strange[0]!r} is no resource type of FHIR R4; write e.g. Appointment")
    return Outage(since=since, until=until, types=types)


def _then(spot: Spot, calendar: Calendar) -> tuple[str, datetime]:
    what, _, when = spot.text().rpartition(" on ")
    at = parsed(when, calendar)
    if not what or at is None:
        spot.fail(f"{spot.text()!r} tells no ending: write e.g. cancelled re-engaged on 2026-03-02 09:30")
    return what, at


def _facts(spot: Spot) -> dict[str, dict[str, Spot]]:
    return {reference: fields.items() for reference, fields in spot.items().items()}
