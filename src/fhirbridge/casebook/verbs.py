"""The vocabulary of a record: each word that can open a line, what it makes, and which other keys the line may have."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from fhirbridge.casebook import words
from fhirbridge.casebook.case import Entry
from fhirbridge.casebook.chart import Chart
from fhirbridge.fhir.r4 import Resource


class Verb(Struct, frozen=True):
    """What a line that opens with this word does; `keys` are the details it may carry."""

    make: Callable[[Chart, Entry], Resource]
    keys: frozenset[str]


def expand(chart: Chart, entry: Entry) -> Resource:
    """The version that a line makes.

    Raises:
        ConfigurationError: the line names something that does not exist; `file:line` and the remedy are named.
    """
    return chart.add(VERBS[entry.verb].make(chart, entry), entry.known)


def _verb(make: Callable[[Chart, Entry], Resource], *keys: str) -> Verb:
    return Verb(make, frozenset(keys))


_BOOKING = ("from", "service", "minutes")

VERBS: dict[str, Verb] = {
    "missed": _verb(words.appointment, *_BOOKING),
    "attended": _verb(words.appointment, *_BOOKING),
    "arrived": _verb(words.appointment, *_BOOKING),
    "booked": _verb(words.appointment, *_BOOKING),
    "cancelled": _verb(words.appointment, "by", *_BOOKING),
    "corrected": _verb(words.corrected, "to", "start"),
    "encounter": _verb(words.encounter, "of", "episode", "status"),
    "stay": _verb(words.stay, "episode", "until"),
    "visit": _verb(words.visit, "as"),
    "episode": _verb(words.episode, "setting", "service", "from", "status", "until"),
    "discharge-date": _verb(words.discharge_date, "is"),
    "reopened": _verb(words.reopened),
    "discharged": _verb(words.discharged),
    "referral": _verb(words.referral, "priority", "by", "signal"),
    "signal": _verb(words.signal, "as", "until"),
    "ended": _verb(words.ended),
    "family": _verb(words.family, "as", "born", "reachable", "until"),
    "child": _verb(words.family, "as", "born", "reachable", "until"),
    "consent": _verb(words.consent, "as", "until"),
    "patient": _verb(words.patient, "born", "gp"),
    "died": _verb(words.died),
    "task": _verb(words.task, "as", "outcome", "status", "about"),
    "message": _verb(words.message, "as", "about", "category"),
    "withdrawn": _verb(words.withdrawn),
    "resource": _verb(words.raw),
}
"""The words that can open a line, besides `ANSWER`."""

ANSWER = "answer"
"""Opens a line in which staff answer a Task that the service wrote: `answer: contact-patient, outcome: no-answer`."""
ANSWER_KEYS = frozenset({"outcome", "status", "to", "due"})
