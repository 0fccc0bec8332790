"""Policy packs as FHIR R4 resources: a PlanDefinition for each pack, an ActivityDefinition for each thing it writes.

What the service writes names its policy by canonical (`instantiatesCanonical`); these resources are what stands there.
A pathway is an action of the PlanDefinition, its steps are actions within it, and a step's acts point at their
ActivityDefinitions. A condition carries its sentence in English, and the condition as the pack writes it, in JSON; R4's
binding of `Expression.language` is extensible, so it may name a media type of its own. Sources: hl7.org/fhir/R4, pages
plandefinition, activitydefinition, metadatatypes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fhirbridge.core.authored_conditions import When
from fhirbridge.core.authoring import Act, PackFile, Pathway, Step
from fhirbridge.core.calendar import Elapsed, LocalPeriod, Span, span
from fhirbridge.core.codes import display
from fhirbridge.core.sentences import Phrase, Sentences, said
from fhirbridge.core.wording import several
from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.terminology import computable
from fhirbridge.fhir.wording import sentence

LANGUAGE = "application/x.fhirbridge.condition+json"
"""Media type (RFC 6838, unregistered) of a condition as packs write it."""
_PLAN_TYPE = "http://terminology.hl7.org/CodeSystem/plan-definition-type"
_UCUM = "http://unitsofmeasure.org"
_KINDS = {"task": "Task", "communication": "CommunicationRequest", "care_plan": "CarePlan"}
"""What is requested, by R4's request-resource-types, which has no Flag."""
_WRITES = {"task": "Task", "communication": "Communication", "flag": "Flag", "care_plan": "CarePlan"}
_PEOPLE = {"patient": "patient", "family": "related-person"}
"""R4's action-participant-type by role; everybody else is a practitioner, for R4 has no organisation there."""


def definitions(pack: PackFile) -> tuple[Resource, ...]:
    """The PlanDefinition of a pack, then its ActivityDefinitions, with the settings as they ship."""
    publisher = _Publisher(pack)
    return (publisher.plan(), *publisher.activities())


