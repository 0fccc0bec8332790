"""What an EPR can do, from its CapabilityStatement; and what follows from that for each feed and each write.

One pure function of the statement decides, and everybody asks it: `doctor` to tell, the feeds and the delivery to act.
"""

from fhirbridge.fhir.capability.feeds import POLLED as POLLED
from fhirbridge.fhir.capability.feeds import SUBSCRIBED as SUBSCRIBED
from fhirbridge.fhir.capability.feeds import Feed as Feed
from fhirbridge.fhir.capability.feeds import FeedKind as FeedKind
from fhirbridge.fhir.capability.feeds import feeds_for as feeds_for
from fhirbridge.fhir.capability.feeds import topic as topic
from fhirbridge.fhir.capability.feeds import type_of as type_of
from fhirbridge.fhir.capability.feeds import ways_of_asking as ways_of_asking
from fhirbridge.fhir.capability.statement import Capability as Capability
from fhirbridge.fhir.capability.statement import Offer as Offer
from fhirbridge.fhir.capability.writes import CARRIERS as CARRIERS
from fhirbridge.fhir.capability.writes import Once as Once
from fhirbridge.fhir.capability.writes import Way as Way
from fhirbridge.fhir.capability.writes import Writing as Writing
from fhirbridge.fhir.capability.writes import once_for as once_for
from fhirbridge.fhir.capability.writes import writes_for as writes_for
