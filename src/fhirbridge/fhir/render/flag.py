"""Flag: something that everybody who opens the record should see (R4, `Flag`).

R4 gives a Flag no room for reasons: they are in its Provenance. Its title is the text of its code.
"""

from __future__ import annotations

from fhirbridge.core.decision import Amend, Complete, Create, Withdraw
from fhirbridge.core.effects import Kind
from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import beginning, concept, local
from fhirbridge.fhir.render.form import Form
from fhirbridge.fhir.render.setting import Rendering


def _create(write: Create, setting: Rendering) -> Resource:
    obligation = write.obligation
    resource = beginning(Kind.FLAG, obligation.identity)
    resource["status"] = "active"
    resource["category"] = [concept(canonical.FLAG_CATEGORY, "clinical")]
    resource["code"] = concept(canonical.ACTION, obligation.action, text=obligation.title)
    resource["subject"] = {"reference": obligation.key.patient}
    resource["period"] = {"start": local(min(obligation.since, setting.now), setting.calendar)}
    return resource


def _amend(write: Amend, setting: Rendering) -> Resource:
    return {"code": concept(canonical.ACTION, write.obligation.action, text=write.obligation.title)}


def _end(write: Complete | Withdraw, setting: Rendering) -> Resource:
    return {"status": "inactive", "period": {"end": local(setting.now, setting.calendar)}}


FORM = Form(create=_create, amend=_amend, complete=_end, withdraw=_end)
