"""What is known about one patient at an instant: what every report is made of."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from fhirbridge.core.effects import AnyEffect
from fhirbridge.core.facts import AnyFact


class Seen(Struct, frozen=True, kw_only=True):
    """Facts and effects of one patient, none of them later than the instant that is reported on.

    `epr` tells patients of several EPRs apart; "" for files. `owners` are owners that the service itself gave to Tasks
    when it wrote them, by identity; what the EPR says of a Task goes before them.
    """

    facts: tuple[AnyFact, ...]
    effects: tuple[AnyEffect, ...]
    epr: str = ""
    owners: Mapping[str, str] = {}
