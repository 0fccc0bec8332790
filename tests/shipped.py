"""What ships, read once for all the tests of a process: none of it changes."""

from __future__ import annotations

from functools import cache

from fhirbridge.core.policy import Pack
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.packs.loading import load_pack
from fhirbridge.shipped import folder
from fhirbridge.wiring.policies import calendar_of

CALENDAR = calendar_of("Europe/London", "ENG")


@cache
def shipped_mapping(name: str = "uk-core") -> Mapping:
    """The mapping of that name."""
    return Mapping.load(name, [folder("mappings")])


@cache
def shipped_pack(name: str = "rdash-disengagement", *, risk_when_unrecorded: str = "unknown") -> Pack:
    """The pack of that name with its settings as they ship, in England."""
    return load_pack(name, calendar=CALENDAR, risk_when_unrecorded=risk_when_unrecorded)
