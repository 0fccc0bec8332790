"""The words that open a line of a record → what each makes: a FHIR R4 resource, or a new version of an earlier one.

One function for each; `verbs` says which word is which.
"""

from __future__ import annotations

from datetime import timedelta

from fhirbridge.casebook import forms
from fhirbridge.casebook.case import Entry
from fhirbridge.casebook.chart import PRACTICE, Chart
from fhirbridge.casebook.times import instant
from fhirbridge.core.codes import ACTIONS
from fhirbridge.core.vocabulary import OUTCOMES, SETTINGS, SIGNALS
from fhirbridge.fhir import canonical
from fhirbridge.fhir.located_yaml import Spot
from fhirbridge.fhir.r4 import Resource

_STATES = {
    "missed": "noshow",
    "attended": "fulfilled",
    "arrived": "arrived",
    "booked": "booked",
    "withdrawn": "entered-in-error",
}
_CANCELLED = {"cancelled by patient": "patient", "cancelled by provider": "provider", "cancelled": ""}


# --- appointments and contacts ---------------------------------------------------------------


def appointment(chart: Chart, entry: Entry) -> Resource:
    """A first version of an appointment; `on` is its start."""
    name = chart.named(entry, entry.name.text(), "Appointment")
    end = entry.on + timedelta(minutes=int(entry.text("minutes", "60")))
    resource = forms.appointment(name, entry.on, end, entry.text("from"), entry.text("service"))
    if entry.verb == "cancelled":
        return _cancelled(resource, entry.text("by"), entry.details.get("by", entry.name))
    return resource | {"status": _STATES[entry.verb]}


def corrected(chart: Chart, entry: Entry) -> Resource:
    """A new version of an appointment."""
    resource = chart.earlier(entry.name, "Appointment")
    resource.pop("cancelationReason", None)
    to = entry.details.get("to")
    if to is not None:
        words = to.text()
        if words in _CANCELLED:
            resource = _cancelled(resource, _CANCELLED[words], to)
        elif words in _STATES:
            resource["status"] = _STATES[words]
        else:
            to.fail(f"{words!r} is no state: write one of {', '.join([*_STATES, *_CANCELLED])}")
    if "start" in entry.details:
        start = instant(entry.details["start"], chart.calendar)
        resource |= {"start": forms.utc(start), "end": forms.utc(start + timedelta(hours=1))}
    return resource


def encounter(chart: Chart, entry: Entry) -> Resource:
    """A contact, of an appointment where the line says so."""
    name = chart.named(entry, entry.name.text(), "Encounter")
    resource = forms.encounter(name, entry.on, entry.text("status", "finished"))
    if "of" in entry.details:
        resource["appointment"] = [forms.reference(f"Appointment/{entry.text('of')}")]
    if "episode" in entry.details:
        resource["episodeOfCare"] = [forms.reference(f"EpisodeOfCare/{entry.text('episode')}")]
    return resource


def stay(chart: Chart, entry: Entry) -> Resource:
    """An inpatient stay that begins; `until` is the discharge date planned for it."""
    name = chart.named(entry, entry.name.text(), "Encounter")
    resource = forms.stay(name, entry.on)
    if "episode" in entry.details:
        resource["episodeOfCare"] = [forms.reference(f"EpisodeOfCare/{entry.text('episode')}")]
    return _with_end(chart, resource, "period", entry)


def visit(chart: Chart, entry: Entry) -> Resource:
    """Somebody from outside the care team met the patient at `on`."""
    word = _one_of(entry.name, frozenset(forms.VISITORS), "visitor")
    return forms.visit(chart.named(entry, chart.numbered("visit"), "Encounter"), entry.on, word)


# --- episodes and referrals ------------------------------------------------------------------


