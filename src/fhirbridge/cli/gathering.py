"""What is taken from each patient for a report: from the service's store, or from files of records played anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from fhirbridge.adapters.store.everyone import everyone
from fhirbridge.cli.output import progress
from fhirbridge.core.policy import Pack
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.reporting import Seen
from fhirbridge.shipped import folder
from fhirbridge.simulation import DryRun, Line, Patient, Written, Yield, played, spread
from fhirbridge.wiring.policies import directory_of

Found = TypeVar("Found", bound=Struct)
Look = Callable[[Seen, datetime], Iterable[Found]]
"""What a report takes from one patient, as known at an instant."""

_OF_STORE = ("People for whom the service never did anything are not looked at.",)


class Origin(Struct, frozen=True, kw_only=True):
    """Where the report takes its patients from: files read with a mapping, else the store; and as known when."""

    pack: Pack
    url: str
    inputs: tuple[Path, ...]
    mapping: str
    until: datetime | None

    @property
    def unsaid(self) -> tuple[str, ...]:
        """What cannot be told because of where the patients come from."""
        return () if self.inputs else _OF_STORE

    def gathered(self, look: Look[Found], kind: type[Found]) -> tuple[list[Found], datetime]:
        """What all patients come to, and the instant it is known at."""
        if not self.inputs:
            until = self.until or datetime.now(UTC)
            return asyncio.run(_stored(self.url, look, until)), until
        read_with = Mapping.load(self.mapping, [folder("mappings")])
        by = DryRun(packs=(self.pack,), calendar=self.pack.calendar, directory=directory_of(read_with))
        with spread(self.inputs, read_with, self.until, partial(_simulated, by, look), watch=progress) as spread_out:
            counts, lines = spread_out
            return [msgspec.msgpack.decode(line, type=kind) for line in lines], counts.until


def _simulated(by: DryRun, look: Look[Found], patient: Patient, until: datetime) -> Yield:
    known = played(patient, by, until)
    owners = _owners(known.written)
    seen = [Seen(facts=one.facts, effects=one.effects, owners=owners) for one in (known, *known.apart)]
    return Yield(
        [
            Line(until, patient.reference, order, msgspec.msgpack.encode(found))
            for order, found in enumerate(found for one in seen for found in look(one, until))
        ]
    )


def _owners(written: Iterable[Written]) -> dict[str, str]:
    """Who owns each Task as the service wrote it, by identity."""
    last = {write.resource["identifier"][0]["value"]: write.resource.get("owner", {}) for write in written}
    return {identity: owner["reference"] for identity, owner in last.items() if "reference" in owner}


async def _stored(url: str, look: Look[Found], until: datetime) -> list[Found]:
    found: list[Found] = []
    async for subject, known in everyone(url):
        facts = tuple(fact for fact in known.facts if fact.known <= until)
        effects = tuple(effect for effect in known.effects if effect.at <= until)
        found += look(Seen(facts=facts, effects=effects, epr=subject.epr), until)
    return found
