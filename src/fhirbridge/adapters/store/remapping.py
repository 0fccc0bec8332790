"""What a kept version says under another mapping: the resource is what the EPR sent, the fact is our reading of it."""

from __future__ import annotations

from msgspec.structs import replace

from fhirbridge.core.facts import AnyFact, Message, OwnFlag, Plan, Task, Unmapped
from fhirbridge.ports import Reading, Resource

NO_USE = "the mapping has no use for it any more"


def reread(kept: AnyFact, resource: Resource, reading: Reading) -> AnyFact:
    """The fact that `reading` makes of the resource, in the place of the one that was kept.

    Which version it is and when it became known are not the mapping's to say. A deletion, which is kept as the last
    version under a number of its own, stays one, and so does what was recognised as the service's own. What the mapping
    has no use for any more says nothing from now on.
    """
    fact = reading(resource)
    if fact is None:
        return Unmapped(source=kept.source, known=kept.known, patient=kept.patient, erased=kept.erased, reason=NO_USE)
    if isinstance(kept, OwnFlag) and not isinstance(fact, OwnFlag):
        return kept
    if isinstance(kept, Task | Message | Plan) and isinstance(fact, Task | Message | Plan) and fact.obligation is None:
        fact = replace(fact, obligation=kept.obligation)
    deleted = kept.erased and (kept.source, kept.known) != (fact.source, fact.known)
    return replace(fact, source=kept.source, known=kept.known, erased=fact.erased or deleted)
