"""What the service does: ingest → digest → advance → deliver.

Events, versions, timers, effects and outbox are rows; between two of the four steps the service may die and loses
nothing, because each ends in one transaction and each may be repeated. Time comes from a clock that is passed in.
"""

from fhirbridge.service.pauses import Pauses as Pauses
from fhirbridge.service.running import Bell as Bell
from fhirbridge.service.running import Turn as Turn
from fhirbridge.service.running import run_forever as run_forever
from fhirbridge.service.service import Service as Service
from fhirbridge.service.site import Site as Site
from fhirbridge.service.site import nameless as nameless
from fhirbridge.service.site import said as said
from fhirbridge.service.site import shown as shown
