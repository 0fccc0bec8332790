"""EPRs over FHIR R4: the HTTP client, and how outbox rows become transactions."""

from fhirbridge.adapters.epr.client import FhirEpr as FhirEpr
from fhirbridge.adapters.epr.throttle import Throttle as Throttle
