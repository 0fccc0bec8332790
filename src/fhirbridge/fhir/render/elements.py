"""Elements that everything the service writes is made of.

Instants that people read carry the offset of the local time; those of the machinery (`meta.lastUpdated`, `recorded`)
are in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.decision import Obligation, Reason
from fhirbridge.core.effects import Withdrawal
from fhirbridge.core.facts import Source
from fhirbridge.errors import Defect
from fhirbridge.fhir import canonical
from fhirbridge.fhir.linking import urn
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.wording import display, sentences

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")

WITHDRAWN = {
    Withdrawal.RE_ENGAGED: ("Re-engaged", "The patient is back in contact"),
    Withdrawal.CORRECTED: ("Record corrected", "The record was corrected: what started this no longer stands in it"),
    Withdrawal.SUPERSEDED: ("Superseded", "What is known now, or asked for now, takes its place"),
    Withdrawal.DISCHARGED: ("Discharged", "The episode of care has ended"),
    Withdrawal.DECEASED: ("Deceased", "The patient is recorded as having died"),
    Withdrawal.MERGED: ("Merged", "The patient's record was merged into another"),
    Withdrawal.NOT_NEEDED: ("Not needed", "The policy no longer asks for this"),
}
"""Why something was withdrawn: the display of the code, and its meaning as a sentence."""


def logical_id(identity: str) -> str:
    """The logical id of the thing with this identity, where the service may choose it: the identity itself.

    Raises:
        Defect: The identity is no FHIR id (1 to 64 letters, digits, hyphens and dots).
    """
    if not _ID.fullmatch(identity):
        raise Defect(f"identity {identity!r} cannot be a FHIR id: derive identities as UUIDs")
    return identity


def beginning(resource_type: str, identity: str) -> Resource:
    """Type, meta and identifier: how every resource with an identity begins."""
    return {
        "resourceType": resource_type,
        "meta": meta(resource_type),
        "identifier": [{"system": canonical.OBLIGATION, "value": identity}],
    }


def meta(resource_type: str) -> Resource:
    """Profile and origin."""
    return {
        "profile": [canonical.profile(resource_type)],
        "tag": [{"system": canonical.ORIGIN, "code": "fhirbridge"}],
    }


def concept(system: str, code: str, *, shown: str = "", text: str = "") -> Resource:
    """A CodeableConcept of one coding; `shown` where the display is not that of the service's own codes."""
    coded: Resource = {"coding": [{"system": system, "code": code, "display": shown or display(code)}]}
    return coded | {"text": text} if text else coded


def withdrawal(reason: Withdrawal, because: Iterable[Reason]) -> Resource:
    """Why something was withdrawn: the code, and a paragraph that explains it."""
    shown, _ = WITHDRAWN[reason]
    return concept(canonical.WITHDRAWAL, reason.value, shown=shown, text=withdrawal_text(reason, because))


def withdrawal_text(reason: Withdrawal, because: Iterable[Reason]) -> str:
    """The paragraph alone."""
    return sentences([WITHDRAWN[reason][1], *(each.says for each in because)])


def thing_reference(resource_type: str, identity: str) -> Resource:
    """Reference to another thing of the service, whose place in the EPR is not known yet."""
    return {"reference": urn(identity), "type": resource_type}


def local(instant: datetime, calendar: Calendar) -> str:
    """The instant on the local clock, with its offset."""
    return _written(calendar.local(instant))


def utc(instant: datetime) -> str:
    """The instant in UTC, with `Z`."""
    return _written(instant.astimezone(UTC)).replace("+00:00", "Z")


def by_when(due: datetime, calendar: Calendar) -> str:
    """A deadline in words: "Monday 2 March 2026 at 10:00", or "the end of Monday 2 March 2026"."""
    day = calendar.on_date(due)
    return f"the end of {day}" if due == calendar.end_of_day(calendar.local(due).date()) else calendar.at_time(due)


def said(because: Iterable[Reason]) -> str:
    """The reasons as one paragraph."""
    return sentences(each.says for each in because)


def sources(obligation: Obligation) -> tuple[Source, ...]:
    """Every version that counts for the obligation, each once: trigger, evidence, what its reasons cite, its answer."""
    ends = [source for source in (obligation.trigger, obligation.answer) if source]
    cited = (source for reason in obligation.because for source in reason.sources)
    return tuple(dict.fromkeys([*ends[:1], *obligation.evidence, *cited, *ends[1:]]))


def _written(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds" if instant.microsecond else "seconds")
