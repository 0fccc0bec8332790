"""All about one patient, put together for a page: what was decided and why, what comes next, what was taken back.

The explanation is made of the very decision, as of now; where things stand is what the service wrote and what the EPR
said of it since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.accounts import CaseAccount, Outlook, PathwayAccount, RunAccount, StepAccount
from fhirbridge.core.decision import Reason
from fhirbridge.core.deliveries import Consignment
from fhirbridge.core.explain import explain
from fhirbridge.core.gaps import Gap
from fhirbridge.core.own import Thing, fold
from fhirbridge.core.timeline import Record
from fhirbridge.core.withholding import WithheldCorrection, withheld_corrections
from fhirbridge.fhir.copies import COPY
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import WITHDRAWN
from fhirbridge.fhir.wording import KINDS, display
from fhirbridge.ports import DeadLetter, Double, Known, Listed, Store, Subject, Unreadable, Wanted
from fhirbridge.service import Site
from fhirbridge.service.assigning import parts
from fhirbridge.service.merging import as_one
from fhirbridge.simulation.account import title
from fhirbridge.web.console.work import Identity, identities

_TAKEN_BACK = frozenset({"cancelled", "stopped", "not-done", "revoked", "inactive", "entered-in-error"})
_ALL = 10_000


class Journey(Struct, frozen=True, kw_only=True):
    """How far a message has come on its way to one recipient."""

    to: str
    channel: str
    stage: str
    at: datetime | None
    failed: bool


class Item(Struct, frozen=True, kw_only=True):
    """One thing that the service wrote, as it stands. `reference` is "" while it waits to be written.

    `refused` says why the EPR does not take it, where it refused; `held` until when a further write is held back;
    `journeys` how a message gets to its recipients.
    """

    identity: str
    kind: str
    title: str
    role: str
    status: str
    since: datetime
    due: datetime | None
    reference: str = ""
    where: str = ""
    ended: datetime | None = None
    why_ended: str = ""
    refused: str = ""
    held: datetime | None = None
    journeys: tuple[Journey, ...] = ()


class Next(Struct, frozen=True, kw_only=True):
    """A step that is waited for: at the earliest when, where that is known, and for what."""

    title: str
    clause: str
    until: datetime | None
    because: tuple[Reason, ...]


class RunPage(Struct, frozen=True, kw_only=True):
    """One run of a pathway, with what it asked for, what it waits for and what is not called for."""

    pathway: str
    clause: str
    run: RunAccount
    exists: tuple[StepAccount, ...]
    not_called_for: tuple[StepAccount, ...]


class CasePage(Struct, frozen=True, kw_only=True):
    """One case under one policy. `idle` are its pathways that do not run, grouped by why."""

    case: str
    pack: str
    runs: tuple[RunPage, ...]
    idle: tuple[tuple[str, tuple[str, ...]], ...]


class Account(Struct, frozen=True, kw_only=True):
    """All of it."""

    subject: Subject
    who: Identity
    cases: tuple[CasePage, ...]
    coming: tuple[Next, ...]
    standing: tuple[Item, ...]
    withdrawn: tuple[Item, ...]
    items: Mapping[str, Item]
    refused: tuple[DeadLetter, ...]
    doubles: tuple[Double, ...]
    uncorrected: tuple[WithheldCorrection, ...]
    gaps: tuple[Gap, ...]
    unread: tuple[Unreadable, ...]


async def account_of(store: Store, site: Site, subject: Subject, now: datetime) -> Account:
    """The account of one patient, as of now.

    Raises:
        ConfigurationError: a run is on a version of a pack that is nowhere to be found.
    """
    known = await as_one(store, subject, await store.load(subject), now)
    who = (await identities(store, [subject]))[subject]
    wanted = Wanted(eprs=(subject.epr,), patients=(subject.patient,))
    listed = {one.identity: one for one in await store.worklist.search(wanted, limit=_ALL)}
    record, own = Record.of(known.facts), fold(known.effects)
    refused = tuple(await store.dead_letters.search(subjects=[subject], limit=_ALL))
    accounts: list[tuple[str, CaseAccount]] = []
    uncorrected: list[WithheldCorrection] = []
    for part in parts(site, record, own):
        mine = part.under(own, record)
        for one in explain(part.pack, record, mine, now, gaps=known.gaps):
            if part.cases is None or one.case in part.cases:
                accounts.append((f"{part.pack.title} {part.pack.version}", one))
        uncorrected += withheld_corrections(part.pack, record, mine, now)
    why_refused = {letter.outgoing.identity: letter.reason for letter in refused}
    items = [
        _item(thing, listed.get(thing.identity), known, why_refused.get(thing.identity, ""), now)
        for thing in own.things.values()
    ]
    items.sort(key=lambda item: item.since)
    return Account(
        subject=subject,
        who=who,
        cases=tuple(_case(pack, one) for pack, one in accounts),
        coming=tuple(sorted(_coming(accounts), key=lambda one: (one.until is None, one.until or now))),
        standing=tuple(item for item in items if item.ended is None),
        withdrawn=tuple(item for item in items if item.ended is not None),
        items={item.identity: item for item in items},
        refused=refused,
        doubles=tuple(await store.doubles.of(subject)),
        uncorrected=tuple(uncorrected),
        gaps=known.gaps,
        unread=tuple(await store.unread.search(subjects=[subject], limit=_ALL)),
    )


def _item(thing: Thing, listed: Listed | None, known: Known, refused: str, now: datetime) -> Item:
    resource: Resource = listed.resource if listed else {}
    status = str(resource.get("status", ""))
    ended = thing.withdrawn or (listed.updated if listed and status in _TAKEN_BACK else None)
    return Item(
        identity=thing.identity,
        kind=KINDS[thing.key.kind],
        title=title(resource) if listed else display(thing.key.action),
        role=display(thing.key.role) if thing.key.role else "",
        status=status or ("withdrawn" if thing.withdrawn else "decided"),
        since=thing.written,
        due=thing.due,
        reference=listed.reference if listed else "",
        where=_where(listed, known.references.get(thing.identity, "")),
        ended=ended,
        why_ended=_why_ended(thing, resource) if ended else "",
        refused=refused,
        held=thing.held_until if thing.held_until is not None and thing.held_until > now else None,
        journeys=tuple(_journey(one) for one in thing.consignments),
    )


def _journey(one: Consignment) -> Journey:
    stands = one.standing
    return Journey(
        to=one.to.shown,
        channel=one.to.channel,
        stage=stands.stage.replace("-", " "),
        at=stands.since,
        failed=one.failed,
    )


def _where(listed: Listed | None, reference: str) -> str:
    if listed is not None and listed.way != COPY:
        return "on this worklist"
    return f"in the EPR, {reference}" if reference else "waiting to be written to the EPR"


def _why_ended(thing: Thing, resource: Resource) -> str:
    told = resource.get("statusReason", {}).get("text") or next(
        (note.get("text", "") for note in reversed(resource.get("note", []))), ""
    )
    return str(told or (WITHDRAWN[thing.reason][1] if thing.reason else ""))


def _case(pack: str, one: CaseAccount) -> CasePage:
    idle: dict[str, list[str]] = {}
    for pathway in one.pathways:
        if not pathway.runs:
            because = " ".join(dict.fromkeys(reason.says for reason in pathway.because)) or "It is not called for."
            idle.setdefault(because, []).append(pathway.title)
    return CasePage(
        case=one.case,
        pack=pack,
        runs=tuple(_run(pathway, run) for pathway in one.pathways for run in pathway.runs),
        idle=tuple((because, tuple(titles)) for because, titles in idle.items()),
    )


def _run(pathway: PathwayAccount, run: RunAccount) -> RunPage:
    return RunPage(
        pathway=pathway.title,
        clause=pathway.clause,
        run=run,
        exists=tuple(step for step in run.steps if step.outlook is Outlook.EXISTS),
        not_called_for=tuple(step for step in run.steps if step.outlook is Outlook.NOT_AT_ALL),
    )


def _coming(accounts: Iterable[tuple[str, CaseAccount]]) -> Iterator[Next]:
    for _, one in accounts:
        for pathway in one.pathways:
            if not pathway.runs and pathway.outlook is Outlook.NOT_YET:
                yield Next(title=pathway.title, clause=pathway.clause, until=pathway.until, because=pathway.because)
            for run in pathway.runs:
                for step in run.steps:
                    if step.outlook is Outlook.NOT_YET:
                        yield Next(title=step.title, clause=step.clause, until=step.until, because=step.because)
