"""Reports: what the policy asks to be counted, as known at an instant.

The quarterly compliance report tells what was due in a period, and whether it was done in time; the safeguarding
register who is confined, and how they are watched over; the caseload how many people each discharge coordinator works
with. They are made of what is known about each patient and what the service did, and of nothing that is kept for
reporting alone: the same `explain` that tells why a step exists tells what became of it.
"""

from fhirbridge.reporting.caseload import Coordinated as Coordinated
from fhirbridge.reporting.caseload import caseload as caseload
from fhirbridge.reporting.caseload import coordinated as coordinated
from fhirbridge.reporting.caseload import limit_of as limit_of
from fhirbridge.reporting.caseload_formats import CASELOAD_FORMATS as CASELOAD_FORMATS
from fhirbridge.reporting.duties import Duty as Duty
from fhirbridge.reporting.duties import State as State
from fhirbridge.reporting.duties import duties as duties
from fhirbridge.reporting.figures import Period as Period
from fhirbridge.reporting.figures import Report as Report
from fhirbridge.reporting.figures import quarter as quarter
from fhirbridge.reporting.figures import report as report
from fhirbridge.reporting.formats import FORMATS as FORMATS
from fhirbridge.reporting.register import Person as Person
from fhirbridge.reporting.register import register as register
from fhirbridge.reporting.register import registered as registered
from fhirbridge.reporting.register_formats import REGISTER_FORMATS as REGISTER_FORMATS
from fhirbridge.reporting.seen import Seen as Seen
