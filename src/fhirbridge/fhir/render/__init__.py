"""Writes, as FHIR R4: what was decided becomes Task, Communication, Flag, CarePlan and Provenance.

Pure: time and circumstances are passed in, and the same input gives the same bytes. One module for each type; all the
rest is shared.
"""

from fhirbridge.fhir.render.dry_run import resolved, simulated, simulated_provenance
from fhirbridge.fhir.render.elements import logical_id
from fhirbridge.fhir.render.outgoing import Outgoing
from fhirbridge.fhir.render.setting import Rendering
from fhirbridge.fhir.render.write import render

__all__ = ["Outgoing", "Rendering", "logical_id", "render", "resolved", "simulated", "simulated_provenance"]
