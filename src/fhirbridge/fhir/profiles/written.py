"""The profiles of Task, Communication, Flag, CarePlan and Provenance, and the extension that names a recipient's role.

They hold for everything that the service writes, whatever staff make of it later: what only the service sets is
demanded, statuses, owners, notes and outputs are left to people. Rules that the service itself always keeps, and staff
may not, are warnings.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from fhirbridge.fhir import canonical
from fhirbridge.fhir.profiles.differential import Line, coded, elements
from fhirbridge.fhir.r4 import Resource

_VALUE_SETS = f"{canonical.BASE}/ValueSet"
_IDENTIFIED = (
    Line(
        id="identifier",
        short="Identity of the one thing that the service asked for or told",
        slices=("value", "system"),
    ),
    Line(id="identifier:obligation", min=1, max="1"),
    Line(id="identifier:obligation.system", min=1, fixed=("Uri", canonical.OBLIGATION)),
    Line(id="identifier:obligation.value", min=1),
)
_ORIGIN = (
    Line(id="meta.tag", slices=("value", "system")),
    Line(id="meta.tag:origin", short="Written by fhirbridge", min=1, max="1"),
    Line(id="meta.tag:origin.system", min=1, fixed=("Uri", canonical.ORIGIN)),
    Line(id="meta.tag:origin.code", min=1, fixed=("Code", "fhirbridge")),
)
_CLAUSES = (
    Line(id="reasonCode.coding", slices=("value", "system")),
    Line(id="reasonCode.coding:clause", short="A row of the policy that asks for this", max="1"),
    Line(id="reasonCode.coding:clause.system", min=1, fixed=("Uri", canonical.CLAUSE)),
    Line(id="reasonCode.coding:clause.code", min=1),
)
_WITHDRAWAL = (
    Line(id="statusReason.coding", slices=("value", "system")),
    Line(id="statusReason.coding:withdrawal", short="Why the service took it back", max="1"),
    Line(id="statusReason.coding:withdrawal.system", min=1, fixed=("Uri", canonical.WITHDRAWAL)),
    Line(id="statusReason.coding:withdrawal.code", min=1, bound=f"{_VALUE_SETS}/withdrawal"),
)
_POINT_STATES = "http://hl7.org/fhir/ValueSet/care-plan-activity-status"
_SAYS_WHY = "Whatever is taken back should say why"


class Profile(Struct, frozen=True, kw_only=True):
    """One profile: the type it is of, what it is for, and its lines."""

    type: str
    says: str
    lines: tuple[Line, ...]


def _root(key: str, says: str, expression: str) -> Line:
    """The rule of a profile, which the service itself always keeps."""
    return Line(id="", rules=((f"fhirbridge-{key}", says, expression),))


def _typed(
    element: str, code: str, value: str, *, min_: int, max_: str, short: str, bound: str = ""
) -> tuple[Line, ...]:
    """A Task's input or output of one type."""
    system = canonical.TASK_INPUT if element == "input" else canonical.TASK_OUTPUT
    pattern = {"coding": [{"system": system, "code": code}]}
    return (
        Line(id=f"{element}:{code}", short=short, min=min_, max=max_),
        Line(id=f"{element}:{code}.type", min=1, pattern=("CodeableConcept", pattern)),
        Line(id=f"{element}:{code}.value[x]", min=1, types=(value,), bound=bound),
    )


