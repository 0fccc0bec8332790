"""`report`: compliance, the safeguarding register and caseloads, from the service's store or from files of records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from fhirbridge.cli.gathering import Origin
from fhirbridge.cli.options import Out, SettingsFile, day, instant, of_settings
from fhirbridge.cli.output import put, say
from fhirbridge.core.policy import Pack
from fhirbridge.errors import SenderError
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
from fhirbridge.wiring.policies import calendar_of, pack_of


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

_Make = Callable[[Origin, Format], bytes]
"""Makes a report of what is known of the patients there."""


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
    make = _asked(kind, limit, in_quarter, first, last)
    settings = read_settings(config)
    with of_settings(config):
        policy = pack_of(pack or _PACKS[kind], settings, calendar_of(settings.zone, settings.holidays))
    origin = Origin(
        pack=policy,
        url=settings.database_url,
        inputs=tuple(inputs or ()),
        mapping=mapping,
        until=instant(until) if until else None,
    )
    put((make(origin, written_as),), out)


def _asked(kind: Kind, limit: int | None, in_quarter: str | None, first: str | None, last: str | None) -> _Make:
    """What makes a report of that kind; an option that it has no use for is refused."""
    if limit is not None and kind is not Kind.CASELOAD:
        raise SenderError(f"the {kind} report has no limit; give it with --kind caseload", place="--limit")
    if kind is Kind.COMPLIANCE:
        return partial(_compliance, _period(in_quarter, first, last))
    if in_quarter or first or last:
        raise SenderError(f"{kind} is reported at an instant; give --until instead of a period", place="--kind")
    return _register if kind is Kind.REGISTER else partial(_caseload, limit)


def _compliance(period: Period, origin: Origin, written_as: Format) -> bytes:
    pack = origin.pack
    found, until = origin.gathered(partial(_duties, pack), Duty)
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


def _register(origin: Origin, written_as: Format) -> bytes:
    pack = origin.pack
    found, until = origin.gathered(partial(_registered, pack), Person)
    made = register(pack, found, until, origin.unsaid)
    if not made.people:
        say("Nobody is in the safeguarding register.")
    return REGISTER_FORMATS[written_as](made, pack.calendar)


def _caseload(limit: int | None, origin: Origin, written_as: Format) -> bytes:
    pack = origin.pack
    limit = limit or limit_of(pack)
    found, until = origin.gathered(partial(_coordinated, pack), Coordinated)
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
