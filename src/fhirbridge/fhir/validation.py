"""Is this resource fit to become a fact? The one check that everything coming in goes through.

It refuses what R4 forbids and what would make a fact wrong: an unknown resource type, no id or `meta.lastUpdated`, a
missing status where R4 requires one, an impossible date, a code outside a required binding. It does not judge profiles
or cardinalities that nothing here depends on, and it accepts `noshow` with a cancelationReason, which R4's invariant
app-4 would refuse, because EPRs send it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from fhirbridge.errors import SenderError
from fhirbridge.fhir.instants import flaw_in_date, flaw_in_date_time, flaw_in_end, flaw_in_instant
from fhirbridge.fhir.r4 import RESOURCE_TYPES, SHAPES, Resource, Shape
from fhirbridge.fhir.wording import shown

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
"""R4's datatype id."""


def check(resource: Resource) -> None:
    """Accept a resource, or say what is wrong with it.

    Raises SenderError whose `place` is the element as a FHIRPath (`Appointment.status`) and whose `issue` is the FHIR
    IssueType. Types that the service has no use for only need to be R4 types with an id and `meta.lastUpdated`.
    Source: FHIR R4 resource pages; hl7.org/fhir/R4/terminologies.html#required.
    """
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or kind not in RESOURCE_TYPES:
        told = "is missing" if kind is None else f"{shown(kind)} is not a resource type of FHIR R4"
        raise SenderError(f"{told}; send FHIR R4 JSON", place="resourceType", issue="structure")
    identity = resource.get("id")
    if not isinstance(identity, str) or not ID.fullmatch(identity):
        _refuse(kind, "id", identity, "1 to 64 letters, digits, hyphens or full stops")
    meta = resource.get("meta")
    known = meta.get("lastUpdated") if isinstance(meta, dict) else None
    if known is None:
        _refuse(kind, "meta.lastUpdated", None, "the instant at which the EPR stored this version")
    if flaw := flaw_in_instant(known):
        raise SenderError(flaw, place=f"{kind}.meta.lastUpdated", issue="value")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    if version is not None and (not isinstance(version, str) or not ID.fullmatch(version)):
        _refuse(kind, "meta.versionId", version, "1 to 64 letters, digits, hyphens or full stops")
    for required in _REQUIRED.get(kind, ()):
        if resource.get(required) is None:
            _refuse(kind, required, None, "R4 requires it")
    for element, inspect in _INSPECTIONS.get(kind, ()):
        if element in resource:
            inspect(resource[element])


def _code(place: str, codes: frozenset[str], value: object) -> None:
    if not isinstance(value, str) or value not in codes:
        told = f"{shown(value)} is not allowed; send one of {', '.join(sorted(codes))}"
        raise SenderError(told, place=place, issue="code-invalid")


def _time(place: str, flaw: Callable[[object], str], value: object) -> None:
    if said := flaw(value):
        raise SenderError(said, place=place, issue="value")


def _period(place: str, period: object) -> None:
    if not isinstance(period, dict):
        raise SenderError("is not a Period; send an object with start and end", place=place, issue="structure")
    if "start" in period:
        _time(f"{place}.start", flaw_in_date_time, period["start"])
    if "end" in period:
        _time(f"{place}.end", flaw_in_end, period["end"])


def _concept(place: str, system: str, codes: frozenset[str], concept: object) -> None:
    codings = concept.get("coding", []) if isinstance(concept, dict) else None
    if not isinstance(codings, list):
        raise SenderError("is not a CodeableConcept; send an object with coding", place=place, issue="structure")
    for index, coding in enumerate(codings):
        if not isinstance(coding, dict):
            raise SenderError("is not a Coding; send an object", place=f"{place}.coding[{index}]", issue="structure")
        if coding.get("system") == system:
            _code(f"{place}.coding[{index}].code", codes, coding.get("code"))


def _below(place: str, steps: Sequence[str], inspect: Callable[[str, object], None], value: object) -> None:
    """Inspect what lies `steps` below `value`, through lists; the place given to `inspect` counts their items."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            _below(f"{place}[{index}]", steps, inspect, item)
    elif not steps:
        inspect(place, value)
    elif isinstance(value, dict) and steps[0] in value:
        _below(f"{place}.{steps[0]}", steps[1:], inspect, value[steps[0]])


def _inspections(kind: str, shape: Shape) -> Iterator[tuple[str, Callable[[object], None]]]:
    for element, codes in shape.codes:
        yield element, partial(_code, f"{kind}.{element}", codes)
    for element, system, codes in shape.concepts:
        yield element, partial(_concept, f"{kind}.{element}", system, codes)
    for flaw, elements in (
        (flaw_in_instant, shape.instants),
        (flaw_in_date, shape.dates),
        (flaw_in_date_time, shape.date_times),
    ):
        for element in elements:
            yield element, partial(_time, f"{kind}.{element}", flaw)
    for path in shape.periods:
        first, *rest = path.split(".")
        yield first, partial(_below, f"{kind}.{first}", rest, _period)


def _refuse(kind: str, element: str, value: object, wanted: str) -> None:
    place = f"{kind}.{element}"
    if value is None:
        raise SenderError(f"is missing; {wanted}", place=place, issue="required")
    raise SenderError(f"{shown(value)} is not allowed; send {wanted}", place=place, issue="value")


_REQUIRED = {kind: shape.required for kind, shape in SHAPES.items()}
_INSPECTIONS = {kind: tuple(_inspections(kind, shape)) for kind, shape in SHAPES.items()}
