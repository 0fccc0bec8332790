"""The shorthand of a record → versions of FHIR R4 resources, in the order in which they became known.

`VERBS` is the vocabulary: for each word that can open a line, what it makes and which other keys the line may have. A
line either makes a resource or a new version of one that an earlier line made.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from fhirbridge.casebook import forms
from fhirbridge.casebook.case import Entry
from fhirbridge.casebook.times import instant
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.codes import ACTIONS
from fhirbridge.core.vocabulary import OUTCOMES, SETTINGS, SIGNALS
from fhirbridge.fhir import canonical
from fhirbridge.fhir.located_yaml import Spot
from fhirbridge.fhir.r4 import Resource

PRACTICE = "Organization/practice"
_STATES = {
    "missed": "noshow",
    "attended": "fulfilled",
    "arrived": "arrived",
    "booked": "booked",
    "withdrawn": "entered-in-error",
}
_CANCELLED = {"cancelled by patient": "patient", "cancelled by provider": "provider", "cancelled": ""}


class Verb(Struct, frozen=True):
    """What a line that opens with this word does; `keys` are the details it may carry."""

    make: Callable[[Chart, Entry], Resource]
    keys: frozenset[str]


class Chart:
    """Expands the lines of one record. Versions count from 1 for each resource."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._latest: dict[str, Resource] = {}
        self._names: dict[str, str] = {}

    def opened(self, entries: Sequence[Entry]) -> list[Resource]:
        """The Patient, where no line of the record states one: known from the first line on."""
        if any(entry.verb == "patient" for entry in entries) or not entries:
            return []
        first = min(entry.known for entry in entries)
        return [self._version(forms.patient("1980-05-17", PRACTICE), first)]

    def expand(self, entry: Entry) -> Resource:
        """The version that a line makes.

        Raises:
            ConfigurationError: the line names something that does not exist; `file:line` and the remedy are named.
        """
        resource = VERBS[entry.verb].make(self, entry)
        return self._version(resource, entry.known)

    def changed(self, resource: Resource, changes: Resource, known: datetime) -> Resource:
        """A new version of a resource that the chart did not make itself: what staff made of it."""
        return self._version(resource | changes, known, int(resource["meta"]["versionId"]) + 1)

    def _version(self, resource: Resource, known: datetime, version: int | None = None) -> Resource:
        key = f"{resource['resourceType']}/{resource['id']}"
        before = self._latest.get(key)
        number = version or (int(before["meta"]["versionId"]) + 1 if before else 1)
        meta = resource.get("meta", {}) | {"versionId": str(number), "lastUpdated": forms.utc(known)}
        whole = {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta}
        whole |= {name: value for name, value in resource.items() if name not in whole}
        self._latest[key] = whole
        return whole

    def _named(self, entry: Entry, name: str, resource_type: str) -> str:
        """Give the resource of this line its name, by which later lines refer to it."""
        named = entry.text("as", name)
        if named in self._names:
            entry.name.fail(f"{named!r} is on record already; call this one something else with 'as:'")
        self._names[named] = f"{resource_type}/{named}"
        return named

    def _earlier(self, spot: Spot, *types: str) -> Resource:
        """A copy of the latest version of what an earlier line made."""
        key = self._names.get(spot.text(), "")
        if not key or (types and key.partition("/")[0] not in types):
            known = ", ".join(sorted(self._names)) or "nothing"
            spot.fail(f"no earlier line of the record makes {spot.text()!r} of the right type; there are: {known}")
        return copy.deepcopy(self._latest[key])

    # --- appointments and contacts ---------------------------------------------------------------

    def appointment(self, entry: Entry) -> Resource:
        """A first version of an appointment; `on` is its start."""
        name = self._named(entry, entry.name.text(), "Appointment")
        end = entry.on + timedelta(minutes=int(entry.text("minutes", "60")))
        resource = forms.appointment(name, entry.on, end, entry.text("from"), entry.text("service"))
        if entry.verb == "cancelled":
            return _cancelled(resource, entry.text("by"), entry.details.get("by", entry.name))
        return resource | {"status": _STATES[entry.verb]}

    def corrected(self, entry: Entry) -> Resource:
        """A new version of an appointment."""
        resource = self._earlier(entry.name, "Appointment")
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
            start = instant(entry.details["start"], self.calendar)
            resource |= {"start": forms.utc(start), "end": forms.utc(start + timedelta(hours=1))}
        return resource

    def encounter(self, entry: Entry) -> Resource:
        """A contact, of an appointment where the line says so."""
        name = self._named(entry, entry.name.text(), "Encounter")
        resource = forms.encounter(name, entry.on, entry.text("status", "finished"))
        if "of" in entry.details:
            resource["appointment"] = [forms.reference(f"Appointment/{entry.text('of')}")]
        if "episode" in entry.details:
            resource["episodeOfCare"] = [forms.reference(f"EpisodeOfCare/{entry.text('episode')}")]
        return resource

    def stay(self, entry: Entry) -> Resource:
        """An inpatient stay that begins; `until` is the discharge date planned for it."""
        name = self._named(entry, entry.name.text(), "Encounter")
        resource = forms.stay(name, entry.on)
        if "episode" in entry.details:
            resource["episodeOfCare"] = [forms.reference(f"EpisodeOfCare/{entry.text('episode')}")]
        return self._with_end(resource, "period", entry)

    def visit(self, entry: Entry) -> Resource:
        """Somebody from outside the care team met the patient at `on`."""
        word = _one_of(entry.name, frozenset(forms.VISITORS), "visitor")
        count = 1 + sum(1 for n in self._names if n.startswith("visit"))
        return forms.visit(self._named(entry, f"visit-{count}", "Encounter"), entry.on, word)

    # --- episodes and referrals ------------------------------------------------------------------

    def episode(self, entry: Entry) -> Resource:
        """An episode of care that begins."""
        name = self._named(entry, entry.name.text(), "EpisodeOfCare")
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
        return self._with_end(resource, "period", entry)

    def discharge_date(self, entry: Entry) -> Resource:
        """The episode or stay is planned to end at another time, or at none (`is: none`), while it goes on."""
        resource = self._earlier(entry.name, "EpisodeOfCare", "Encounter")
        if "is" not in entry.details:
            entry.spot.fail("'is' is missing: when is it planned to end? Write a date, or none")
        resource["period"].pop("end", None)
        if entry.text("is") != "none":
            resource["period"]["end"] = forms.utc(instant(entry.details["is"], self.calendar, ends=True))
        return resource

    def reopened(self, entry: Entry) -> Resource:
        """The end of the episode or the stay was a mistake: it goes on as if it had not ended."""
        resource = self._earlier(entry.name, "EpisodeOfCare", "Encounter")
        resource["period"].pop("end", None)
        return resource | {"status": "active" if resource["resourceType"] == "EpisodeOfCare" else "in-progress"}

    def discharged(self, entry: Entry) -> Resource:
        """The episode or the stay ends at `on`."""
        resource = self._earlier(entry.name, "EpisodeOfCare", "Encounter")
        resource["period"]["end"] = forms.utc(entry.on)
        return resource | {"status": "finished"}

    def referral(self, entry: Entry) -> Resource:
        """A referral, made at `on`."""
        name = self._named(entry, entry.name.text(), "ServiceRequest")
        resource = forms.referral(name, entry.on, entry.text("priority"), entry.text("by"))
        if "signal" in entry.details:
            codes = [_one_of(s, SIGNALS, "signal") for s in _several(entry.details["signal"])]
            resource["reasonCode"] = [forms.concept(canonical.SIGNAL, code) for code in codes]
        return resource

    # --- circumstances ---------------------------------------------------------------------------

    def signal(self, entry: Entry) -> Resource:
        """A Flag with a signal, from `on`."""
        code = _one_of(entry.name, SIGNALS, "signal")
        resource = forms.signal(self._named(entry, code, "Flag"), code, entry.on)
        return self._with_end(resource, "period", entry)

    def ended(self, entry: Entry) -> Resource:
        """A Flag ends at `on`."""
        resource = self._earlier(entry.name, "Flag")
        resource["period"]["end"] = forms.utc(entry.on)
        return resource | {"status": "inactive"}

    def family(self, entry: Entry) -> Resource:
        """A related person. Has a telephone unless the line says `reachable: no`; a child only if it says `yes`."""
        word = _one_of(entry.name, frozenset(forms.RELATIONSHIPS), "relationship")
        resource = forms.related_person(self._named(entry, word, "RelatedPerson"), word, entry.on)
        if "born" in entry.details:
            resource["birthDate"] = entry.text("born")
        if entry.text("reachable", "no" if entry.verb == "child" else "yes") == "yes":
            resource["telecom"] = [{"system": "phone", "value": "01632 960001"}]
        return self._with_end(resource, "period", entry)

    def consent(self, entry: Entry) -> Resource:
        """`denies`, `denies family`, `denies agency`, or `permits` likewise."""
        decision, _, audience = entry.name.text().partition(" ")
        if decision not in {"denies", "permits"} or audience not in {"", *forms.AUDIENCES}:
            told = "write denies or permits, then family, agency or nothing"
            entry.name.fail(f"{entry.name.text()!r} is no consent: {told}")
        name = self._named(entry, "consent", "Consent")
        resource = forms.consent(name, entry.on, decision == "permits", audience)
        self._with_end(resource["provision"], "period", entry)
        return resource

    def patient(self, entry: Entry) -> Resource:
        """The patient as first known."""
        return forms.patient(entry.text("born", "1980-05-17"), entry.text("gp", PRACTICE))

    def died(self, entry: Entry) -> Resource:
        """The patient died at `on`."""
        return copy.deepcopy(self._latest[forms.PATIENT]) | {"deceasedDateTime": forms.utc(entry.on)}

    # --- what people did -------------------------------------------------------------------------

    def task(self, entry: Entry) -> Resource:
        """A Task that staff made themselves and finished at `on`."""
        action = entry.name.text()
        outcome = _outcome(entry)
        name = self._named(entry, f"{action}-{1 + sum(1 for n in self._names if n.startswith(action))}", "Task")
        resource = forms.task(name, action, entry.text("status", "completed"), outcome, entry.on)
        return self._with_about(resource, "reasonReference", entry)

    def message(self, entry: Entry) -> Resource:
        """A message `from patient`, `to patient`, `from gp` or `to gp`, sent at `on`; with a `category`, about that."""
        known = frozenset(f"{way} {who}" for way in ("from", "to") for who in ("patient", "gp"))
        way, _, who = _one_of(entry.name, known, "message").partition(" ")
        other = forms.PATIENT if who == "patient" else self._practice()
        count = 1 + sum(1 for n in self._names if n.startswith("message"))
        name = self._named(entry, f"message-{count}", "Communication")
        resource = forms.message(name, entry.on, other, comes_in=way == "from")
        if "category" in entry.details:
            resource["category"] = [_category(entry.text("category"))]
        return self._with_about(resource, "about", entry)

    def withdrawn(self, entry: Entry) -> Resource:
        """Something was entered in error."""
        return self._earlier(entry.name) | {"status": "entered-in-error"}

    def raw(self, entry: Entry) -> Resource:
        """A resource as given, for what the words do not reach; its `meta` is filled in."""
        resource = entry.name.value()
        if not isinstance(resource, dict) or not {"resourceType", "id"} <= set(resource):
            entry.name.fail("a resource needs at least resourceType and id")
        self._names.setdefault(str(resource["id"]), f"{resource['resourceType']}/{resource['id']}")
        return resource

    def _practice(self) -> str:
        """The patient's GP, as the latest version of the Patient names it."""
        known = self._latest.get(forms.PATIENT, {})
        return str(known["generalPractitioner"][0]["reference"]) if known else PRACTICE

    def _with_end(self, resource: Resource, element: str, entry: Entry) -> Resource:
        if "until" in entry.details:
            resource[element]["end"] = forms.utc(instant(entry.details["until"], self.calendar, ends=True))
        return resource

    def _with_about(self, resource: Resource, element: str, entry: Entry) -> Resource:
        if "about" in entry.details:
            about = self._earlier(entry.details["about"])
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


