"""`report`: compliance, the safeguarding register and caseloads, from the service's store or from files of records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from msgspec import Struct

from fhirbridge.adapters.store.everyone import everyone
from fhirbridge.cli.options import Out, SettingsFile, day, instant
from fhirbridge.cli.output import progress, put, say
from fhirbridge.core.policy import Pack
from fhirbridge.errors import SenderError
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.reporting import (
    CASELOAD_FORMATS,
    FORMATS,
    REGISTER_FORMATS,
    Coordinated,
    Duty,
    Period,
    Person,
    Seen,
    caseload,
    coordinated,
    duties,
    limit_of,
    quarter,
    register,
    registered,
)
from fhirbridge.reporting import report as reported
from fhirbridge.settings import read_settings
from fhirbridge.shipped import folder
from fhirbridge.simulation import DryRun, Line, Patient, Written, Yield, played, spread
from fhirbridge.wiring.policies import calendar_of, directory_of, pack_of

Found = TypeVar("Found", bound=Struct)
Look = Callable[[Seen, datetime], Iterable[Found]]
"""What a report takes from one patient, as known at an instant."""


class Format(StrEnum):
    """What can be written."""

    HTML = "html"
    CSV = "csv"
    JSON = "json"


class Kind(StrEnum):
    """What can be reported."""

    COMPLIANCE = "compliance"
    REGISTER = "safeguarding-register"
    CASELOAD = "caseload"


_PACKS = {
    Kind.COMPLIANCE: "rdash-disengagement",
    Kind.REGISTER: "solitary-confinement",
    Kind.CASELOAD: "twelve-point-discharge",
}
"""The policy that asks for each kind of report."""

_OF_STORE = ("People for whom the service never did anything are not looked at.",)


class _Origin(Struct, frozen=True, kw_only=True):
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


def report(  # noqa: PLR0913, PLR0917  # each is an option of the command
    kind: Annotated[Kind, typer.Option(help="What to report.")] = Kind.COMPLIANCE,
    pack: Annotated[
        str | None, typer.Option(metavar="NAME", help="The policy to report on; if not given the one that asks for it.")
    ] = None,
    in_quarter: Annotated[
        str | None, typer.Option("--quarter", metavar="QUARTER", help="Of compliance: e.g. 2026-Q1, January to March.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="Or the first day.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="And the last day.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Of caseload: most people for one coordinator; else the policy's setting `caseload`."),
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", metavar="INPUT", help="Records to simulate instead of the service's store; repeat."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="As known when; if not given now, or at the last version.")
    ] = None,
    mapping: Annotated[str, typer.Option(metavar="NAME", help="How to read the records of --input.")] = "uk-core",
    config: SettingsFile = None,
    written_as: Annotated[Format, typer.Option("--format", help="A page with tables, a table, or data.")] = Format.HTML,
    out: Out = None,
) -> None:
    """Report what was due in a period, and what of it was done in time.

    Or, at an instant, the safeguarding register (who is confined) or the caseload of discharge coordinators.
    """
    if limit is not None and kind is not Kind.CASELOAD:
        raise SenderError(f"the {kind} report has no limit; give it with --kind caseload", place="--limit")
    period = _period(in_quarter, first, last) if kind is Kind.COMPLIANCE else None
    if period is None and (in_quarter or first or last):
        raise SenderError(f"{kind} is reported at an instant; give --until instead of a period", place="--kind")
    settings = read_settings(config)
    origin = _Origin(
        pack=pack_of(pack or _PACKS[kind], settings, calendar_of(settings.zone, settings.holidays)),
        url=settings.database_url,
        inputs=tuple(inputs or ()),
        mapping=mapping,
        until=instant(until) if until else None,
    )
    if period is not None:
        put((_compliance(origin, period, written_as),), out)
    elif kind is Kind.REGISTER:
        put((_register(origin, written_as),), out)
    else:
        put((_caseload(origin, limit, written_as),), out)


def _compliance(origin: _Origin, period: Period, written_as: Format) -> bytes:
    pack = origin.pack
    found, until = _gathered(origin, partial(_duties, pack), Duty)
    made = reported(
        found,
        (step.row for pathway in pack.pathways for step in pathway.steps),
        period,
        pack.calendar,
        pack=pack.name,
        version=pack.version,
        title=pack.title,
        until=until,
    )
    if not made.teams:
        say(f"Nothing that {pack.name} asks for was due from {period.first} to {period.last}.")
    return FORMATS[written_as](made, pack.calendar)


def _register(origin: _Origin, written_as: Format) -> bytes:
    pack = origin.pack
    found, until = _gathered(origin, partial(_registered, pack), Person)
    made = register(pack, found, until, origin.unsaid)
    if not made.people:
        say("Nobody is in the safeguarding register.")
    return REGISTER_FORMATS[written_as](made, pack.calendar)


def _caseload(origin: _Origin, limit: int | None, written_as: Format) -> bytes:
    pack = origin.pack
    limit = limit or limit_of(pack)
    found, until = _gathered(origin, partial(_coordinated, pack), Coordinated)
    made = caseload(pack, found, until, limit, origin.unsaid)
    for each in (one for one in made.coordinators if one.over):
        say(f"{each.coordinator} coordinates the discharge of {len(each.people)} people, more than {made.limit}.")
    return CASELOAD_FORMATS[written_as](made, pack.calendar)


def _duties(pack: Pack, seen: Seen, until: datetime) -> Iterable[Duty]:
    return duties(pack, seen.facts, seen.effects, until)


def _registered(pack: Pack, seen: Seen, until: datetime) -> Iterable[Person]:
    person = registered(pack, seen, until)
    return () if person is None else (person,)


def _coordinated(pack: Pack, seen: Seen, until: datetime) -> Iterable[Coordinated]:
    return coordinated(pack, seen)


def _period(in_quarter: str | None, first: str | None, last: str | None) -> Period:
    if in_quarter and not (first or last):
        return quarter(in_quarter)
    if in_quarter or not (first and last):
        raise SenderError("give either a quarter, or both --from and --to", place="--quarter")
    begins, ends = day(first, "--from"), day(last, "--to")
    if begins > ends:
        raise SenderError(f"{ends} lies before {begins}", place="--to")
    return Period(begins, ends)


def _gathered(origin: _Origin, look: Look[Found], kind: type[Found]) -> tuple[list[Found], datetime]:
    """What all patients come to, and the instant it is known at."""
    if not origin.inputs:
        until = origin.until or datetime.now(UTC)
        return asyncio.run(_stored(origin.url, look, until)), until
    read_with = Mapping.load(origin.mapping, [folder("mappings")])
    by = DryRun(packs=(origin.pack,), calendar=origin.pack.calendar, directory=directory_of(read_with))
    with spread(origin.inputs, read_with, origin.until, partial(_simulated, by, look), watch=progress) as spread_out:
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
