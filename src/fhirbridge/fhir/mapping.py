"""A resource and a mapping give a fact.

A mapping is compiled once: each rule becomes a row of readers, one for each field. `fact` runs the first rule that
applies to the resource; `trace` runs it too, and says for each field which line of which file gave it. Nothing is
dropped in silence: a resource that a rule is for but that cannot become its fact is `Unmapped`, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct
from msgspec.structs import fields as struct_fields

from fhirbridge.core.facts import AnyFact, Fact, Source, Unmapped
from fhirbridge.errors import ConfigurationError, SenderError
from fhirbridge.fhir.codes import Codes, codings
from fhirbridge.fhir.fact_fields import FACTS, SEVERAL, Kind, Read, reader
from fhirbridge.fhir.instants import to_instant
from fhirbridge.fhir.mapping_file import MappingFile, Origin, Rule, read
from fhirbridge.fhir.nearest import unknown
from fhirbridge.fhir.paths import compiled
from fhirbridge.fhir.r4 import RESOURCE_TYPES, Resource


class Found(Struct, frozen=True):
    """One field of a fact and where it came from: `place` is the mapping's `file:line`, `path` its FHIRPath."""

    field: str
    value: Any
    place: str
    path: str


class Strange(Struct, frozen=True, order=True):
    """A code of the EPR in a place where the mapping looks for codes, and that no concept map asked there knows."""

    field: str
    map: str
    system: str
    code: str


class Trace(Struct, frozen=True):
    """What a mapping made of one resource: the fact (None when it has no use for it), the rule and each field.

    `strange` are the codes that it looked at and knows nothing about.
    """

    fact: AnyFact | None
    rule: str
    found: tuple[Found, ...]
    strange: tuple[Strange, ...] = ()


