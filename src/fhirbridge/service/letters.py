"""Letters: what a decision sends to people outside the team is put in an envelope before it is committed.

The letter is made once, when it is decided, from the record as it is then, and goes with the Communication into the
outbox and to its channel. A dry run makes none. Where no letter can be made, the Communication goes with its words
alone, and why is logged: nothing is held up, and nothing is dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import structlog
from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.calendar import span
from fhirbridge.core.decision import Obligation
from fhirbridge.core.deliveries import Recipient
from fhirbridge.core.effects import Addressed
from fhirbridge.core.own import Own
from fhirbridge.core.timeline import Record
from fhirbridge.errors import ConfigurationError, Defect, EprError
from fhirbridge.fhir import canonical
from fhirbridge.letters import Matter, Section, Stationery, enclosed, people, typeset, write
from fhirbridge.letters.audiences import Audience, audience_of, is_letter
from fhirbridge.letters.discharge import Ending, summary
from fhirbridge.ports import Known, Outgoing, Resource, Store, Subject
from fhirbridge.service.measures import LETTERS
from fhirbridge.service.settling import Settled
from fhirbridge.service.site import Site, said, shown

_PLANS: Mapping[str, tuple[str, str]] = {
    "discharge-letter": ("crisis-plan", "crisis-plan"),
    "mdtm-plan-notice": ("plan", "mdtm-plan"),
    "safety-plan-notice": ("safety-plan", "agree-safety-plan"),
}
"""For a letter that carries a plan: what its text calls the plan, and the action under which the record holds it."""

_log = structlog.get_logger(__name__)


class _Desk(Struct, frozen=True):
    """What is at hand when the letters of one decision are written."""

    store: Store
    site: Site
    stationery: Stationery
    subject: Subject
    record: Record
    own: Own
    addressed: Mapping[str, Sequence[Recipient]]
    obligations: Mapping[str, Obligation]
    now: datetime


async def with_letters(
    store: Store, site: Site, subject: Subject, known: Known, settled: Settled, now: datetime
) -> tuple[Outgoing, ...]:
    """The rows of a decision, each new Communication that is a letter with its PDF and its structured content."""
    if site.stationery is None or not any(map(_is_letter, settled.outgoing)):
        return settled.outgoing
    obligations = {each.identity: each for each in settled.created}
    addressed: dict[str, list[Recipient]] = defaultdict(list)
    for effect in settled.effects:
        if isinstance(effect, Addressed):
            addressed[effect.identity].append(effect.to)
    record = Record.of(known.facts)
    desk = _Desk(store, site, site.stationery, subject, record, settled.own, addressed, obligations, now)
    return tuple([await _with_letter(desk, row) if _is_letter(row) else row for row in settled.outgoing])


def _is_letter(row: Outgoing) -> bool:
    return row.type == "Communication" and row.verb == "create" and is_letter(_role(row.resource))


def _role(communication: Resource) -> str:
    named = (e for e in communication.get("extension", ()) if e.get("url") == canonical.RECIPIENT_ROLE)
    return next((str(each.get("valueCode", "")) for each in named), "")


async def _with_letter(desk: _Desk, row: Outgoing) -> Outgoing:
    matter = await _matter(desk, row)
    try:
        letter = write(matter, desk.stationery)
        pdf = typeset(letter)
    except (ConfigurationError, Defect) as error:
        LETTERS.labels(matter.action, "not written").inc()
        _log.error("a letter could not be written; its words go alone", subject=shown(desk.subject), why=said(error))
        return row
    LETTERS.labels(matter.action, "written").inc()
    return replace(row, resource=enclosed(row.resource, letter, pdf, desk.site.calendar))


async def _matter(desk: _Desk, row: Outgoing) -> Matter:
    communication, role = row.resource, _role(row.resource)
    obligation = desk.obligations.get(row.identity)
    action = str(communication["category"][0]["coding"][0]["code"])
    patient = await _resource(desk, desk.subject.patient)
    name, address = await _recipient(desk, row.identity, communication["recipient"])
    plans = {}
    if action in _PLANS:
        called, kept_as = _PLANS[action]
        found = await _words(desk, kept_as)
        if found is not None or called == "plan":
            plans[called] = found or ()
    within = obligation.reply_within if obligation else None
    return Matter(
        action=action,
        role=role,
        identity=row.identity,
        message=str(communication["payload"][0]["contentString"]),
        at=desk.now,
        patient=patient,
        recipient=name,
        address=address,
        reply_by=desk.site.calendar.after(desk.now, span(within)) if within else None,
        plans=plans,
        headings=_headings(desk, obligation, patient, name, audience_of(role)),
    )


async def _recipient(desk: _Desk, identity: str, recipients: Sequence[Resource]) -> tuple[str, tuple[str, ...]]:
    """Name and address of whom it goes to; of several recipients none is shown to the others.

    The directory's address goes before that of the record.
    """
    if len(recipients) != 1:
        return "", ()
    reference = str(recipients[0].get("reference", ""))
    resource = await _resource(desk, reference) if reference else None
    name = people.name_of(resource) or str(recipients[0].get("display", ""))
    listed = desk.addressed.get(identity, ())
    if len(listed) == 1 and listed[0].address:
        return (listed[0].shown if listed[0].role != "patient" else name), listed[0].address
    return name, people.address_of(resource)


async def _resource(desk: _Desk, reference: str) -> Resource | None:
    """What is kept of it, else what the EPR has; None when it cannot be had now."""
    kept = await desk.store.last(desk.subject.epr, reference)
    if kept is not None:
        return kept.resource
    try:
        return await desk.site.epr.read(reference)
    except EprError as error:
        _log.warning("whom a letter is for could not be read", epr=desk.subject.epr, why=said(error))
        return None


async def _words(desk: _Desk, action: str) -> tuple[str, ...] | None:
    """The words of the newest plan of this kind that has any; () where it has none, None where there is no such plan.

    A plan's words are what a person wrote into a CarePlan's description and activities, or as the Task's output.
    """
    plans = [h.latest for h in desk.record.plans if action in h.latest.actions and h.latest.status in _STANDING]
    done = [h.latest for h in desk.record.tasks if action in h.latest.actions and h.latest.status == "completed"]
    if not plans and not done:
        return None
    for fact in sorted((*plans, *done), key=lambda each: each.known, reverse=True):
        resource = await _resource(desk, fact.source.reference)
        if resource and (words := tuple(filter(None, map(people.clean, _written(resource))))):
            return words
    return ()


_STANDING = frozenset({"active", "completed"})


def _written(plan: Resource) -> Iterator[str]:
    ours = any(tag.get("system") == canonical.ORIGIN for tag in plan.get("meta", {}).get("tag", ()))
    if plan["resourceType"] == "Task":
        yield from (str(each["valueString"]) for each in plan.get("output", ()) if "valueString" in each)
        return
    if not ours:
        yield str(plan.get("description", ""))
    for activity in plan.get("activity", ()):
        yield str(activity.get("detail", {}).get("description", ""))


def _headings(
    desk: _Desk, obligation: Obligation | None, patient: Resource | None, practice: str, audience: Audience
) -> tuple[Section, ...]:
    if obligation is None or obligation.action != "discharge-notice" or audience is not Audience.GP:
        return ()
    case = next((case for case in desk.record.cases if case.id == obligation.key.case), None)
    if case is None:
        return ()
    alike = (t.key for t in desk.own.things.values() if t.run == obligation.run and t.key.kind is obligation.kind)
    ending = Ending(
        record=desk.record,
        case=case,
        calendar=desk.site.calendar,
        letterhead=desk.stationery.letterhead,
        patient=patient,
        practice=practice,
        told=tuple(dict.fromkeys(each.role for each in alike)),
        crisis_plan=any("crisis-plan" in history.latest.actions for history in desk.record.plans),
    )
    return summary(ending)
