"""Completing a step on the service's own worklist, where the EPR cannot take the Task that staff would complete there.

What the person says becomes a version of the Task, and an event in the inbox; from there it takes the way of everything
that an EPR tells of.
"""

from __future__ import annotations

from fhirbridge.errors import NotKnown, Overtaken
from fhirbridge.fhir.copies import COPY
from fhirbridge.fhir.render.completing import Completion as Completion
from fhirbridge.fhir.render.completing import completed
from fhirbridge.ports import Clock, Listed, Placing, Store
from fhirbridge.service.site import Policies


async def complete(
    store: Store, site: Policies, reference: str, version: int, completion: Completion, clock: Clock
) -> Listed:
    """Complete the step `Task/id` of the worklist, of which the person saw the version of this number.

    Wake the service afterwards: there is something in its inbox.

    Raises:
        NotKnown: nothing of that name is on the worklist.
        SenderError: it has ended already, or what is said of it cannot be.
        Overtaken: it was changed since that version; show it again.
    """
    listed = await store.worklist.read(reference)
    if listed is None or listed.way == COPY:
        raise NotKnown(f"{reference[:80]} is not on the worklist", place="reference", issue="not-found")
    if listed.version != version:
        raise Overtaken(f"{reference} was changed since version {version}: look at it again")
    now = clock.now()
    changed = completed(listed.resource, completion, now, site.calendar)
    placing = Placing(
        identity=listed.identity,
        resource=changed,
        based_on=listed.version,
        way=listed.way,
        notice=listed.notice,
        by=completion.by,
    )
    return await store.worklist.complete(reference, placing, now)
