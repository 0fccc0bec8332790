"""What the service would find at an EPR, and what it would do there: checked, found, used.

The settings are read as the service reads them, the EPR is asked as the service asks it, and what follows from its
CapabilityStatement is decided by the same function. Nothing is written, and no patient's record is read.
"""

from fhirbridge.doctor.examining import examine as examine
from fhirbridge.doctor.findings import Examination as Examination
from fhirbridge.doctor.findings import Finding as Finding
from fhirbridge.doctor.findings import Level as Level
