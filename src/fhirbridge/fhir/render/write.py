"""From a write that was decided to the row of the outbox that carries it out."""

from __future__ import annotations

from fhirbridge.core.decision import Amend, Complete, Create, MarkDelivery, Withdraw, Write
from fhirbridge.core.effects import Kind
from fhirbridge.fhir.linking import urns
from fhirbridge.fhir.merge import point_path
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render import care_plan, communication, flag, task
from fhirbridge.fhir.render.elements import local
from fhirbridge.fhir.render.form import Form
from fhirbridge.fhir.render.outgoing import Outgoing
from fhirbridge.fhir.render.provenance import provenance
from fhirbridge.fhir.render.setting import Rendering

_FORMS: dict[Kind, Form] = {
    Kind.TASK: task.FORM,
    Kind.COMMUNICATION: communication.FORM,
    Kind.FLAG: flag.FORM,
    Kind.CARE_PLAN: care_plan.FORM,
}


def render(write: Write, setting: Rendering) -> Outgoing:
    """Say in FHIR R4 what the write means, with the Provenance that tells why.

    Pure: the same write under the same circumstances gives the same bytes.

    Raises:
        ConfigurationError: The pack names a medium that nobody knows.
    """
    identity = write.obligation.identity if isinstance(write, Create) else write.thing.identity
    key = write.obligation.key if isinstance(write, Create) else write.thing.key
    resource = _filled_in(_FORMS[key.kind], write, setting)
    return Outgoing(
        identity=identity,
        type=key.kind.value,
        verb="create" if isinstance(write, Create) else "change",
        resource=resource,
        provenance=provenance(write, setting),
        before=_before(write, setting),
        depends=tuple(dict.fromkeys(urns(resource))),
    )


def _filled_in(form: Form, write: Write, setting: Rendering) -> Resource:
    match write:
        case Create():
            return form.create(write, setting)
        case Amend():
            return form.amend(write, setting)
        case Complete():
            return form.complete(write, setting)
        case Withdraw():
            return form.withdraw(write, setting)
        case MarkDelivery():
            return communication.mark(write, setting)


def _before(write: Write, setting: Rendering) -> dict[str, str | None]:
    if isinstance(write, Create):
        return {}
    thing = write.thing
    before: dict[str, str | None] = {point_path(care_plan.described(point)): point.state for point in thing.points}
    if not isinstance(write, Amend):
        return before
    if thing.key.kind in {Kind.TASK, Kind.COMMUNICATION}:
        before["priority"] = thing.priority
    if thing.key.kind is Kind.TASK:
        before["restriction.period.end"] = local(thing.due, setting.calendar) if thing.due else None
    return before
