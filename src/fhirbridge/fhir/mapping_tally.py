"""What a mapping made of many resources, counted: what it had no use for, could not map, and did not know."""

from __future__ import annotations

import re
from collections import Counter

from fhirbridge.core.facts import AnyFact, Unmapped
from fhirbridge.fhir.mapping import Strange, Trace

_PARTICULAR = re.compile(r"(?<=[A-Z][a-z])([A-Za-z]*)/[A-Za-z0-9\-.]+|\d{4}-\d\d[-0-9T:.Z+]*", re.ASCII)


def in_general(reason: str) -> str:
    """A reason without what is particular to one resource: references and times become `…`, so that alike are counted.

    Nothing about a patient is left in it.
    """
    return _PARTICULAR.sub(lambda found: f"{found[1]}/…" if found[1] is not None else "…", reason)


class Tally:
    """Counts by kind. `facts` by name of the fact, `no_use` by resource type; the rest as the fields say."""

    def __init__(self) -> None:
        self.resources = 0
        self.facts: Counter[str] = Counter()
        self.no_use: Counter[str] = Counter()
        self.unmapped: Counter[tuple[str, str]] = Counter()
        """By resource type and reason, in general."""
        self.strange: Counter[tuple[str, Strange]] = Counter()
        """By resource type and code."""

    def add(self, resource_type: str, trace: Trace) -> None:
        """Count one resource and what became of it."""
        self.count(resource_type, trace.fact)
        self.strange.update((resource_type, one) for one in trace.strange)

    def count(self, resource_type: str, fact: AnyFact | None) -> None:
        """Count one resource by the fact it gave."""
        self.resources += 1
        if fact is None:
            self.no_use[resource_type] += 1
        elif isinstance(fact, Unmapped):
            self.unmapped[resource_type, in_general(fact.reason)] += 1
        else:
            self.facts[type(fact).__name__.lower()] += 1

    def lines(self) -> list[str]:
        """For people, the most frequent first."""
        said = [f"{self.resources} resources: {_listed(self.facts) or 'no facts'}."]
        if self.no_use:
            said.append(f"Of no use here: {_listed(self.no_use)}.")
        if self.unmapped:
            said.append("Could not be mapped:")
            said += [f"{count:>8} times {kind}: {reason}" for (kind, reason), count in self.unmapped.most_common()]
        if self.strange:
            said.append("Codes that no concept map knows:")
            said += [f"{count:>8} times {_shown(kind, code)}" for (kind, code), count in self.strange.most_common()]
        return said


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _shown(kind: str, strange: Strange) -> str:
    return f"{strange.system}|{strange.code} ({kind}, {strange.field}; map {strange.map})"
