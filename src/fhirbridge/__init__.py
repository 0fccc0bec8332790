"""fhirbridge: sees that what a service's own policy demands of a missed appointment or an ending episode happens.

The package is laid out in rooms that import one way: ``web | cli | worker``, ``wiring``, ``settings``, ``adapters``,
``service``, ``ports``, ``fhir``, ``core``, ``errors``. Everything clinical is decided in :mod:`fhirbridge.core`, which
is pure.
"""

from importlib.metadata import version

__version__ = version("fhirbridge")
"""The version of the installed distribution."""
