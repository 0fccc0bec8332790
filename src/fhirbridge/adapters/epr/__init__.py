"""EPRs over FHIR R4: the HTTP client, how it authenticates, and how outbox rows become transactions."""

from fhirbridge.adapters.epr.auth import BearerToken as BearerToken
from fhirbridge.adapters.epr.client import FhirEpr as FhirEpr
