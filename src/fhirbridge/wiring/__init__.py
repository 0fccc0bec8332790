"""The one place that builds adapters from settings: `policies` without any store or network, `service` with all."""

from fhirbridge.wiring.policies import calendar_of as calendar_of
from fhirbridge.wiring.policies import directory_of as directory_of
from fhirbridge.wiring.policies import pack_of as pack_of
