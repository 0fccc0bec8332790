"""Copies of what stands in the EPR as itself, for the service's own FHIR view: what was last written there, and what
the EPR said of it since. Pure.

An element that the EPR leaves out stays as it was written: whoever reads the view should find the reasons, even where
an EPR keeps less than it was given.
"""

from __future__ import annotations

from typing import Final

from fhirbridge.fhir.merge import merge
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.outgoing import Outgoing

COPY: Final = "copy"
"""The way (`ports.Listed.way`) of what stands in the EPR as itself: staff work on it there."""

_OWN = frozenset({"resourceType", "id", "meta"})


def written(before: Resource | None, outgoing: Outgoing, elements: Resource) -> Resource | None:
    """The copy after this write; `elements` are those of the write, with its references resolved.

    None where there is nothing to lay a change over: what it changes was never delivered.
    """
    if outgoing.verb == "create":
        return before or {"resourceType": outgoing.type, **elements}
    return merge(before, elements, outgoing.before) if before is not None else None


def heard(before: Resource, theirs: Resource, *, erased: bool = False) -> Resource:
    """The copy after a version of the EPR's became known; `before` itself where that says nothing new.

    `erased`: the EPR deleted it, or says that it should never have been.
    """
    said = {name: value for name, value in theirs.items() if name not in _OWN}
    if erased:
        said["status"] = "entered-in-error"
    changed = {**before, **said}
    return before if changed == before else changed
