"""What the EPR of a run says it can do: its CapabilityStatement, on which the service's choice of feeds rests.

Where the service looks after its feeds itself, the statement names what is there, and what it does not name is refused.
"""

from __future__ import annotations

from fhirbridge.fhir.capability.feeds import DATES
from fhirbridge.fhir.capability.statement import ASSUMED
from fhirbridge.ports import Resource
from tests.faults.feeding import Feed, keeps_histories

OF_DATES = ("Appointment", "Encounter", "EpisodeOfCare")
"""What the EPR can be asked for by date, where that is all that it can be asked by."""
_ALWAYS = ("_id", "_tag", "identifier", "patient", "target")


def statement(whole: Resource, feed: Feed, seed: int, *, transactions: bool) -> Resource:
    """The statement of an EPR with this feed, made of one that says nothing of interactions and parameters."""
    (rest,) = whole["rest"]
    resources = [_resource(one, feed, seed) for one in rest["resource"] if feed.told or one["type"] != "Subscription"]
    interaction = rest["interaction"] if transactions else []
    return {**whole, "rest": [{**rest, "resource": resources, "interaction": interaction}]}


def _resource(one: Resource, feed: Feed, seed: int) -> Resource:
    if not feed.watched:
        return one
    codes = set(ASSUMED)
    if keeps_histories(feed, seed):
        codes.add("history-type")
    found = {**one, "interaction": [{"code": code} for code in sorted(codes)]}
    if feed is Feed.POLLED_DATES:
        names = (*_ALWAYS, *(DATES[one["type"]] if one["type"] in OF_DATES else ()))
        found["searchParam"] = [{"name": name, "type": "string"} for name in names]
    if feed is Feed.TOPICS and one["type"] == "Subscription":
        found["operation"] = [{"name": "status", "definition": "https://epr.example/OperationDefinition/status"}]
    return found