def _verb(make: Callable[[Chart, Entry], Resource], *keys: str) -> Verb:
    return Verb(make, frozenset(keys))


_BOOKING = ("from", "service", "minutes")

VERBS: dict[str, Verb] = {
    "missed": _verb(Chart.appointment, *_BOOKING),
    "attended": _verb(Chart.appointment, *_BOOKING),
    "arrived": _verb(Chart.appointment, *_BOOKING),
    "booked": _verb(Chart.appointment, *_BOOKING),
    "cancelled": _verb(Chart.appointment, "by", *_BOOKING),
    "corrected": _verb(Chart.corrected, "to", "start"),
    "encounter": _verb(Chart.encounter, "of", "episode", "status"),
    "stay": _verb(Chart.stay, "episode", "until"),
    "visit": _verb(Chart.visit, "as"),
    "episode": _verb(Chart.episode, "setting", "service", "from", "status", "until"),
    "discharge-date": _verb(Chart.discharge_date, "is"),
    "reopened": _verb(Chart.reopened),
    "discharged": _verb(Chart.discharged),
    "referral": _verb(Chart.referral, "priority", "by", "signal"),
    "signal": _verb(Chart.signal, "as", "until"),
    "ended": _verb(Chart.ended),
    "family": _verb(Chart.family, "as", "born", "reachable", "until"),
    "child": _verb(Chart.family, "as", "born", "reachable", "until"),
    "consent": _verb(Chart.consent, "as", "until"),
    "patient": _verb(Chart.patient, "born", "gp"),
    "died": _verb(Chart.died),
    "task": _verb(Chart.task, "as", "outcome", "status", "about"),
    "message": _verb(Chart.message, "as", "about", "category"),
    "withdrawn": _verb(Chart.withdrawn),
    "resource": _verb(Chart.raw),
}
"""The words that can open a line, besides `ANSWER`."""

ANSWER = "answer"
"""Opens a line in which staff answer a Task that the service wrote: `answer: contact-patient, outcome: no-answer`."""
ANSWER_KEYS = frozenset({"outcome", "status", "to", "due"})
