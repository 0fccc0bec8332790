"""The HTTP edge: notifications, the read-only FHIR view, health and the console."""
