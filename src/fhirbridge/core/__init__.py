"""The pure core: what should exist, as a function of what is known. No clock, no I/O, no FHIR."""
