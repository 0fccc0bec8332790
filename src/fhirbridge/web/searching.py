"""What a search of the FHIR view asks for: its parameters as something to look for, and the links from page to page.

Whatever is not understood is refused by its name: an ignored parameter would bring other patients' records. A link to
the next page carries the whole question and the row after which to go on, so it answers the same however often it is
followed; what changes meanwhile comes again at the end, and nothing is left out.
R4: https://hl7.org/fhir/R4/search.html and https://hl7.org/fhir/R4/http.html#paging.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.errors import SenderError
from fhirbridge.fhir.canonical import ACTION, OBLIGATION
from fhirbridge.fhir.instants import flaw_in_date_time, to_end, to_instant
from fhirbridge.fhir.view import ANSWERING, SEARCHABLE
from fhirbridge.ports import Wanted

MOST = 500
"""Resources on a page, whatever `_count` asks for."""
USUAL = 50
PAGE = "_page"
"""The one parameter of a link to a further page."""

_PREFIXES = ("eq", "ge", "gt", "le", "lt", "sa", "eb")
_DAY, _SECOND = 10, 19


class Search(Struct, frozen=True, kw_only=True):
    """A search of one type, from the beginning or after a row.

    `asked` are the parameters as they came. `nothing`: what is asked for cannot be there. `targets` are references that
    a Provenance has to name.
    """

    kind: str
    asked: tuple[tuple[str, str], ...]
    wanted: Wanted
    targets: tuple[str, ...] = ()
    nothing: bool = False
    size: int = USUAL
    count_only: bool = False
    after: int = 0

    def page_after(self, row: int) -> str:
        """The value of `_page` that goes on after this row."""
        told = msgspec.json.encode([self.kind, self.asked, row])
        return base64.urlsafe_b64encode(told).decode().rstrip("=")


class Patients(Struct, frozen=True):
    """Whose patients may be named: the base URL of each EPR that the reader may see, by its name."""

    eprs: Mapping[str, str]

    def named(self, value: str) -> tuple[str, str]:
        """EPR and `Patient/id` of what stands in a search; the EPR is empty where it is none that the reader may see.

        Raises:
            SenderError: it does not say whose patient it is.
        """
        for name, base_url in self.eprs.items():
            if value.startswith(f"{base_url}/Patient/"):
                return name, value.removeprefix(f"{base_url}/")
        if "://" in value:
            return "", value
        kind, slash, identity = value.rpartition("/")
        if slash and kind != "Patient":
            return "", value
        if len(self.eprs) > 1:
            bases = " or ".join(f"{base_url}/Patient/…" for base_url in self.eprs.values())
            raise SenderError(f"there are several EPRs; write {bases}", place="patient", issue="value")
        return next(iter(self.eprs), ""), f"Patient/{identity}"


class _Question:
    """The parameters of one search, each as often as it was given."""

    def __init__(self, kind: str, asked: Sequence[tuple[str, str]]) -> None:
        known = (*SEARCHABLE[kind], *ANSWERING)
        self._given: dict[str, list[str]] = {}
        for name, value in asked:
            if name not in known:
                raise SenderError(
                    f"unknown parameter; {kind} can be searched by {', '.join(SEARCHABLE[kind])}",
                    place=name[:60],
                    issue="not-supported",
                )
            if not value:
                raise SenderError("has no value", place=name, issue="value")
            self._given.setdefault(name, []).append(value)

    def each(self, name: str) -> list[str]:
        """Every time it was given: all of them have to hold."""
        return self._given.get(name, [])

    def once(self, name: str) -> str:
        """The value of a parameter that may be given once; "" where it was not."""
        values = self._given.get(name, [])
        if len(values) > 1:
            raise SenderError("was given twice; alternatives are divided by commas", place=name, issue="not-supported")
        return values[0] if values else ""

    def alternatives(self, name: str) -> tuple[str, ...]:
        """The values between commas."""
        return tuple(filter(None, self.once(name).split(",")))


def search(kind: str, asked: Sequence[tuple[str, str]], patients: Patients, zone: tzinfo) -> Search:
    """What the parameters ask for; dates without a time are days in `zone`.

    Raises:
        SenderError: a parameter that is not known, or a value that cannot be; names it.
    """
    if len(asked) == 1 and asked[0][0] == PAGE:
        return _going_on(kind, asked[0][1], patients, zone)
    question = _Question(kind, asked)
    count_only = _summary(question)
    size = _size(question)
    people = [patients.named(value) for name in ("patient", "subject") for value in question.alternatives(name)]
    codes = [_token(value, ACTION) for name in ("code", "category") for value in question.alternatives(name)]
    identities = [_token(value, OBLIGATION) for value in question.alternatives("identifier")]
    statuses = [value.rpartition("|")[2] for value in question.alternatives("status")]
    since, until = _between(question.each("_lastUpdated"), zone)
    eprs = {epr for epr, _ in people if epr} or set(patients.eprs)
    nothing = any(asked_for and not any(asked_for) for asked_for in ([epr for epr, _ in people], codes, identities))
    if question.once("patient") and question.once("subject"):
        raise SenderError("patient and subject are the same; give one of them", place="subject", issue="not-supported")
    return Search(
        kind=kind,
        asked=tuple(asked),
        wanted=Wanted(
            types=(kind,),
            ids=question.alternatives("_id"),
            eprs=tuple(sorted(eprs)),
            patients=tuple(patient for epr, patient in people if epr),
            identities=tuple(filter(None, identities)),
            statuses=tuple(statuses),
            codes=tuple(filter(None, codes)),
            since=since,
            until=until,
        ),
        targets=question.alternatives("target"),
        nothing=nothing or not eprs,
        size=size,
        count_only=count_only,
    )


def _going_on(kind: str, token: str, patients: Patients, zone: tzinfo) -> Search:
    try:
        told = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        named, asked, row = msgspec.json.decode(told, type=tuple[str, list[tuple[str, str]], int])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise SenderError("is no link of this view; search anew", place=PAGE, issue="value") from None
    if named != kind or any(name == PAGE for name, _ in asked):
        raise SenderError("is no link of this view; search anew", place=PAGE, issue="value")
    return replace(search(kind, asked, patients, zone), after=row)


def _summary(question: _Question) -> bool:
    match question.once("_summary"):
        case "" | "false":
            return False
        case "count":
            return True
        case other:
            raise SenderError(f"{other[:20]!r} is not offered; use count", place="_summary", issue="not-supported")


def _size(question: _Question) -> int:
    told = question.once("_count")
    if not told:
        return USUAL
    if not (told.isascii() and told.isdecimal()):
        raise SenderError("is no number", place="_count", issue="value")
    return max(1, min(int(told[:9]), MOST))


def _token(value: str, system: str) -> str:
    """The code of `code` or `system|code` where the system is ours; "" where it can match nothing."""
    named, bar, code = value.rpartition("|")
    return code if not bar or named == system else ""


def _between(values: Sequence[str], zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """From when (inclusive) until when (exclusive); R4 compares with the whole second, day, month or year given."""
    since: list[datetime] = []
    until: list[datetime] = []
    for value in values:
        prefix, told = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
        if prefix not in _PREFIXES:
            known = ", ".join(_PREFIXES)
            raise SenderError(f"prefix {prefix!r} is not known; use {known}", place="_lastUpdated", issue="value")
        if flaw := flaw_in_date_time(told):
            raise SenderError(flaw, place="_lastUpdated", issue="value")
        first, after = _span(told, zone)
        if prefix in ("eq", "ge"):
            since.append(first)
        if prefix in ("gt", "sa"):
            since.append(after)
        if prefix in ("eq", "le"):
            until.append(after)
        if prefix in ("lt", "eb"):
            until.append(first)
    return max(since, default=None), min(until, default=None)


def _span(told: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """The first instant of what was told, and the first after it."""
    first = to_instant(told, zone)
    end = to_end(told, zone)
    if len(told) <= _DAY and end is not None:
        return first, end + timedelta(seconds=1)
    fraction = told[_SECOND : _SECOND + 1] == "."
    return first, first + (timedelta(microseconds=1) if fraction else timedelta(seconds=1))
