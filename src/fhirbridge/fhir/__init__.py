"""FHIR in and out: bytes to events, resources to facts, writes to resources.

Pure, and the only room that imports fhir.resources.
"""
