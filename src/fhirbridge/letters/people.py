"""Names, addresses and dates of birth as FHIR R4 has them, in the words of a letter."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource, objects

_NAMES = ("official", "usual", "")
_HOMES = ("home", "", "work", "billing", "temp")
_PHONES = ("mobile", "home", "", "work")
_PARTS = ("line", "city", "district", "state", "postalCode")


def clean(text: str) -> str:
    """The text on one line, without control characters; spaces joined."""
    kept = (" " if character.isspace() else character for character in unicodedata.normalize("NFC", str(text)))
    return " ".join("".join(c for c in kept if unicodedata.category(c) not in {"Cc", "Cf", "Cs"}).split())


def name_of(resource: Resource | None) -> str:
    """What a person or an organisation is called; "" where the resource does not say."""
    named = (resource or {}).get("name")
    if isinstance(named, str):
        return clean(named)
    chosen = _preferred(named, _NAMES)
    if chosen is None:
        return ""
    parts = [*_strings(chosen.get("prefix")), *_strings(chosen.get("given")), str(chosen.get("family") or "")]
    return (
        clean(str(chosen.get("text") or "")) if not any(parts[:-1]) and chosen.get("text") else clean(" ".join(parts))
    )


def has_died(patient: Resource | None) -> bool:
    """Whether the Patient is recorded as having died."""
    return patient is not None and (patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient)


def address_of(resource: Resource | None) -> tuple[str, ...]:
    """The lines of the postal address; none where the resource has no address in use."""
    chosen = _preferred((resource or {}).get("address"), _HOMES)
    if chosen is None:
        return ()
    lines = [line for part in _PARTS for line in _strings(chosen.get(part))]
    if not lines:
        lines = re.split(r"[\n,]", str(chosen.get("text") or ""))
    return tuple(dict.fromkeys(filter(None, map(clean, lines))))


def phone_of(resource: Resource | None) -> str:
    """A telephone number; "" where there is none."""
    points = [point for point in objects((resource or {}).get("telecom")) if point.get("system") in {"phone", "sms"}]
    chosen = _preferred(points, _PHONES)
    return clean(str(chosen.get("value") or "")) if chosen else ""


def nhs_number_of(patient: Resource | None) -> str:
    """The NHS number in its three groups; "" where there is none."""
    for identifier in objects((patient or {}).get("identifier")):
        digits = re.sub(r"\D", "", str(identifier.get("value") or ""))
        if identifier.get("system") == canonical.NHS_NUMBER and len(digits) == len("9990000000"):
            return f"{digits[:3]}\u00a0{digits[3:6]}\u00a0{digits[6:]}"
    return ""


def born(patient: Resource | None) -> str:
    """The date of birth in full, as far as it is recorded: "2 March 1980", "March 1980", "1980"."""
    written = str((patient or {}).get("birthDate") or "")
    try:
        day = date.fromisoformat(written)
    except ValueError:
        return _partly(written)
    return f"{day.day} {day:%B %Y}"


def _partly(written: str) -> str:
    for form, shown in (("%Y-%m", "%B %Y"), ("%Y", "%Y")):
        try:
            return datetime.strptime(written, form).strftime(shown)  # noqa: DTZ007  # a month or year has no time zone
        except ValueError:
            continue
    return ""


def _preferred(entries: Any, uses: Sequence[str]) -> dict[str, Any] | None:
    """The entry in use whose use comes first; entries that have ended or are old count for nothing."""
    current = [entry for entry in objects(entries) if entry.get("use") != "old" and not _ended(entry)]
    ranked = [(uses.index(use), n) for n, entry in enumerate(current) if (use := str(entry.get("use") or "")) in uses]
    return current[min(ranked)[1]] if ranked else next(iter(current), None)


def _ended(entry: dict[str, Any]) -> bool:
    period = entry.get("period")
    return isinstance(period, dict) and bool(period.get("end"))


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
