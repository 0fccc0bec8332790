"""The headings of the national mental health discharge summary, as far as the record that is read here can fill them.

The headings and their SNOMED CT codes are those of the Professional Record Standards Body's mental health inpatient
discharge standard (NHS England, Transfer of Care, ITK004D). A heading the record holds nothing for is named, with the
mandatory ones first, so that nobody takes silence for "none".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.cases import Case
from fhirbridge.core.codes import in_words
from fhirbridge.core.signals import discharged_at
from fhirbridge.core.timeline import Record
from fhirbridge.core.vocabulary import RISK_SIGNALS
from fhirbridge.core.wording import listed
from fhirbridge.fhir.r4 import Resource
from fhirbridge.letters import people
from fhirbridge.letters.letter import UNFILLED, Letterhead, Section

MISSING = f"{UNFILLED}."


class Heading(Struct, frozen=True):
    """A heading: its SNOMED CT code, and whether the standard makes it mandatory."""

    title: str
    code: str
    mandatory: bool = False


class Ending(Struct, frozen=True, kw_only=True):
    """What is known when care has ended. `told` are the roles that are told of it, `practice` what the GP is called."""

    record: Record
    case: Case
    calendar: Calendar
    letterhead: Letterhead
    patient: Resource | None = None
    practice: str = ""
    told: tuple[str, ...] = ()
    crisis_plan: bool = False


HEADINGS = (
    Heading("Patient demographics", "886731000000109", mandatory=True),
    Heading("GP practice", "886711000000101", mandatory=True),
    Heading("Person completing record", "887231000000104", mandatory=True),
    Heading("Clinical summary", "887181000000106", mandatory=True),
    Heading("Diagnoses", "887161000000102", mandatory=True),
    Heading("Allergies and adverse reactions", "886921000000105", mandatory=True),
    Heading("Discharge details", "886811000000106"),
    Heading("Admission details", "886781000000108"),
    Heading("Referrer details", "1052891000000108"),
    Heading("Legal information", "886961000000102"),
    Heading("Safety alerts", "886931000000107"),
    Heading("Social context", "887051000000101"),
    Heading("Plan and requested actions", "887201000000105"),
    Heading("Information and advice given", "1052951000000105"),
    Heading("Distribution list", "887261000000109"),
    Heading("Assessment scales", "887141000000103"),
    Heading("Individual requirements", "1052901000000109"),
    Heading("Patient and carer concerns, expectations and wishes", "1052941000000107"),
)


def summary(ending: Ending) -> tuple[Section, ...]:
    """A section for each heading: those that the record fills, then those it does not, the mandatory ones first."""
    held: list[Section] = []
    missing: list[Section] = []
    for heading in HEADINGS:
        said = tuple(filter(None, _FILLED[heading.title](ending))) if heading.title in _FILLED else ()
        if said:
            held.append(Section(heading=heading.title, code=heading.code, paragraphs=said))
        else:
            missing.append(unfilled(heading))
    return (*held, *missing)


def unfilled(heading: Heading) -> Section:
    """The section that names a heading for which the record holds nothing."""
    return Section(heading=heading.title, code=heading.code, paragraphs=(MISSING,), missing=True)


def _demographics(ending: Ending) -> Iterator[str]:
    patient = ending.patient
    known = (
        people.name_of(patient),
        f"born {born}" if (born := people.born(patient)) else "",
        f"NHS number {number}" if (number := people.nhs_number_of(patient)) else "",
        ", ".join(people.address_of(patient)),
        f"telephone {phone}" if (phone := people.phone_of(patient)) else "",
    )
    if patient is not None:
        yield f"{'; '.join(filter(None, known))}."


def _practice(ending: Ending) -> Iterator[str]:
    yield ending.practice


def _author(ending: Ending) -> Iterator[str]:
    head = ending.letterhead
    who = ", ".join(filter(None, (head.signatory, head.signatory_title, head.name)))
    yield f"Written from the record, without a person's hand, for {who}."


def _discharge(ending: Ending) -> Iterator[str]:
    calendar, case = ending.calendar, ending.case
    ended = _ended(case)
    if ended is not None:
        yield f"The episode of care ended on {calendar.on_date(ended)}."
    came = [visit.at for visit in case.came if ended is None or visit.at <= ended]
    yield f"Last appointment attended: {calendar.on_date(came[-1])}." if came else "No appointment was attended."
    missed = [calendar.on_date(visit.at) for visit in case.missed if not came or visit.at > came[-1]]
    if missed:
        yield (
            f"Appointments missed since then: {listed(missed, 'and')}."
            if came
            else (f"Appointments missed: {listed(missed, 'and')}.")
        )


def _ended(case: Case) -> datetime | None:
    episode = discharged_at(case.episode) if case.episode is not None else None
    return episode or (case.stays[-1].latest.end if case.stays else None)


def _admission(ending: Ending) -> Iterator[str]:
    for stay in ending.case.stays[-1:]:
        start = stay.latest.start
        yield f"Admitted on {ending.calendar.on_date(start)}." if start else "There was a stay in hospital."
    if not ending.case.stays and ending.case.episode is not None:
        yield f"Care in the community, without a stay in hospital, since {ending.calendar.on_date(ending.case.begun)}."


def _referrer(ending: Ending) -> Iterator[str]:
    for reference in ending.case.referrals:
        referral = ending.record.referrals.get(reference)
        if referral is not None:
            on = f" on {ending.calendar.on_date(referral.authored)}" if referral.authored else ""
            yield f"Referred{on}; priority {referral.priority}."


_LEGAL = {
    "section-117": "Eligible for aftercare under section 117 of the Mental Health Act.",
    "community-treatment-order": "Under a community treatment order.",
    "conditional-discharge": "Conditionally discharged.",
    "capacity-doubt": "There was doubt about their capacity for a decision.",
}


def _legal(ending: Ending) -> Iterator[str]:
    yield from (words for code, words in _LEGAL.items() if code in _live(ending))


def _alerts(ending: Ending) -> Iterator[str]:
    live = _live(ending)
    if found := sorted(RISK_SIGNALS & live):
        yield f"On record when care ended: {listed([in_words(code) for code in found], 'and')}."
    elif "risk-none" in live:
        yield "The record says that no risk was known."


def _live(ending: Ending) -> frozenset[str]:
    """Signals on record when care ended."""
    ended = _ended(ending.case)
    # The signals of an episode end with it: what counts is what held until then.
    at = ended - timedelta(seconds=1) if ended else None
    return frozenset(s.code for s in ending.record.signals if (s.end is None if at is None else s.holds(at)))


def _social(ending: Ending) -> Iterator[str]:
    if {"child-contact", "child-concern", "child-services"} & _live(ending):
        yield "A child is in their care or in contact with them."


def _plan(ending: Ending) -> Iterator[str]:
    if ending.crisis_plan:
        yield "A crisis contingency plan is on record."
    yield "Please refer them to us again should their mental health become worse."


def _advice(ending: Ending) -> Iterator[str]:
    if "patient" in ending.told:
        yield "The patient is sent a letter that says how to get help and how to come back."


def _distribution(ending: Ending) -> Iterator[str]:
    if ending.told:
        roles = listed([in_words(role) for role in ending.told], "and")
        yield f"{roles[:1].upper()}{roles[1:]}."


_FILLED: dict[str, Callable[[Ending], Iterator[str]]] = {
    "Patient demographics": _demographics,
    "GP practice": _practice,
    "Person completing record": _author,
    "Discharge details": _discharge,
    "Admission details": _admission,
    "Referrer details": _referrer,
    "Legal information": _legal,
    "Safety alerts": _alerts,
    "Social context": _social,
    "Plan and requested actions": _plan,
    "Information and advice given": _advice,
    "Distribution list": _distribution,
}
