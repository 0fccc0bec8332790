"""Three judges of whether a resource is FHIR R4.

fhir.resources (R4B models) knows elements, types and cardinality; fhirkit (R4) knows structure in other ways; neither
minds a status that R4's required binding does not have, so the service's own reader of resources is the third.
"""

from __future__ import annotations

import json
from typing import Any

import fhirkit
from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from fhirbridge.errors import SenderError
from fhirbridge.fhir.validation import check

_STORED = {"id": "x", "meta": {"lastUpdated": "2026-03-28T10:05:00Z"}}


def faults(resource: dict[str, Any]) -> list[str]:
    """What any of them has against the resource."""
    found = [f"fhirkit: {issue}" for issue in fhirkit.validate(json.dumps(resource))]
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    except ValidationError as error:
        found.append(f"fhir.resources: {error}")
    try:
        check(resource | _STORED)
    except SenderError as error:
        found.append(f"reader: {error}")
    return found


def faults_of_definition(resource: dict[str, Any]) -> list[str]:
    """What the first two have against a definition, which the service publishes but never reads."""
    found = [f"fhirkit: {issue}" for issue in fhirkit.validate(json.dumps(resource))]
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    except ValidationError as error:
        found.append(f"fhir.resources: {error}")
    return found