def episode(chart: Chart, entry: Entry) -> Resource:
    """An episode of care that begins."""
    name = chart.named(entry, entry.name.text(), "EpisodeOfCare")
    resource = forms.episode(name, entry.on, entry.text("status", "active"))
    types = []
    if "setting" in entry.details:
        types.append(forms.concept(canonical.SETTING, _one_of(entry.details["setting"], SETTINGS, "setting")))
    if "service" in entry.details:
        types.append(forms.concept(forms.SERVICE, entry.text("service")))
    if types:
        resource["type"] = types
    if "from" in entry.details:
        resource["referralRequest"] = [forms.reference(f"ServiceRequest/{entry.text('from')}")]
    return _with_end(chart, resource, "period", entry)


def discharge_date(chart: Chart, entry: Entry) -> Resource:
    """The episode or stay is planned to end at another time, or at none (`is: none`), while it goes on."""
    resource = chart.earlier(entry.name, "EpisodeOfCare", "Encounter")
    if "is" not in entry.details:
        entry.spot.fail("'is' is missing: when is it planned to end? Write a date, or none")
    resource["period"].pop("end", None)
    if entry.text("is") != "none":
        resource["period"]["end"] = forms.utc(instant(entry.details["is"], chart.calendar, ends=True))
    return resource


def reopened(chart: Chart, entry: Entry) -> Resource:
    """The end of the episode or the stay was a mistake: it goes on as if it had not ended."""
    resource = chart.earlier(entry.name, "EpisodeOfCare", "Encounter")
    resource["period"].pop("end", None)
    return resource | {"status": "active" if resource["resourceType"] == "EpisodeOfCare" else "in-progress"}


def discharged(chart: Chart, entry: Entry) -> Resource:
    """The episode or the stay ends at `on`."""
    resource = chart.earlier(entry.name, "EpisodeOfCare", "Encounter")
    resource["period"]["end"] = forms.utc(entry.on)
    return resource | {"status": "finished"}


def referral(chart: Chart, entry: Entry) -> Resource:
    """A referral, made at `on`."""
    name = chart.named(entry, entry.name.text(), "ServiceRequest")
    resource = forms.referral(name, entry.on, entry.text("priority"), entry.text("by"))
    if "signal" in entry.details:
        codes = [_one_of(s, SIGNALS, "signal") for s in _several(entry.details["signal"])]
        resource["reasonCode"] = [forms.concept(canonical.SIGNAL, code) for code in codes]
    return resource


# --- circumstances ---------------------------------------------------------------------------


def signal(chart: Chart, entry: Entry) -> Resource:
    """A Flag with a signal, from `on`."""
    code = _one_of(entry.name, SIGNALS, "signal")
    resource = forms.signal(chart.named(entry, code, "Flag"), code, entry.on)
    return _with_end(chart, resource, "period", entry)


def ended(chart: Chart, entry: Entry) -> Resource:
    """A Flag ends at `on`."""
    resource = chart.earlier(entry.name, "Flag")
    resource["period"]["end"] = forms.utc(entry.on)
    return resource | {"status": "inactive"}


def family(chart: Chart, entry: Entry) -> Resource:
    """A related person. Has a telephone unless the line says `reachable: no`; a child only if it says `yes`."""
    word = _one_of(entry.name, frozenset(forms.RELATIONSHIPS), "relationship")
    resource = forms.related_person(chart.named(entry, word, "RelatedPerson"), word, entry.on)
    if "born" in entry.details:
        resource["birthDate"] = entry.text("born")
    if entry.text("reachable", "no" if entry.verb == "child" else "yes") == "yes":
        resource["telecom"] = [{"system": "phone", "value": "01632 960001"}]
    return _with_end(chart, resource, "period", entry)


def consent(chart: Chart, entry: Entry) -> Resource:
    """`denies`, `denies family`, `denies agency`, or `permits` likewise."""
    decision, _, audience = entry.name.text().partition(" ")
    if decision not in {"denies", "permits"} or audience not in {"", *forms.AUDIENCES}:
        told = "write denies or permits, then family, agency or nothing"
        entry.name.fail(f"{entry.name.text()!r} is no consent: {told}")
    name = chart.named(entry, "consent", "Consent")
    resource = forms.consent(name, entry.on, decision == "permits", audience)
    _with_end(chart, resource["provision"], "period", entry)
    return resource