class _Publisher:
    def __init__(self, pack: PackFile) -> None:
        self._pack = pack
        self._voice = Sentences(pack)
        self._steps = {step.id for pathway in pack.pathways for step in pathway.steps}

    def plan(self) -> Resource:
        pack = self._pack
        return self._head("PlanDefinition", pack.pack, pack.title) | {
            "type": {"coding": [{"system": _PLAN_TYPE, "code": "workflow-definition"}]},
            "action": [self._pathway(pathway) for pathway in pack.pathways],
        }

    def activities(self) -> Iterator[Resource]:
        for pathway in self._pack.pathways:
            for step in pathway.steps:
                for name, act in _named(step):
                    yield self._activity(name, step, act)

    def _head(self, kind: str, identity: str, title: str) -> Resource:
        source = self._pack.source
        artifact = {"type": "derived-from", "display": source.title}
        if source.reference:
            artifact["citation"] = source.reference
        head = {
            "resourceType": kind,
            "id": identity,
            "url": f"{canonical.BASE}/{kind}/{identity}",
            "version": self._pack.version,
            "name": computable(identity),
            "title": title,
            "status": "active",
            "experimental": False,
            "publisher": "fhirbridge",
            "relatedArtifact": [artifact],
        }
        return head | ({"lastReviewDate": source.reviewed.isoformat()} if source.reviewed else {})

    # --- PlanDefinition ----------------------------------------------------------------------------------

    def _pathway(self, pathway: Pathway) -> Resource:
        starts = self._voice.start(pathway)
        action: Resource = {"id": pathway.id, "title": pathway.title}
        if pathway.clause:
            action["prefix"] = pathway.clause
        action["description"] = sentence(f"Starts when {said(starts)}")
        action["trigger"] = [{"type": "named-event", "name": pathway.once_per}]
        if isinstance(pathway.starts, When):
            action["condition"] = [_applicable(pathway.starts, starts)]
        if pathway.ends is not None:
            ends = self._voice.condition(pathway.ends)
            action["condition"] = [*action.get("condition", []), _condition("stop", pathway.ends, ends)]
        return action | {"action": [self._step(step, pathway) for step in pathway.steps]}

    def _step(self, step: Step, pathway: Pathway) -> Resource:
        action: Resource = {"id": step.id, "title": step.title}
        if clause := step.clause or pathway.clause:
            action["prefix"] = clause
        action["code"] = [_concept(canonical.CLAUSE, step.row or step.id, step.row or step.id)]
        conditions = []
        if isinstance(step.when, When):
            phrase = self._voice.condition(step.when)
            action["description"] = sentence(f"Asked for when {said(phrase)}")
            conditions.append(_applicable(step.when, phrase))
        if step.towards is not None:
            waits = "It waits while events of the EPR may be missing."
            action["description"] = f"{action['description']} {waits}" if "description" in action else waits
        if step.until is not None:
            conditions.append(_condition("stop", step.until, self._voice.condition(step.until)))
        if conditions:
            action["condition"] = conditions
        if isinstance(step.when, When) and (after := list(self._after(step.when))):
            action["relatedAction"] = [{"actionId": each, "relationship": "after-start"} for each in after]
        return action | {"action": [self._act(name, act) for name, act in _named(step)]}

    def _after(self, when: When) -> Iterator[str]:
        """Steps that surely come before: each named alone by a condition that has to hold."""
        for value in (when.outcome, when.sent, when.passed):
            if value is not None and value.of and len(several(value.of)) == 1:
                yield several(value.of)[0]
        if len(several(when.reached)) == 1:
            yield several(when.reached)[0]
        for part in when.all:
            yield from self._after(part)

    def _act(self, name: str, act: Act) -> Resource:
        _, code = _written(act)
        action: Resource = {
            "title": display(code),
            "code": [_concept(canonical.ACTION, code, display(code))],
            "priority": act.priority,
        }
        if roles := several(act.to):
            action["participant"] = [_participant(role) for role in roles]
        return action | {"definitionCanonical": f"{canonical.BASE}/ActivityDefinition/{name}|{self._pack.version}"}

    # --- ActivityDefinition ------------------------------------------------------------------------------

    def _activity(self, name: str, step: Step, act: Act) -> Resource:
        kind, code = _written(act)
        resource = self._head("ActivityDefinition", name, f"{display(code)}: {step.title}")
        if act.says:
            resource["description"] = self._voice.text(act.says)
        if kind in _KINDS:
            resource["kind"] = _KINDS[kind]
            resource["intent"] = "plan" if kind == "care_plan" else "order"
        resource["profile"] = canonical.profile(_WRITES[kind])
        resource["code"] = _concept(canonical.ACTION, code, display(code))
        resource["priority"] = act.priority
        if act.due is not None:
            resource |= self._timing(act)
        if roles := several(act.to):
            resource["participant"] = [_participant(role) for role in roles]
        return resource

    def _timing(self, act: Act) -> Resource:
        """The time there is to do it: a Duration where R4 can say it, words where it cannot (working days)."""
        written = act.due or ""
        value = self._pack.settings[written[1:]].default if written.startswith("$") else written
        duration = _duration(span(str(value))) if act.due_by is None and act.due_from == "when" else None
        if duration is not None:
            return {"timingDuration": duration}
        return {"timingTiming": {"code": {"text": self._voice.deadline(act)}}}


def _duration(period: Span) -> Resource | None:
    match period:
        case Elapsed(seconds=seconds) if seconds % 3600 == 0:
            value, unit, code = seconds // 3600, "hours", "h"
        case Elapsed(seconds=seconds):
            value, unit, code = seconds // 60, "minutes", "min"
        case LocalPeriod(months=months, days=0) if months:
            value, unit, code = months, "months", "mo"
        case LocalPeriod(months=0, days=days):
            value, unit, code = days, "days", "d"
        case _:
            return None
    return {"value": value, "unit": unit, "system": _UCUM, "code": code}


def _applicable(when: When, phrase: Phrase) -> Resource:
    return _condition("applicability", when, phrase)


def _condition(kind: str, when: When, phrase: Phrase) -> Resource:
    expression = {
        "description": sentence(said(phrase)[:1].upper() + said(phrase)[1:]),
        "language": LANGUAGE,
        "expression": msgspec.json.encode(when).decode(),
    }
    return {"kind": kind, "expression": expression}


def _participant(role: str) -> Resource:
    return {"type": _PEOPLE.get(role, "practitioner"), "role": _concept(canonical.ROLE, role, display(role))}


def _concept(system: str, code: str, shown: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": shown}]}


def _written(act: Act) -> tuple[str, str]:
    """The field that names what the act writes, and the action code."""
    found: list[tuple[str, Any]] = [(kind, getattr(act, kind)) for kind in _WRITES]
    return next(((kind, code) for kind, code in found if code), ("task", ""))


def _named(step: Step) -> Iterator[tuple[str, Act]]:
    """The acts of a step with the ids of their ActivityDefinitions: step, action, and a number from the second on."""
    seen: dict[str, int] = {}
    for act in step.do:
        name = f"{step.id}.{_written(act)[1]}"
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}.{seen[name]}"), act
