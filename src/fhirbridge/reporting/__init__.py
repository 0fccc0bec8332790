"""The quarterly compliance report: what the policy asked for in a period, and whether it was done in time.

It is made of what is known about each patient and what the service did, and of nothing that is kept for reporting
alone: the same `explain` that tells why a step exists tells what became of it.
"""

from fhirbridge.reporting.duties import Duty as Duty
from fhirbridge.reporting.duties import State as State
from fhirbridge.reporting.duties import duties as duties
from fhirbridge.reporting.figures import Period as Period
from fhirbridge.reporting.figures import Report as Report
from fhirbridge.reporting.figures import quarter as quarter
from fhirbridge.reporting.figures import report as report
from fhirbridge.reporting.formats import FORMATS as FORMATS
