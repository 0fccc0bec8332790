"""Who may be told: family and agencies only where sharing is not refused, family only where somebody can be reached.

The GP, the referrer and the statutory safeguarding roles are told whatever the patient decided about sharing; who has
died is written to by nobody.
"""

from __future__ import annotations

from fhirbridge.core.conditions.logic import All
from fhirbridge.core.conditions.people import FamilyOnRecord, MayShare
from fhirbridge.core.decision import Reason
from fhirbridge.core.findings import Finding
from fhirbridge.core.policy import Condition
from fhirbridge.core.scene import Scene

_GATES: dict[str, Condition] = {
    "family": All((FamilyOnRecord(), MayShare("family"))),
    "agency": MayShare("agency"),
}
_FREE = Finding(True)


def may_be_told(role: str, scene: Scene) -> Finding:
    """Whether this role may be addressed in this case, and why not."""
    person = scene.record.person
    if role == "patient" and person is not None and person.deceased:
        return Finding(False, because=(Reason("The patient has died.", (person.source,)),))
    gate = _GATES.get(role)
    return gate.find(scene) if gate is not None else _FREE
