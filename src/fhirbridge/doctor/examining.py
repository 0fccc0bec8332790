"""One examination: the settings first, then the EPR, then what follows."""

from __future__ import annotations

from msgspec.structs import replace

from fhirbridge.adapters.system_clock import SystemClock
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.policy import Pack
from fhirbridge.doctor.asking import let_in, reach
from fhirbridge.doctor.configured import means_of, of_directory, of_letters, of_settings
from fhirbridge.doctor.findings import Examination, Finding
from fhirbridge.doctor.gaps import Missing, of_gaps
from fhirbridge.doctor.judging import judged
from fhirbridge.doctor.mesh import of_certificates, of_mesh
from fhirbridge.doctor.trying import try_searches
from fhirbridge.doctor.ways import of_ways
from fhirbridge.errors import NotKnown
from fhirbridge.fhir.capability import Capability, Feed, feeds_for, writes_for
from fhirbridge.service.reading import EVENTFUL
from fhirbridge.settings import EprSettings, Settings
from fhirbridge.wiring.eprs import epr_of, mapping_of
from fhirbridge.wiring.mesh import mesh_of
from fhirbridge.wiring.policies import assignments_of, calendar_of, directory_of, pack_of

_FIRST = ("Appointment", "Encounter", "EpisodeOfCare", "Patient")


async def examine(name: str, settings: Settings) -> Examination:
    """Examine the EPR of that name.

    Raises:
        NotKnown: none is configured under that name.
        ConfigurationError: a setting, key, certificate, pack, mapping or directory is wrong.
    """
    if name not in settings.eprs:
        known = ", ".join(sorted(settings.eprs)) or "none"
        raise NotKnown(f"no EPR is configured under the name {name[:60]!r}; configured: {known}", place="--epr")
    one = settings.eprs[name]
    calendar = calendar_of(settings.zone, settings.holidays)
    packs = _packs(settings, one, calendar)
    mapping = mapping_of(name, one)
    directory = directory_of(mapping)
    ours = [*of_directory(packs, directory), *of_ways(settings, directory), *of_letters(settings, packs, calendar)]
    ours += of_certificates(settings, name, one, SystemClock().now())
    ours += await of_mesh(settings, mesh_of(settings, SystemClock()))
    missing = await of_gaps(settings.database_url, name, packs, calendar)
    types = sorted(mapping.resource_types, key=lambda kind: (_rank(kind), kind))
    async with epr_of(name, one) as epr:
        reached, capability = await reach(epr, means_of(one))
        if capability is None:
            return _with(missing, Examination(epr=name, base_url=str(one.base_url), findings=(*ours, reached)))
        readable = [kind for kind in types if capability.offer(kind).can("read")]
        entry = await let_in(epr, readable, means_of(one), capability.security)
        feeds = feeds_for(capability, types, EVENTFUL, subscribe=one.subscribe, wanted=one.feed)
        entry += await try_searches(epr, feeds, one.polling.demands)
    return _with(missing, _examined(name, settings, one, capability, feeds, [*ours, reached, *entry]))


def _packs(settings: Settings, one: EprSettings, calendar: Calendar) -> list[Pack]:
    """Every pack that its patients can meet, each edition once."""
    if settings.services and not one.packs:
        found = {id(pack): pack for each in assignments_of(settings, calendar) for pack in each.packs}
        return list(found.values())
    return [pack_of(pack, settings, calendar) for pack in one.packs or settings.packs]


def _examined(
    name: str,
    settings: Settings,
    one: EprSettings,
    capability: Capability,
    feeds: tuple[Feed, ...],
    found: list[Finding],
) -> Examination:
    writes = writes_for(capability, one.writes)
    return Examination(
        epr=name,
        base_url=str(one.base_url),
        software=capability.software,
        fhir_version=capability.fhir_version,
        findings=(*of_settings(settings, one, feeds), *found, *judged(capability, feeds, writes)),
        feeds=feeds,
        writes=writes,
    )


def _with(missing: Missing, one: Examination) -> Examination:
    return replace(one, findings=(*one.findings, *missing.found), gaps=missing.gaps, held_back=missing.held_back)


def _rank(kind: str) -> int:
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)
