"""StructureDefinitions and CapabilityStatements: the shape of what the service writes, for whoever receives it.

Every profile is a differential on a base definition of R4 alone. UK Core has no active profile of any type that is
written here (its Task, Flag, CarePlan and Communication are drafts without constraints, and it has no Provenance), so
none is named; that a profile of UK Core would be kept too is not checked by any machine.
"""

from fhirbridge.fhir.profiles.capabilities import requirements_of_an_epr, view
from fhirbridge.fhir.profiles.written import WRITTEN, structure_definitions

__all__ = ["WRITTEN", "requirements_of_an_epr", "structure_definitions", "view"]
