"""What the service needs from the world, as Protocols. Adapters implement them; tests have in-memory doubles.

The way of one event: a notification becomes `Event`s, `Store.accept` makes them durable, `Store.keep` turns them into
versions with facts and marks the patient as stale (a timer that is due), `Store.commit` records a decision with its
effects, its outbox and its next timer in one transaction, and `Store.delivered` records what the EPR made of it.
All instants are UTC. References are `Type/id`.
"""

from __future__ import annotations

from fhirbridge.channels import Channel as Channel
from fhirbridge.fhir.notification import Event as Event
from fhirbridge.fhir.render.outgoing import Outgoing as Outgoing
from fhirbridge.ports.epr import Epr as Epr
from fhirbridge.ports.feeds import Feed as Feed
from fhirbridge.ports.feeds import Gaps as Gaps
from fhirbridge.ports.feeds import Hearing as Hearing
from fhirbridge.ports.feeds import Standing as Standing
from fhirbridge.ports.feeds import Subscribed as Subscribed
from fhirbridge.ports.feeds import Watch as Watch
from fhirbridge.ports.process import Clock as Clock
from fhirbridge.ports.process import Queue as Queue
from fhirbridge.ports.record import Arrival as Arrival
from fhirbridge.ports.record import Kept as Kept
from fhirbridge.ports.record import Known as Known
from fhirbridge.ports.record import Merges as Merges
from fhirbridge.ports.record import Reading as Reading
from fhirbridge.ports.record import Remapped as Remapped
from fhirbridge.ports.record import Resource as Resource
from fhirbridge.ports.record import Revision as Revision
from fhirbridge.ports.record import Subject as Subject
from fhirbridge.ports.record import Unread as Unread
from fhirbridge.ports.record import Unreadable as Unreadable
from fhirbridge.ports.record import Version as Version
from fhirbridge.ports.store import Audit as Audit
from fhirbridge.ports.store import Retention as Retention
from fhirbridge.ports.store import Store as Store
from fhirbridge.ports.worklist import Listed as Listed
from fhirbridge.ports.worklist import Placing as Placing
from fhirbridge.ports.worklist import Wanted as Wanted
from fhirbridge.ports.worklist import Worklist as Worklist
from fhirbridge.ports.writing import DeadLetter as DeadLetter
from fhirbridge.ports.writing import DeadLetters as DeadLetters
from fhirbridge.ports.writing import Delivery as Delivery
from fhirbridge.ports.writing import Double as Double
from fhirbridge.ports.writing import Doubles as Doubles
from fhirbridge.ports.writing import OwnWrites as OwnWrites
from fhirbridge.ports.writing import Receipt as Receipt
from fhirbridge.ports.writing import There as There
