"""Builds what deciding and rendering need, from settings: calendar, packs and directory. No store, no network."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

import holidays
from msgspec.structs import replace

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.effects import Started
from fhirbridge.core.policy import Pack
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.directory import Directory
from fhirbridge.fhir.directory_file import load_directory
from fhirbridge.fhir.mapping import Mapping as FhirMapping
from fhirbridge.packs.loading import load_edition, load_pack, pack_path, read_pack
from fhirbridge.service.assigning import Assignment, missing_edition
from fhirbridge.settings import ServiceSettings, Settings
from fhirbridge.shipped import folder

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
    """The pack of that name or path, with the settings of this service.

    Raises:
        ConfigurationError: there is no such pack, its file is wrong, or the settings give one of its own that is.
    """
    risk = settings.risk_when_unrecorded
    pack = load_pack(name, calendar=calendar, risk_when_unrecorded=risk)
    if overrides := settings.overrides.get(name):
        try:
            pack = load_pack(name, overrides=overrides, calendar=calendar, risk_when_unrecorded=risk)
        except ConfigurationError as error:
            raise ConfigurationError(error.message, place=f"overrides.{name}") from error
    return replace(pack, follow_from=settings.follow_from)


def check_overridden(settings: Settings, calendar: Calendar) -> None:
    """Refuse what is wrong with the settings of packs, also of those that nobody is assigned yet.

    Raises:
        ConfigurationError: names the pack, and what is wrong with its settings.
    """
    for name in settings.overrides:
        try:
            pack_path(name)
        except ConfigurationError as error:
            raise ConfigurationError(error.message, place=f"overrides.{name}") from error
        pack_of(name, settings, calendar)


def assignments_of(settings: Settings, calendar: Calendar, *, only: str | None = None) -> tuple[Assignment, ...]:
    """Which packs are assigned to which service; each pack with the same settings is compiled once.

    With `only`, no pack but that one: the cases of services without it are still theirs.

    Raises:
        ConfigurationError: a service names a pack or a setting that does not exist; its place names the service.
    """
    check_overridden(settings, calendar)
    compiled: dict[str, Pack] = {}
    return tuple(
        Assignment(
            name=service.name,
            packs=tuple(
                _assigned(service, name, settings, calendar, compiled)
                for name in dict.fromkeys(service.packs)
                if only in (None, name)
            ),
            keys=frozenset(service.match.service),
            settings=frozenset(service.match.setting),
        )
        for service in settings.services
    )


def _assigned(
    service: ServiceSettings, name: str, settings: Settings, calendar: Calendar, compiled: dict[str, Pack]
) -> Pack:
    overrides = settings.overrides.get(name, {}) | service.overrides.get(name, {})
    risk = service.risk_when_unrecorded or settings.risk_when_unrecorded
    key = repr((name, sorted(overrides.items()), risk))
    try:
        pack = compiled.get(key) or replace(
            load_pack(name, overrides=overrides, calendar=calendar, risk_when_unrecorded=risk),
            follow_from=settings.follow_from,
        )
    except ConfigurationError as error:
        place = f"services.{service.name}.{'overrides' if overrides else 'packs'}"
        raise ConfigurationError(error.message, place=place) from error
    return compiled.setdefault(key, pack)


class Archive:
    """Finds the editions of packs that runs were started with: what is configured or ships, else the archive.

    A file of the archive is called NAME@VERSION.yaml. What was found is kept.
    """

    def __init__(self, settings: Settings, calendar: Calendar) -> None:
        self._settings = settings
        self._calendar = calendar
        self._found: dict[str, Pack] = {}

    def __call__(self, started: Started, risk_when_unrecorded: str | None) -> Pack:
        """The edition the run was started with.

        Raises:
            ConfigurationError: it is nowhere to be found, or its file is wrong.
        """
        risk = risk_when_unrecorded or self._settings.risk_when_unrecorded
        key = repr((started.pack, started.version, sorted(started.settings.items()), risk))
        if key not in self._found:
            self._found[key] = load_edition(
                self._file(started),
                started.settings,
                calendar=self._calendar,
                texts=self._settings.overrides.get(started.pack, {}),
                risk_when_unrecorded=risk,
            )
        return self._found[key]

    def _file(self, started: Started) -> Path:
        for path in self._candidates(started):
            if path.is_file():
                written = read_pack(path)
                if (written.pack, written.version) == (started.pack, started.version):
                    return path
        raise missing_edition(started)

    def _candidates(self, started: Started) -> Iterator[Path]:
        settings = self._settings
        if settings.pack_archive is not None:
            yield settings.pack_archive / f"{started.pack}@{started.version}.yaml"
        yield folder("packs") / f"{started.pack}.yaml"
        of_eprs = (name for epr in settings.eprs.values() for name in epr.packs)
        of_services = (name for service in settings.services for name in service.packs)
        yield from (Path(name) for name in dict.fromkeys((*settings.packs, *of_eprs, *of_services)))


def directory_of(mapping: FhirMapping) -> Directory:
    """The directory beside the mapping, else of the one it extends; empty where there is none.

    Raises:
        ConfigurationError: it is wrong; with file and line.
    """
    beside = (file.with_name("directory.yaml") for file in mapping.files)
    file = next((file for file in beside if file.is_file()), None)
    return load_directory(file) if file is not None else Directory()
