"""Provenance: why a write happened, so that the EPR's copy alone tells the story (R4, security module).

It has no identifier in R4. Instead it carries a tag derived from the write, which is also its id where the EPR lets one
choose it: the same write always has the same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID, uuid5

from fhirbridge.core.decision import Amend, Complete, Create, MarkDelivery, Obligation, Withdraw, Write
from fhirbridge.core.facts import Source
from fhirbridge.core.own import Thing
from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import (
    concept,
    local,
    meta,
    said,
    sources,
    thing_reference,
    utc,
    withdrawal_text,
)
from fhirbridge.fhir.render.setting import Rendering
from fhirbridge.fhir.wording import display, sentences

_WRITES = UUID("6f1f0f6e-5b0c-5d0b-9a8e-2f6d3c1b7a40")
"""Namespace of the ids of writes; never changes."""

_DISPLAY = {"CREATE": "create", "UPDATE": "revise"}


def provenance(write: Write, setting: Rendering) -> Resource:
    """The Provenance of a write; its target is `urn:uuid:{identity}`."""
    match write:
        case Create(obligation=obligation):
            return _provenance(write, obligation, _asked("Asked for by", obligation), setting)
        case Amend(obligation=obligation):
            return _provenance(write, obligation, _asked("Now asked for by", obligation), setting)
        case Complete(obligation=obligation):
            return _provenance(write, obligation, [_answered(obligation), *_asked("Asked for by", obligation)], setting)
        case Withdraw():
            return _withdrawn(write, setting)
        case MarkDelivery():
            return _marked(write, setting)


def _provenance(
    write: Amend | Complete | Create, obligation: Obligation, why: list[str], setting: Rendering
) -> Resource:
    return _resource(
        write,
        target=thing_reference(obligation.kind, obligation.identity),
        policy=obligation.canonical,
        why=sentences([*why, said(obligation.because), _moved(obligation.run, setting)]),
        cited=sources(obligation),
        setting=setting,
    )


def _withdrawn(write: Withdraw, setting: Rendering) -> Resource:
    thing = write.thing
    run = setting.runs.get(thing.run)
    rows = ", ".join(dict.fromkeys(setting.rows.get(step, step) for step in thing.steps))
    because = (source for reason in write.because for source in reason.sources)
    return _resource(
        write,
        target=thing_reference(thing.key.kind, thing.identity),
        policy=canonical.plan_definition(thing.key.pack, run.version if run else ""),
        why=sentences(
            [
                f"Withdrawn ({write.reason.value})",
                withdrawal_text(write.reason, write.because),
                f"It was asked for by {rows}" if rows else "",
                f"Its end is called for by {', '.join(write.clauses)}" if write.clauses else "",
                _moved(thing.run, setting),
            ]
        ),
        cited=tuple(dict.fromkeys([*write.evidence, *because])) or thing.evidence,
        setting=setting,
    )


def _marked(write: MarkDelivery, setting: Rendering) -> Resource:
    thing, told = write.thing, write.mark
    run = setting.runs.get(thing.run)
    rows = ", ".join(dict.fromkeys(setting.rows.get(step, step) for step in thing.steps))
    sent = f"Handed over on {setting.calendar.at_time(told.sent)}" if told.sent else ""
    received = f"Received on {setting.calendar.at_time(told.received)}" if told.received else ""
    return _resource(
        write,
        target=thing_reference(thing.key.kind, thing.identity),
        policy=canonical.plan_definition(thing.key.pack, run.version if run else ""),
        why=sentences(["Delivery", sent, received, told.says, f"It was asked for by {rows}" if rows else ""]),
        cited=thing.evidence,
        setting=setting,
    )


def _resource(
    write: Write, *, target: Resource, policy: str, why: str, cited: tuple[Source, ...], setting: Rendering
) -> Resource:
    derived = write_id(write, setting)
    about = meta("Provenance")
    about["tag"].append({"system": canonical.WRITE, "code": derived})
    operation = "CREATE" if isinstance(write, Create) else "UPDATE"
    resource: Resource = {
        "resourceType": "Provenance",
        "meta": about,
        "target": [target],
        "occurredDateTime": local(setting.now, setting.calendar),
        "recorded": utc(setting.now),
        "policy": [policy],
        "reason": [{"text": why}],
        "activity": concept(canonical.DATA_OPERATION, operation, shown=_DISPLAY[operation]),
        "agent": [
            {
                "type": concept(canonical.PROVENANCE_PARTICIPANT, "assembler"),
                "who": {"type": "Device", "display": "fhirbridge"},
            }
        ],
    }
    if cited:
        resource["entity"] = [{"role": "source", "what": {"reference": source.versioned}} for source in cited]
    return resource


def write_id(write: Write, setting: Rendering) -> str:
    """Id of one write: the same for the same write, however often and whenever it is decided."""
    match write:
        case Create(obligation=obligation):
            return _derive(obligation.identity, "create", [])
        case Amend(thing=thing, obligation=obligation):
            after = [*obligation.steps, str(obligation.due), obligation.priority, *_versions(obligation.evidence)]
            occasion = [*_state(thing), "to", *after, *_planned(obligation)]
            return _derive(thing.identity, "amend", [*occasion, *_again(len(thing.amended))])
        case Complete(thing=thing, obligation=obligation):
            answer = obligation.answer.versioned if obligation.answer else ""
            return _derive(thing.identity, "complete", [answer, obligation.outcome or ""])
        case Withdraw(thing=thing, reason=reason):
            return _derive(thing.identity, "withdraw", [reason.value])
        case MarkDelivery(thing=thing, mark=mark):
            occasion = [mark.status, str(mark.sent), str(mark.received), mark.says]
            return _derive(thing.identity, "mark", [*occasion, *_again(thing.marks)])


def _again(times: int) -> list[str]:
    """What tells a change from the same one made before: to and fro and to again are three writes."""
    return ["again", str(times)] if times else []


def _state(thing: Thing) -> list[str]:
    return [*thing.steps, str(thing.due), thing.priority, *_versions(thing.evidence)]


def _planned(plan: Obligation) -> list[str]:
    return ["with", *plan.activities, *(f"{point.name} {point.state}" for point in plan.points)]


def _versions(evidence: Iterable[Source]) -> list[str]:
    return sorted({source.versioned for source in evidence})


def _derive(identity: str, kind: str, occasion: Iterable[str]) -> str:
    return str(uuid5(_WRITES, "\n".join([identity, kind, *occasion])))


def _asked(words: str, obligation: Obligation) -> list[str]:
    rows = ", ".join(dict.fromkeys(obligation.clauses))
    return [f"{words} {rows}"] if rows else []


def _moved(run: str, setting: Rendering) -> str:
    return f"Migrated from {setting.moved[run]}" if run in setting.moved else ""


def _answered(obligation: Obligation) -> str:
    by = f"Answered by {obligation.answer.reference}" if obligation.answer else "Answered"
    return f"{by}: {display(obligation.outcome).lower()}" if obligation.outcome else by
