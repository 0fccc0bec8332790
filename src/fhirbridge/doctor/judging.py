"""What an EPR's capabilities mean for the service. Pure: the same statement, the same findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fhirbridge.doctor.findings import Finding, Level
from fhirbridge.fhir.capability import Capability, Feed, FeedKind, Offer, Once, Way, Writing
from fhirbridge.service.reading import EVENTFUL

INDISPENSABLE = ("Appointment", "Patient")
"""Types without which nobody's missed appointment can be known."""

WITHOUT = {
    "Encounter": "attendance is taken from the status of the Appointment alone, and stays are not seen",
    "EpisodeOfCare": "cases are kept by service, and the end of care in the community is not seen",
    "RelatedPerson": "nobody can be found to contact instead of the patient, and children are not known",
    "ServiceRequest": "every referral counts as routine, without a referrer",
    "Flag": "risk is known from other types alone",
    "Condition": "risk is known from other types alone",
    "Consent": "refusals to share are known from signals alone",
    "CareTeam": "who holds a role is known from the directory alone",
    "Task": "staff answer on the service's own worklist",
    "Communication": "messages from the patient are not known",
    "CarePlan": "plans made by staff are not known",
}
"""What follows where a type cannot be read."""

_FEEDS = {
    FeedKind.BACKPORT: "subscription to the topic {by}",
    FeedKind.REST_HOOK: "rest-hook subscription",
    FeedKind.LAST_UPDATED: "polling by {by}",
    FeedKind.HISTORY: "polling of _history by {by}",
    FeedKind.DATE_WINDOW: "polling of a window by {by}",
    FeedKind.RECORD: "with the patient's record, by {by}",
    FeedKind.NONE: "nothing",
}
_SHOWN = ("read", "search-type", "create", "update", "patch", "delete", "history-instance", "history-type")
_PARAMETERS = ("patient", "subject", "_lastUpdated", "date", "period", "authored-on", "sent", "identifier", "_tag")


def judged(capability: Capability, feeds: Sequence[Feed], writes: Sequence[Writing]) -> list[Finding]:
    """All findings that follow from what an EPR says it can do."""
    return [
        *_as_a_whole(capability),
        *(_read(capability.offer(feed.type), feed) for feed in feeds),
        *(_written(capability.offer(writing.as_type), writing) for writing in writes),
    ]


def _as_a_whole(capability: Capability) -> Iterator[Finding]:
    version = capability.fhir_version
    fits = version == "4.0" or version.startswith("4.0.")
    yield Finding(
        area="FHIR",
        checked="version",
        found=version or "not stated",
        used="R4" if fits else "",
        level=Level.FINE if fits else Level.LACKING,
        remedy="" if fits else "set base_url to the EPR's R4 (4.0.1) endpoint",
    )
    if not capability.json:
        yield Finding(
            area="FHIR",
            checked="format",
            found="no JSON",
            level=Level.LACKING,
            remedy="have application/fhir+json enabled in the EPR",
        )
    whole = capability.transaction
    yield Finding(
        area="FHIR",
        checked="transactions",
        found="offered" if whole else "not offered",
        used="what belongs together is written together" if whole else "one by one, what is referred to first",
        level=Level.FINE if whole else Level.ATTENTION,
        remedy="" if whole else "have transactions enabled: without, a resource may stand there without its Provenance",
    )
    yield Finding(area="FHIR", checked="subscriptions", found=_subscriptions(capability))


def _subscriptions(capability: Capability) -> str:
    if not capability.subscribes:
        return "none"
    kinds = ["R4 rest-hook"]
    if capability.backport:
        kinds.append(f"R5 backport with {len(capability.topics)} topics")
    return ", ".join(kinds)


def _read(offer: Offer, feed: Feed) -> Finding:
    used = _FEEDS[feed.kind].format(by=feed.by or "its id")
    if feed.kind is FeedKind.RECORD and feed.type in EVENTFUL:
        used += ", and from time to time for every patient who is known"
    level, remedy = Level.FINE, ""
    if feed.type == "Appointment" and feed.kind in (FeedKind.RECORD, FeedKind.NONE):
        level = Level.LACKING
        remedy = "have Subscription enabled in the EPR, or Appointment with search by _lastUpdated or date, or _history"
    elif feed.kind is FeedKind.NONE and feed.type in INDISPENSABLE:
        level, remedy = Level.LACKING, f"have {feed.type} enabled in the EPR, with read"
    elif feed.kind is FeedKind.NONE:
        level, remedy = Level.ATTENTION, WITHOUT.get(feed.type, "the service does without it")
    elif feed.type != "Patient" and not offer.searches("patient", "subject"):
        level, remedy = Level.ATTENTION, "no search by patient: what was there before the feed began is not known"
    return Finding(area="reads", checked=feed.type, found=_offered(offer), used=used, level=level, remedy=remedy)


def _written(offer: Offer, writing: Writing) -> Finding:
    level, remedy = Level.FINE, ""
    if writing.way is Way.OWN:
        used, found = "kept by the service, shown in its worklist and its FHIR view", "nothing it is written as"
    else:
        found = _offered(offer)
        used = f"as {writing.as_type}"
        if writing.way is not Way.NATIVE:
            used += ", and on the service's own worklist"
        if not writing.changeable and writing.way is Way.NATIVE and writing.type not in ("Provenance", "AuditEvent"):
            used += "; once, when it is final, and until then on the service's own worklist"
        if writing.way is not Way.NATIVE:
            used += "; a change is told in a further one"
    if writing.way is not Way.NATIVE:
        level, remedy = Level.ATTENTION, f"tell staff where to find what would be a {writing.type}"
    if writing.way is not Way.OWN and writing.once is Once.UNSURE:
        level = Level.ATTENTION
        unsure = "no conditional create and no search for it: after a crash, look for doubles"
        remedy = f"{remedy}; {unsure}" if remedy else unsure
    return Finding(area="writes", checked=writing.type, found=found, used=used, level=level, remedy=remedy)


def _offered(offer: Offer) -> str:
    if not offer.interactions:
        return "not offered"
    if not offer.stated:
        return "listed, without saying what can be done"
    parts = [one.removesuffix("-type") if one == "search-type" else one for one in _SHOWN if offer.can(one)]
    by = [one for one in _PARAMETERS if offer.searches(one)]
    if by and "search" in parts:
        parts[parts.index("search")] = f"search ({', '.join(by)})"
    if offer.conditional_create:
        parts.append("conditional create")
    if offer.update_create:
        parts.append("update as create")
    return ", ".join(parts)
