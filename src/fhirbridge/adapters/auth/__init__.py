"""How the service shows an EPR who it is: a fixed token, a token got with a signed assertion, a client certificate."""

from fhirbridge.adapters.auth.assertion import AssertedToken as AssertedToken
from fhirbridge.adapters.auth.certificates import tls_context as tls_context
from fhirbridge.adapters.auth.certificates import usual_trust as usual_trust
from fhirbridge.adapters.auth.credentials import BearerToken as BearerToken
from fhirbridge.adapters.auth.credentials import Credentials as Credentials
from fhirbridge.adapters.auth.signing import SigningKey as SigningKey
