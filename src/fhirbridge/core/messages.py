"""Check-in messages: what the service wrote to the patient to ask how they are, and whether an answer came.

A Communication to the patient that was completed is one when its category says so, or when it has no category at all;
letters about other things are none.
"""

from __future__ import annotations

from datetime import datetime

from fhirbridge.core.facts import Message, Source
from fhirbridge.core.history import History
from fhirbridge.core.timeline import Record

CHECK_IN = "send-check-in-message"


def sent_at(message: Message) -> datetime:
    """When it was sent: as recorded, else when it was received, else when it became known."""
    return message.sent or message.received or message.known


def check_ins(record: Record, after: datetime, until: datetime) -> list[tuple[datetime, Source]]:
    """The check-in messages sent after one instant and up to another, oldest first."""
    found = [(sent_at(m.latest), m.latest.source) for m in record.messages if _is_check_in(m)]
    return sorted(pair for pair in found if after < pair[0] <= until)


def _is_check_in(message: History[Message]) -> bool:
    fact = message.latest
    ours = fact.obligation is not None
    about_that = CHECK_IN in fact.actions or not fact.categorised
    return fact.to_patient and not fact.from_patient and fact.status == "completed" and about_that and not ours