_TASK = Profile(
    type="Task",
    says="Somebody has to do something by a deadline. Its inputs say which rows of the policy ask for it, why, and by "
    "which versions of which resources.",
    lines=(
        _root("task-1", _SAYS_WHY, "status = 'cancelled' implies statusReason.exists()"),
        *_ORIGIN,
        *_IDENTIFIED,
        Line(id="instantiatesCanonical", short="The policy pack and its version", min=1),
        Line(id="basedOn", short="The plan that it belongs to", max="1", targets=("CarePlan",)),
        Line(id="groupIdentifier", short="The run of the pathway that asks for it", min=1),
        Line(id="groupIdentifier.system", min=1, fixed=("Uri", canonical.PATHWAY)),
        Line(id="groupIdentifier.value", min=1),
        *_WITHDRAWAL,
        Line(id="intent", fixed=("Code", "order")),
        Line(id="priority", min=1),
        *coded("code", canonical.ACTION, f"{_VALUE_SETS}/action", short="What is to be done"),
        Line(id="description", short="The same in plain English, with the deadline", min=1),
        Line(id="focus", short="The resource that triggered it"),
        Line(id="for", short="The patient", min=1, targets=("Patient",)),
        Line(id="authoredOn", min=1),
        *coded("performerType", canonical.ROLE, f"{_VALUE_SETS}/role", short="Who has to act"),
        Line(id="restriction", min=1),
        Line(id="restriction.period", min=1),
        Line(id="restriction.period.end", short="When it is due", min=1),
        Line(id="input", slices=("pattern", "type")),
        *_typed("input", "clause", "string", min_=1, max_="*", short="A row of the policy that asks for this"),
        *_typed("input", "because", "string", min_=0, max_="1", short="Why, with the dates that count"),
        *_typed("input", "detail", "string", min_=0, max_="*", short="What the record holds, under a heading"),
        *_typed("input", "evidence", "Reference", min_=1, max_="*", short="A version of a resource that counts"),
        Line(id="output", slices=("pattern", "type")),
        *_typed("output", "answered-by", "Reference", min_=0, max_="1", short="The resource that answered it"),
        *_typed(
            "output",
            "outcome",
            "CodeableConcept",
            min_=0,
            max_="1",
            short="What came of it",
            bound=f"{_VALUE_SETS}/outcome",
        ),
    ),
)
_COMMUNICATION = Profile(
    type="Communication",
    says="Somebody is told something; one for each role that is told.",
    lines=(
        _root(
            "communication-1", _SAYS_WHY, "(status = 'not-done' or status = 'stopped') implies statusReason.exists()"
        ),
        *_ORIGIN,
        Line(id="extension", slices=("value", "url")),
        Line(id="extension:recipientRole", short="The role that it is meant for, resolved or not", min=1, max="1"),
        Line(id="extension:recipientRole.url", min=1, fixed=("Uri", canonical.RECIPIENT_ROLE)),
        Line(id="extension:recipientRole.value[x]", min=1, types=("code",), bound=f"{_VALUE_SETS}/role"),
        *_IDENTIFIED,
        Line(id="instantiatesCanonical", short="The policy pack and its version", min=1, max="1"),
        *_WITHDRAWAL,
        *coded("category", canonical.ACTION, f"{_VALUE_SETS}/action", short="What is told"),
        Line(id="priority", min=1),
        Line(id="medium", min=1),
        Line(id="subject", short="The patient", min=1, targets=("Patient",)),
        Line(id="topic", min=1),
        Line(id="topic.text", min=1),
        Line(id="about", short="The plan it belongs to, or what triggered it", max="1"),
        Line(id="recipient", short="Who is told; by name alone where the directory knows no more", min=1),
        *_CLAUSES,
        Line(id="payload", short="The text, and the letter where there is one", min=1),
    ),
)
_FLAG = Profile(
    type="Flag",
    says="Something that everybody who opens the record should see. What asked for it is in its Provenance.",
    lines=(
        _root("flag-1", "What has ended should say when", "status = 'inactive' implies period.end.exists()"),
        *_ORIGIN,
        *_IDENTIFIED,
        Line(id="category", min=1),
        *coded("code", canonical.ACTION, f"{_VALUE_SETS}/action", short="What is stated"),
        Line(id="subject", short="The patient", min=1, targets=("Patient",)),
        Line(id="period", min=1),
        Line(id="period.start", min=1),
    ),
)
_CARE_PLAN = Profile(
    type="CarePlan",
    says="What several steps add up to: points with their states, and the Tasks that belong to them.",
    lines=(
        *_ORIGIN,
        *_IDENTIFIED,
        Line(id="instantiatesCanonical", short="The policy pack and its version", min=1, max="1"),
        Line(id="intent", fixed=("Code", "plan")),
        *coded("category", canonical.ACTION, f"{_VALUE_SETS}/action", short="Which plan it is"),
        Line(id="title", min=1),
        Line(id="subject", short="The patient", min=1, targets=("Patient",)),
        Line(id="period", min=1),
        Line(id="period.start", min=1),
        Line(id="created", min=1),
        Line(id="activity.reference", short="A Task of the plan", targets=("Task",)),
        Line(id="activity.detail.status", bound=_POINT_STATES),
        Line(id="activity.detail.description", short="What the point is called", min=1),
    ),
)
_PROVENANCE = Profile(
    type="Provenance",
    says="Why one write happened: the policy, its rows, and the versions of the resources that it rests on.",
    lines=(
        *_ORIGIN,
        Line(id="meta.tag:write", short="The write that it tells of, derived from it", min=1, max="1"),
        Line(id="meta.tag:write.system", min=1, fixed=("Uri", canonical.WRITE)),
        Line(id="meta.tag:write.code", min=1),
        Line(
            id="target",
            short="What was written",
            targets=("Task", "Communication", "Flag", "CarePlan", "DocumentReference"),
        ),
        Line(id="occurred[x]", min=1, types=("dateTime",)),
        Line(id="policy", short="The policy pack and its version", min=1, max="1"),
        Line(id="reason", min=1),
        Line(id="reason.text", short="The rows of the policy, and the sentences with the dates that count", min=1),
        Line(id="activity", short="Created or revised", min=1),
        Line(id="entity", short="A version of a resource that the write rests on"),
        Line(id="entity.role", fixed=("Code", "source")),
    ),
)