def patient(chart: Chart, entry: Entry) -> Resource:
    """The patient as first known."""
    return forms.patient(entry.text("born", "1980-05-17"), entry.text("gp", PRACTICE))


def died(chart: Chart, entry: Entry) -> Resource:
    """The patient died at `on`."""
    return chart.patient() | {"deceasedDateTime": forms.utc(entry.on)}


# --- what people did -------------------------------------------------------------------------


def task(chart: Chart, entry: Entry) -> Resource:
    """A Task that staff made themselves and finished at `on`."""
    action = entry.name.text()
    outcome = _outcome(entry)
    name = chart.named(entry, chart.numbered(action), "Task")
    resource = forms.task(name, action, entry.text("status", "completed"), outcome, entry.on)
    return _with_about(chart, resource, "reasonReference", entry)


def message(chart: Chart, entry: Entry) -> Resource:
    """A message `from patient`, `to patient`, `from gp` or `to gp`, sent at `on`; with a `category`, about that."""
    known = frozenset(f"{way} {who}" for way in ("from", "to") for who in ("patient", "gp"))
    way, _, who = _one_of(entry.name, known, "message").partition(" ")
    other = forms.PATIENT if who == "patient" else chart.practice()
    name = chart.named(entry, chart.numbered("message"), "Communication")
    resource = forms.message(name, entry.on, other, comes_in=way == "from")
    if "category" in entry.details:
        resource["category"] = [_category(entry.text("category"))]
    return _with_about(chart, resource, "about", entry)


def withdrawn(chart: Chart, entry: Entry) -> Resource:
    """Something was entered in error."""
    return chart.earlier(entry.name) | {"status": "entered-in-error"}


def raw(chart: Chart, entry: Entry) -> Resource:
    """A resource as given, for what the words do not reach; its `meta` is filled in."""
    resource = entry.name.value()
    if not isinstance(resource, dict) or not {"resourceType", "id"} <= set(resource):
        entry.name.fail("a resource needs at least resourceType and id")
    chart.given(resource)
    return resource


def _with_end(chart: Chart, resource: Resource, element: str, entry: Entry) -> Resource:
    if "until" in entry.details:
        resource[element]["end"] = forms.utc(instant(entry.details["until"], chart.calendar, ends=True))
    return resource


def _with_about(chart: Chart, resource: Resource, element: str, entry: Entry) -> Resource:
    if "about" in entry.details:
        about = chart.earlier(entry.details["about"])
        named = forms.reference(f"{about['resourceType']}/{about['id']}")
        resource[element] = [named] if element == "about" else named
    return resource


def _cancelled(resource: Resource, by: str, spot: Spot) -> Resource:
    if by not in {"", "nobody", "patient", "provider"}:
        spot.fail(f"{by!r} cancels nothing: write patient, provider or nobody")
    reason = {"cancelationReason": forms.cancelled_by(by)} if by in {"patient", "provider"} else {}
    return resource | {"status": "cancelled"} | reason


def _category(words: str) -> Resource:
    """One of the service's actions, else whatever the EPR calls it."""
    return forms.concept(canonical.ACTION, words) if words in ACTIONS else {"text": words}


def _outcome(entry: Entry) -> str:
    return _one_of(entry.details["outcome"], OUTCOMES, "outcome") if "outcome" in entry.details else ""


def _one_of(spot: Spot, allowed: frozenset[str], what: str) -> str:
    text = spot.text()
    if text not in allowed:
        spot.fail(f"{text!r} is no {what}: write one of {', '.join(sorted(allowed))}")
    return text


def _several(spot: Spot) -> list[Spot]:
    return spot.sequence() if spot.is_sequence() else [spot]
