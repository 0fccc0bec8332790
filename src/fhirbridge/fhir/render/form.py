"""The form that each resource type fills in: what its four kinds of write look like."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from fhirbridge.core.decision import Amend, Complete, Create, Withdraw
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.setting import Rendering


class Form(Struct, frozen=True, kw_only=True):
    """How one type is written. `create` gives the whole resource, the others only the elements that change."""

    create: Callable[[Create, Rendering], Resource]
    amend: Callable[[Amend, Rendering], Resource]
    complete: Callable[[Complete, Rendering], Resource]
    withdraw: Callable[[Withdraw, Rendering], Resource]
