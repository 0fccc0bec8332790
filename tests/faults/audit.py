"""What has to hold after a run, seen from the EPR's side: each finding is a sentence that says what does not.

Of what was committed, nothing may be missing among the facts. Of what was decided, everything is in the EPR, each
thing once, each write with one Provenance. And whatever went wrong on the way, what stands in the end is what would
stand had nothing gone wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from msgspec import Struct

from fhirbridge.core.effects import Amended, Completed, Withdrawn, Written
from fhirbridge.core.facts import AnyFact
from fhirbridge.fhir.linking import write_code
from fhirbridge.ports import Subject
from fhirbridge.service.reading import EVENTFUL
from fhirbridge.service.replaying import dead_letters
from tests.faults.feeding import Feed
from tests.faults.playing import WRITTEN, Run, Seen
from tests.faults.wire import Form

LATER = timedelta(days=3650)


class Outcome(Struct, frozen=True):
    """What a run came to: the live sets of each round, some time before its end and at its end, and what is wrong."""

    live: tuple[tuple[Sequence[Seen], Sequence[Seen]], ...]
    findings: tuple[str, ...]


async def audited(run: Run) -> Outcome:
    """Play the run and look at it at the end of each round."""
    live: list[tuple[Sequence[Seen], Sequence[Seen]]] = []
    findings: list[str] = []

    async def look(number: int, before: Sequence[Seen]) -> None:
        live.append((before, await run.seen()))
        findings.extend(f"round {number}: {found}" for found in await _findings(run))

    await run.play(look)
    findings += [*run.blind, *run.witnessed.findings]
    return Outcome(tuple(live), tuple(findings))


def differences(faulted: Outcome, clean: Outcome) -> list[str]:
    """In what the first round that differs, differs.

    A letter that went out late moves what is counted from it: what differs at the end of a round alone is such a
    deadline, about to be reached by the one run and just reached by the other. From there on the histories differ, for
    staff answer what they find.
    """
    for number, ((before, end), (clean_before, clean_end)) in enumerate(zip(faulted.live, clean.live, strict=True)):
        if end == clean_end:
            continue
        extra = [one for one in _only(end, clean_end) if one in _only(before, clean_before)]
        lacking = [one for one in _only(clean_end, end) if one in _only(clean_before, before)]
        return [
            *(f"round {number}: stands only after faults: {one}" for one in extra),
            *(f"round {number}: stands only without faults: {one}" for one in lacking),
        ]
    return []


def _only(one: Sequence[Seen], other: Sequence[Seen]) -> list[Seen]:
    return [seen for seen in one if seen not in other]


async def _findings(run: Run) -> list[str]:
    known = [await run.store.load(Subject("main", f"Patient/{patient}")) for patient in run.scenario.patients]
    facts = [fact for one in known for fact in one.facts]
    written = {effect.identity for one in known for effect in one.effects if isinstance(effect, Written)}
    changed = Counter(
        effect.identity
        for one in known
        for effect in one.effects
        if isinstance(effect, Amended | Completed | Withdrawn)
    )
    return [
        *_unaccounted(run, facts),
        *await _undelivered(run),
        *_effects(run, written, changed),
        *_provenances(run, changed),
    ]


def _unaccounted(run: Run, facts: Sequence[AnyFact]) -> list[str]:
    """Versions that were committed and are neither among the facts nor written by the service itself."""
    kept = {(fact.source.reference, fact.source.version) for fact in facts}
    erased = {fact.source.reference for fact in facts if fact.erased}
    lost = []
    kinds = run.site.mapping.resource_types
    if run.feed.watched and (run.wire.form is Form.EMPTY or not run.feed.told):
        # What says how things stand, and is not told of, is read before each decision.
        kinds &= EVENTFUL
    for reference, versions in run.hospital.committed.items():
        if reference.partition("/")[0] not in kinds:
            continue
        if run.feed is Feed.POLLED_DATES and versions[-1] is None and reference not in {one for one, _ in kept}:
            continue  # It came and went between two readings, and only what is there can be found.
        ours = run.hospital.written.get(reference, [])
        for number, version in enumerate(versions, start=1):
            # What was put in again after it was deleted is there: that it was not for a while may stay unknown.
            if version is None and number == len(versions) and reference not in erased:
                lost.append(f"{reference} was deleted, and nobody knows")
            elif version is not None and (reference, str(number)) not in kept and number not in ours:
                lost.append(f"{reference} version {number} is not among the facts")
    return lost


async def _undelivered(run: Run) -> list[str]:
    """Rows that were not delivered, and rows that were given up though nothing was wrong with them."""
    waiting = await run.store.undelivered(run.clock.now() + LATER, 10_000)
    late = [f"{one.outgoing.verb} of {one.outgoing.type} {one.outgoing.identity} was not delivered" for one in waiting]
    return [*late, *(f"a write was given up: {one.reason}" for one in await dead_letters(run.store))]


def _effects(run: Run, written: set[str], changed: Counter[str]) -> list[str]:
    """Each obligation that was decided stands once in the EPR, and nothing else of the service's does."""
    ours = Counter(identity for one in run.hospital.standing(*WRITTEN) if (identity := run.identity(one)))
    twice = [f"{identity} stands {count} times in the EPR" for identity, count in ours.items() if count > 1]
    stray = [f"{identity} stands in the EPR, and was never decided" for identity in ours.keys() - written]
    missing = [f"{identity} was decided, and is not in the EPR" for identity in written - ours.keys()]
    often = []
    for reference, versions in run.hospital.written.items():
        count = len(versions)
        identity = run.identity(run.hospital.committed[reference][0] or {})
        if count > 1 + changed[identity] + run.weather.singly:
            often.append(f"{reference} was written {count} times, and decided {1 + changed[identity]} times")
    return [*twice, *stray, *missing, *often]


def _provenances(run: Run, changed: Counter[str]) -> list[str]:
    """One Provenance for each write; where rows go one by one, the links between them are added without one."""
    provenances = run.hospital.standing("Provenance")
    codes = Counter(write_code(one) for one in provenances)
    targets = Counter(str(one["target"][0]["reference"]).partition("/_history")[0] for one in provenances)
    found = [f"write {code} left {count} Provenances" for code, count in codes.items() if count > 1]
    for reference, versions in run.hospital.written.items():
        count = len(versions)
        fewest, most = count, count
        if run.weather.singly:
            fewest, most = 1, 1 + changed[run.identity(run.hospital.committed[reference][0] or {})]
        if not fewest <= targets[reference] <= most:
            found.append(f"{reference} was written {count} times and has {targets[reference]} Provenances")
    return found
