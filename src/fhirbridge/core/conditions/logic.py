"""All, any, not: conditions made of conditions."""

from __future__ import annotations

from msgspec import Struct

from fhirbridge.core.findings import Finding, all_of, any_of, negated
from fhirbridge.core.policy import Condition
from fhirbridge.core.scene import Scene


class All(Struct, frozen=True):
    """Each of the parts holds."""

    parts: tuple[Condition, ...]

    def find(self, scene: Scene) -> Finding:
        """Stops at a part that fails and cannot come to hold by the passing of time alone."""
        findings = []
        for part in self.parts:
            finding = part.find(scene)
            if not finding.holds and finding.changes_at is None and not scene.complete:
                return finding
            findings.append(finding)
        return all_of(findings)


class AnyOf(Struct, frozen=True):
    """At least one of the parts holds."""

    parts: tuple[Condition, ...]

    def find(self, scene: Scene) -> Finding:
        """Asks every part: the first to hold is the one that counts."""
        return any_of([part.find(scene) for part in self.parts])


class Not(Struct, frozen=True):
    """The part does not hold."""

    part: Condition

    def find(self, scene: Scene) -> Finding:
        """The part's finding, turned round."""
        return negated(self.part.find(scene))
