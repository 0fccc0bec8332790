"""Concept maps: an EPR's codes to ours."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir.mapping_file import CodeSystem
from fhirbridge.fhir.nearest import unknown

_REMEMBERED = 10_000


def codings(item: Any) -> list[tuple[str, str]]:
    """(system, code) of a CodeableConcept, Coding, Identifier or bare code, as found by a path; "" for no system."""
    if isinstance(item, str):
        return [("", item)]
    if not isinstance(item, dict):
        return []
    within = item.get("coding")
    return [
        (system, code)
        for coding in (within if isinstance(within, list) else (item,))
        if isinstance(coding, dict)
        and isinstance(system := coding.get("system", ""), str)
        and isinstance(code := coding.get("code") or coding.get("value"), str)
    ]


class Codes:
    """A concept map ready for use. The first system and code that fits decides; exact codes before those with `*`."""

    def __init__(self, systems: Sequence[CodeSystem]) -> None:
        self._systems = systems
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def only(self, ours: Collection[str], what: str) -> None:
        """Raise ConfigurationError at the first code that the map gives and that is none of `ours`."""
        for system in self._systems:
            for theirs, given in [*((code, (code,)) for code in sorted(system.same)), *system.to.items()]:
                for code in given:
                    if code not in ours:
                        place = system.places.get(theirs, system.place)
                        raise ConfigurationError(unknown(code, ours, what), place=place)

    def of(self, items: list[Any]) -> tuple[str, ...]:
        """Our codes for all that a path found, in that order, each once."""
        found: tuple[str, ...] = ()
        for item in items:
            for coding in codings(item):
                ours = self._known.get(coding)
                found += self._look_up(coding) if ours is None else ours
        return tuple(dict.fromkeys(found)) if len(found) > 1 else found

    def _look_up(self, coding: tuple[str, str]) -> tuple[str, ...]:
        ours = next(self._candidates(*coding), ())
        if len(self._known) < _REMEMBERED:
            self._known[coding] = ours
        return ours

    def _candidates(self, system: str, code: str) -> Iterator[tuple[str, ...]]:
        for one in self._systems:
            if one.system == system or ("*" in one.system and fnmatchcase(system, one.system)):
                if one.all_same or code in one.same:
                    yield (code,)
                if code in one.to:
                    yield one.to[code]
                yield from (ours for theirs, ours in one.to.items() if "*" in theirs and fnmatchcase(code, theirs))
