"""Who may look at what the service holds: systems by a token, people by a password or by a proxy that knows them.

Nobody may unless the settings say so. What is kept of a password or a token is a hash; what is compared is compared in
constant time.
"""

from fhirbridge.access.admitting import Gate as Gate
from fhirbridge.access.admitting import Viewer as Viewer
from fhirbridge.access.passwords import hashed as hashed
from fhirbridge.access.passwords import token_hash as token_hash
from fhirbridge.access.sections import AccessSettings as AccessSettings
from fhirbridge.access.sessions import Session as Session
from fhirbridge.access.sessions import Sessions as Sessions
