"""Check-in messages: what the service wrote to the patient to ask how they are, and whether an answer came.

A Communication to the patient that was completed is one when its category says so, or when it has no category at all;
letters about other things are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fhirbridge.core.cases import Case
from fhirbridge.core.facts import Message, Source
from fhirbridge.core.timeline import Record

CHECK_IN = "send-check-in-message"


def sent_at(message: Message) -> datetime:
    """When it was sent: as recorded, else when it was received, else when it became known."""
    return message.sent or message.received or message.known


def about(message: Message, case: Case, cases: Sequence[Case]) -> bool:
    """Whether it counts in this case: it names it, or none of the patient's cases."""
    if not message.about or case.named_in(message.about):
        return True
    return not any(other.named_in(message.about) for other in cases)


def check_ins(record: Record, case: Case, after: datetime, until: datetime) -> list[tuple[datetime, Source]]:
    """The check-in messages of the case sent after one instant and up to another, oldest first."""
    messages = [m.latest for m in record.messages if _is_check_in(m.latest) and about(m.latest, case, record.cases)]
    found = [(sent_at(message), message.source) for message in messages]
    return sorted(pair for pair in found if after < pair[0] <= until)


def _is_check_in(message: Message) -> bool:
    about_that = CHECK_IN in message.actions or not message.categorised
    outgoing = message.to_patient and not message.from_patient and message.obligation is None
    return outgoing and message.status == "completed" and about_that
