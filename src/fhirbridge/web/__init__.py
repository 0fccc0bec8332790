"""The service over HTTP: notifications from EPRs, and health."""

from fhirbridge.web.application import application as application