class Mapping:
    """A mapping, compiled. Safe to share between threads and tasks. `parent` names the mapping that it extends."""

    def __init__(self, file: MappingFile) -> None:
        """Compile. Raises ConfigurationError with `file:line` for whatever cannot work."""
        self.name = file.name
        self.parent = file.parent
        self.version = file.version
        self.title = file.title
        self.files = file.files
        try:
            self.zone = ZoneInfo(file.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigurationError(f"there is no time zone {file.zone!r}", place=str(file.files[0])) from error
        maps = {name: Codes(systems) for name, systems in file.maps.items()}
        self._rules: dict[str, list[_Compiled]] = {}
        for rule in file.rules:
            self._rules.setdefault(rule.resource, []).append(_Compiled(rule, maps, self.zone))

    @classmethod
    def load(cls, name: str, roots: Sequence[Path]) -> Mapping:
        """Read and compile a mapping by the path of its folder, or by its name in one of `roots`.

        Raises ConfigurationError with `file:line`, NotKnown when there is no such mapping.
        """
        return cls(read(name, roots))

    @property
    def resource_types(self) -> frozenset[str]:
        """The resource types that the mapping has rules for."""
        return frozenset(self._rules)

    def fact(self, resource: Resource) -> AnyFact | None:
        """The fact that a checked resource gives; None when the service has no use for it.

        Unmapped when a rule is for it but a field that the fact cannot be without is missing. Its `patient` is "" when
        that is what is missing.
        """
        rule = self._rule(resource)
        return rule.fact(resource, None) if rule else None

    def trace(self, resource: Resource) -> Trace:
        """The fact, and for each field which line of the mapping gave it."""
        rule = self._rule(resource)
        if rule is None:
            return Trace(None, "", ())
        found: list[Found] = []
        fact = rule.fact(resource, found)
        return Trace(fact, rule.name, tuple(found), rule.strange(resource))

    def _rule(self, resource: Resource) -> _Compiled | None:
        for rule in self._rules.get(resource.get("resourceType", ""), ()):
            if rule.when is None or rule.when(resource) == [True]:
                return rule
        return None


class _Field:
    """One field with its origins, compiled."""

    def __init__(
        self, name: str, kind: Kind, origins: Sequence[Origin], maps: dict[str, Codes], zone: ZoneInfo
    ) -> None:
        self.name = name
        self.several = kind in SEVERAL and name != "patient"
        self.origins: list[tuple[Origin, Read]] = [(o, reader(name, kind, o, maps, zone)) for o in origins]
        self.looks = [(origin, compiled(origin.path), maps[origin.map]) for origin in origins if _is_looked_up(origin)]
        reads = [read for _, read in self.origins]
        self.read: Read = reads[0] if len(reads) == 1 else _all_of(reads) if self.several else _first_of(reads)

    def trace(self, resource: Resource, known: datetime, patient: str) -> list[Found]:
        found = []
        for origin, read_one in self.origins:
            value = read_one(resource, known, patient)
            if value is not None:
                found.append(Found(self.name, value, origin.place, origin.path or f"value: {origin.value}"))
                if not self.several:
                    break
        return found

    def strange(self, resource: Resource) -> Iterator[Strange]:
        """Codes at the field's paths that none of its maps knows; a concept with one known coding is known."""
        asked: dict[tuple[str, str], list[str]] = {}
        for origin, path, _ in self.looks:
            for item in path(resource):
                if not any(codes.of([item]) for _, _, codes in self.looks):
                    for coding in codings(item):
                        asked.setdefault(coding, []).append(origin.map)
        for (system, code), maps in asked.items():
            yield Strange(self.name, ", ".join(dict.fromkeys(maps)), system, code)


def _is_looked_up(origin: Origin) -> bool:
    """Whether whatever stands at the path is a code of the EPR: not every extension is one, nor a holder's role."""
    return bool(origin.map and origin.path) and not origin.role and not origin.path.startswith("extension")


def _first_of(reads: Sequence[Read]) -> Read:
    def first(resource: Resource, known: datetime, patient: str) -> Any:
        for read_one in reads:
            value = read_one(resource, known, patient)
            if value is not None:
                return value
        return None

    return first


def _all_of(reads: Sequence[Read]) -> Read:
    def union(resource: Resource, known: datetime, patient: str) -> Any:
        values: tuple[str, ...] = ()
        for read_one in reads:
            values += read_one(resource, known, patient) or ()
        return tuple(dict.fromkeys(values)) or None

    return union


class _Compiled:
    """One rule, compiled."""

    def __init__(self, rule: Rule, maps: dict[str, Codes], zone: ZoneInfo) -> None:
        if rule.resource not in RESOURCE_TYPES:
            told = unknown(rule.resource, RESOURCE_TYPES, "resource type of FHIR R4")
            raise ConfigurationError(told, place=rule.place)
        if rule.fact != "none" and rule.fact not in FACTS:
            raise ConfigurationError(unknown(rule.fact, ["none", *FACTS], "fact"), place=rule.place)
        self.name = rule.name
        self.resource = rule.resource
        self.place = rule.place
        try:
            self.when = compiled(rule.when) if rule.when else None
        except ConfigurationError as error:
            raise ConfigurationError(error.message, place=rule.place) from error
        self.made: type[Fact] | None = None
        kinds: dict[str, Kind] = {}
        if rule.fact != "none":
            self.made, kinds = FACTS[rule.fact]
        # The patient of a Patient is itself; erased and patient belong to every fact.
        every = {"patient": Kind.REFERENCES, "erased": Kind.TRUTH} if self.made is not None else {}
        if strange := rule.fields.keys() - kinds.keys() - every.keys():
            field = min(strange)
            told = unknown(field, [*every, *kinds], f"field of the fact {rule.fact}")
            raise ConfigurationError(told, place=next((o.place for o in rule.fields[field]), rule.place))
        fields = {
            name: _Field(name, kind, rule.fields[name], maps, zone)
            for name, kind in {**every, **kinds}.items()
            if name in rule.fields
        }
        self.patient = fields.pop("patient", None)
        if self.made is not None and self.patient is None and rule.resource != "Patient":
            raise ConfigurationError("patient is missing; every fact is about one", place=rule.place)
        self.fields = tuple(fields.values())
        self.needed = _needed(self.made) if self.made is not None else frozenset()
        self.empty: dict[str, Any] = {name: () for name in self.needed if kinds[name] in SEVERAL}
        if never := self.needed - fields.keys():
            raise ConfigurationError(f"{rule.fact} needs {', '.join(sorted(never))}", place=rule.place)

    def fact(self, resource: Resource, found: list[Found] | None) -> AnyFact | None:
        """Make the fact; where `found` is given, note in it which origin gave which field."""
        if self.made is None:
            return None
        meta = resource["meta"]
        source = Source(self.resource, resource["id"], meta.get("versionId", ""))
        known = to_instant(meta["lastUpdated"], UTC)
        patient = ""
        reading = "patient"
        values = dict(self.empty)
        try:
            patient = self._patient(resource, known, found)
            for field in self.fields:
                reading = field.name
                value = field.read(resource, known, patient)
                if value is not None:
                    values[reading] = value
                    if found is not None:
                        found.extend(field.trace(resource, known, patient))
        except SenderError as error:
            return Unmapped(source=source, known=known, patient=patient, reason=f"{reading}: {error}")
        if missing := self.needed - values.keys():
            reason = f"nothing found for {', '.join(sorted(missing))} ({self.place})"
            return Unmapped(source=source, known=known, patient=patient, reason=reason)
        make: Callable[..., Fact] = self.made
        return _any(make(source=source, known=known, patient=patient, **values))

    def strange(self, resource: Resource) -> tuple[Strange, ...]:
        """The codes of the resource that the rule looks at and knows nothing about, each once."""
        return tuple(dict.fromkeys(one for field in self.fields for one in field.strange(resource)))

    def _patient(self, resource: Resource, known: datetime, found: list[Found] | None) -> str:
        if self.patient is None:
            return f"Patient/{resource['id']}"
        patients: tuple[str, ...] = self.patient.read(resource, known, "") or ()
        if len(patients) != 1:
            told = f"names {len(patients)} patients, {', '.join(patients)}" if patients else "names no patient"
            raise SenderError(f"the resource {told}; a fact is about one ({self.place})")
        if found is not None:
            found.extend(self.patient.trace(resource, known, ""))
        return str(patients[0])


@cache
def _needed(fact: type[Fact]) -> frozenset[str]:
    """What a mapping has to give for this fact."""
    return frozenset(field.name for field in struct_fields(fact) if field.required) - {"source", "known", "patient"}


def _any(fact: Fact) -> AnyFact:
    return cast(AnyFact, fact)  # FACTS holds members of the union alone
