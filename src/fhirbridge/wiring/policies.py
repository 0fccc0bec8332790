"""Builds what deciding and rendering need, from settings: calendar, packs and directory. No store, no network."""

from __future__ import annotations

from datetime import date
from importlib.metadata import version

import holidays
import yaml

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.policy import Pack
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.directory import Directory, read_directory
from fhirbridge.fhir.mapping import Mapping as FhirMapping
from fhirbridge.packs.loading import load_pack
from fhirbridge.settings import Settings

HOLIDAY_YEARS = range(2015, 2041)


def calendar_of(zone: str, region: str) -> Calendar:
    """Local time, and the bank holidays of a region of the United Kingdom (`ENG`, `SCT`, `WLS`, `NIR`).

    Raises:
        ConfigurationError: there is no such region.
    """
    try:
        days = holidays.country_holidays("GB", subdiv=region, years=HOLIDAY_YEARS)
    except NotImplementedError:
        raise ConfigurationError(
            f"{region!r} is no region of the United Kingdom; write ENG, SCT, WLS or NIR", place="holidays"
        ) from None
    listed = frozenset(date(day.year, day.month, day.day) for day in days)
    return Calendar(zone=zone, holidays=listed, version=f"holidays {version('holidays')} GB-{region}")


def pack_of(name: str, settings: Settings, calendar: Calendar) -> Pack:
    """The pack of that name or path, with the settings of this service."""
    return load_pack(
        name,
        overrides=settings.overrides.get(name, {}),
        calendar=calendar,
        risk_when_unrecorded=settings.risk_when_unrecorded,
    )


def directory_of(mapping: FhirMapping) -> Directory:
    """The directory beside the mapping, else of the one it extends; empty where there is none."""
    beside = (file.with_name("directory.yaml") for file in mapping.files)
    file = next((file for file in beside if file.is_file()), None)
    if file is None:
        return Directory()
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigurationError(" ".join(str(error).split()), place=str(file)) from None
    return read_directory(data or {}, str(file))
