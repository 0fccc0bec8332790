"""What a trust may set, read once and frozen.

From the environment (`FHIRBRIDGE_…`, `__` between levels) and from a file in TOML or YAML; the environment wins. What
is wrong is refused by its name, before anything is started. Secrets never show in a message or a log.
"""

from __future__ import annotations

from fhirbridge.settings.authentication import Auth as Auth
from fhirbridge.settings.authentication import BearerAuth as BearerAuth
from fhirbridge.settings.authentication import CertificateAuth as CertificateAuth
from fhirbridge.settings.authentication import NhsJwtAuth as NhsJwtAuth
from fhirbridge.settings.authentication import SmartAuth as SmartAuth
from fhirbridge.settings.authentication import Tls as Tls
from fhirbridge.settings.eprs import EprSettings as EprSettings
from fhirbridge.settings.eprs import PollingSettings as PollingSettings
from fhirbridge.settings.reading import Settings as Settings
from fhirbridge.settings.reading import read_settings as read_settings
from fhirbridge.settings.recipients import DeliverySettings as DeliverySettings
from fhirbridge.settings.recipients import LetterSettings as LetterSettings
from fhirbridge.settings.recipients import MeshSettings as MeshSettings
from fhirbridge.settings.recipients import PostSettings as PostSettings
from fhirbridge.settings.recipients import ReceiverSettings as ReceiverSettings
from fhirbridge.settings.section import PREFIX as PREFIX
from fhirbridge.settings.section import Name as Name
from fhirbridge.settings.section import Overrides as Overrides
from fhirbridge.settings.section import Period as Period
from fhirbridge.settings.section import Risk as Risk
from fhirbridge.settings.section import Written as Written
from fhirbridge.settings.services import Limits as Limits
from fhirbridge.settings.services import LoopSettings as LoopSettings
from fhirbridge.settings.services import Match as Match
from fhirbridge.settings.services import ServiceSettings as ServiceSettings
