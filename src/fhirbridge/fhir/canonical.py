"""Every URL that the service writes or understands by name, in one place.

The service's own systems all lie under one base; they are a published contract, so a constant here never changes its
value. Systems of others are those of FHIR R4, HL7 Terminology and the NHS.
"""

from __future__ import annotations

from typing import Final

from fhirbridge.core.vocabulary import BASE as BASE

ACTION: Final = f"{BASE}/CodeSystem/action"
"""What is to be done or told: `Task.code`, `Communication.category`, `Flag.code`, `CarePlan.category`."""
ROLE: Final = f"{BASE}/CodeSystem/role"
"""Who has to act or be told."""
OUTCOME: Final = f"{BASE}/CodeSystem/outcome"
"""What came of a step: `Task.output`."""
SIGNAL: Final = f"{BASE}/CodeSystem/signal"
"""What an EPR can put on a Flag, Condition, ServiceRequest or EpisodeOfCare."""
SETTING: Final = f"{BASE}/CodeSystem/setting"
"""`EpisodeOfCare.type`."""
WITHDRAWAL: Final = f"{BASE}/CodeSystem/withdrawal"
"""Why something was withdrawn: `statusReason`."""
CLAUSE: Final = f"{BASE}/CodeSystem/clause"
"""Rows of the ledger of obligations, where a resource has no better place for them than a code."""
TASK_INPUT: Final = f"{BASE}/CodeSystem/task-input"
"""`Task.input.type`: `clause`, `because`, `detail`, `evidence`."""
TASK_OUTPUT: Final = f"{BASE}/CodeSystem/task-output"
"""`Task.output.type`: `answered-by`, `outcome`."""
ORIGIN: Final = f"{BASE}/CodeSystem/origin"
"""`meta.tag` of everything the service wrote; its one code is `fhirbridge`."""
WRITE: Final = f"{BASE}/CodeSystem/write"
"""`meta.tag` of a Provenance: which write it tells of."""

OBLIGATION: Final = f"{BASE}/identifier/obligation"
"""Identifies one thing that the service wrote."""
PATHWAY: Final = f"{BASE}/identifier/pathway"
"""Identifies one run of a pathway: `Task.groupIdentifier`."""

RECIPIENT_ROLE: Final = f"{BASE}/StructureDefinition/recipient-role"
"""Extension of a Communication: the role (valueCode) that it is meant for, resolved or not."""

NHS_NUMBER: Final = "https://fhir.nhs.uk/Id/nhs-number"
ODS_CODE: Final = "https://fhir.nhs.uk/Id/ods-organization-code"
SNOMED: Final = "http://snomed.info/sct"

DATA_OPERATION: Final = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
"""`Provenance.activity`."""
PARTICIPATION_MODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
"""`Communication.medium`."""
PROVENANCE_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
"""`Provenance.agent.type`."""
FLAG_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/flag-category"
"""`Flag.category`."""


def profile(resource_type: str) -> str:
    """Canonical of the profile that the service's own resources of a type follow: `…/fhirbridge-Task`."""
    return f"{BASE}/StructureDefinition/fhirbridge-{resource_type}"


def plan_definition(pack: str, version: str = "") -> str:
    """Canonical of a policy pack, with `|version` where one is given."""
    canonical = f"{BASE}/PlanDefinition/{pack}"
    return f"{canonical}|{version}" if version else canonical
