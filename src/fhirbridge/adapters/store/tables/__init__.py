"""The tables. Resources are JSON, facts and effects msgpack, as bytes: the database keeps them, it does not read them.

What the schema is today; how it became so is in `migrations`. The two are compared by a test. Each module has the
tables of one concern; whoever takes `metadata` from here has all of them.
"""

from __future__ import annotations

from fhirbridge.adapters.store.tables.audit_trail import audit
from fhirbridge.adapters.store.tables.columns import Instant, metadata
from fhirbridge.adapters.store.tables.decided import doubles, effects, outbox, worklist, written
from fhirbridge.adapters.store.tables.feeds import gaps, hearings, held, marks, subscriptions
from fhirbridge.adapters.store.tables.sending import dispatches
from fhirbridge.adapters.store.tables.told import inbox, merges, subjects, unread, versions

__all__ = [
    "metadata",
    "Instant",
    "inbox",
    "versions",
    "subjects",
    "merges",
    "unread",
    "effects",
    "outbox",
    "written",
    "worklist",
    "doubles",
    "dispatches",
    "subscriptions",
    "gaps",
    "held",
    "marks",
    "hearings",
    "audit",
]
