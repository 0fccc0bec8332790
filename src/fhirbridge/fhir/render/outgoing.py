"""A row of the outbox: one write to one resource of the EPR, complete in itself."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from fhirbridge.fhir.r4 import Resource

Verb = Literal["create", "change"]


class Outgoing(Struct, frozen=True, kw_only=True):
    """One row of the outbox: what to do to one resource in the EPR, complete in itself.

    `verb` is `create` (conditional on the obligation's identifier) or `change` (read, `resource` laid over what was
    read by `fhirbridge.fhir.merge.merge`, If-Match). `resource` is the resource to create, or for a change only the
    elements that change; `before` gives, by element path, what the service wrote there last: where the EPR holds
    something else, a person set it and it stays. `provenance` says why; its `target` is `urn:uuid:{identity}` until
    the resource's reference is known, and it has a tag (code system `write`) that is derived from the write.
    `depends` are identities of other things that this resource refers to as `urn:uuid:{identity}`; a plan and its
    tasks refer to each other.
    """

    identity: str
    type: str
    verb: Verb
    resource: Resource
    provenance: Resource
    before: dict[str, str | None] = {}
    depends: tuple[str, ...] = ()