WRITTEN = (_TASK, _COMMUNICATION, _FLAG, _CARE_PLAN, _PROVENANCE)
"""The profiles, in the order in which a reader wants them."""


def structure_definitions(version: str) -> tuple[Resource, ...]:
    """The profiles and the extension as FHIR R4 resources of that version, each a differential."""
    return (*(_profile(each, version) for each in WRITTEN), _extension(version))


def _profile(profile: Profile, version: str) -> Resource:
    kind = profile.type
    head = _head(f"fhirbridge-{kind}", f"{kind} as fhirbridge writes it", profile.says, version)
    return head | _derived(kind, "resource", canonical.profile(kind), profile.lines)


def _extension(version: str) -> Resource:
    says = "The role that a Communication is meant for, whether or not somebody was found who holds it."
    head = _head(canonical.RECIPIENT_ROLE.rpartition("/")[2], "Role of the recipient", says, version)
    context = {"context": [{"type": "element", "expression": "Communication"}]}
    lines = (
        Line(id="", short="The role that it is meant for", max="1"),
        Line(id="extension", max="0"),
        Line(id="url", fixed=("Uri", canonical.RECIPIENT_ROLE)),
        Line(id="value[x]", min=1, types=("code",), bound=f"{_VALUE_SETS}/role"),
    )
    return head | _derived("Extension", "complex-type", canonical.RECIPIENT_ROLE, lines, context)


def _head(identity: str, title: str, says: str, version: str) -> Resource:
    words = "".join(word[:1].upper() + word[1:] for word in identity.split("-"))
    return {
        "resourceType": "StructureDefinition",
        "id": identity,
        "url": "",
        "version": version,
        "name": words,
        "title": title,
        "status": "active",
        "experimental": False,
        "publisher": "fhirbridge",
        "description": says,
        "fhirVersion": "4.0.1",
    }


def _derived(kind: str, of: str, url: str, lines: Iterable[Line], context: Resource | None = None) -> Resource:
    return {
        "url": url,
        "kind": of,
        "abstract": False,
        **(context or {}),
        "type": kind,
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{kind}",
        "derivation": "constraint",
        "differential": {"element": elements(kind, lines)},
    }
