"""Trying again what an EPR refused, after somebody has mended what it was refused for.

What was to be created is rendered anew, so that a change of the mapping, the directory or a pack's words takes effect;
where nobody asks for it any more, and for changes, what was refused is sent again as it was. Where it goes is decided
by what the EPR can take now. A thing is replayed as a whole: its changes follow its creation, or it would come to life
without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.effects import AnyEffect, Started
from fhirbridge.ports import Clock, DeadLetter, Known, Outgoing, Store, Subject
from fhirbridge.service.delivering import deliver
from fhirbridge.service.letters import with_letters
from fhirbridge.service.merging import as_one
from fhirbridge.service.pauses import Pauses
from fhirbridge.service.settling import settle
from fhirbridge.service.site import Site

_MOST_TURNS = 20
_EVER = datetime.max.replace(tzinfo=UTC)
_PAGE = 200


class Replayed(Struct, frozen=True, kw_only=True):
    """What became of a row that was tried again: `delivered`, `refused` with the reason, or `waiting` for the EPR."""

    row: int
    epr: str
    type: str
    identity: str
    became: str
    reason: str = ""


async def dead_letters(store: Store, *, eprs: Sequence[str] = (), rows: Sequence[int] = ()) -> list[DeadLetter]:
    """All there are of these EPRs and rows; of any, where none are named."""
    found: list[DeadLetter] = []
    while page := await store.dead_letters.search(
        eprs=eprs, rows=rows, after=found[-1].row if found else 0, limit=_PAGE
    ):
        found += page
    return found


async def replay(
    store: Store, sites: Mapping[str, Site], letters: Sequence[DeadLetter], clock: Clock
) -> list[Replayed]:
    """Try these again, with everything else that was refused of the same things; what became of each.

    Raises:
        StoreUnavailable: what was not tried yet waits, and the service tries it.
    """
    chosen = await _whole(store, [letter for letter in letters if letter.subject.epr in sites])
    again: dict[int, Outgoing] = {}
    for subject in dict.fromkeys(letter.subject for letter in chosen):
        mine = [letter for letter in chosen if letter.subject == subject]
        again |= await _anew(store, sites[subject.epr], subject, mine, clock.now())
    await store.dead_letters.revive(again, clock.now())
    eprs = sorted({letter.subject.epr for letter in chosen})
    pauses = Pauses()
    for _ in range(_MOST_TURNS):
        if not await deliver(store, {name: sites[name] for name in eprs}, clock, pauses):
            break
    return await _became(store, chosen)


async def _whole(store: Store, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """These, and the others of the same things, in their order."""
    things = {(letter.subject, letter.outgoing.identity) for letter in letters}
    subjects = list(dict.fromkeys(letter.subject for letter in letters))
    found: list[DeadLetter] = []
    for subject in subjects:
        after = 0
        while page := await store.dead_letters.search(subjects=[subject], after=after, limit=_PAGE):
            found += [one for one in page if (one.subject, one.outgoing.identity) in things]
            after = page[-1].row
    return sorted(found, key=lambda letter: letter.row)


async def _anew(
    store: Store, site: Site, subject: Subject, letters: Sequence[DeadLetter], now: datetime
) -> dict[int, Outgoing]:
    """What to send for each row now."""
    created = {letter.outgoing.identity for letter in letters if letter.outgoing.verb == "create"}
    fresh: dict[str, Outgoing] = {}
    if created:
        known = await as_one(store, subject, await store.load(subject), now)
        forgotten = Known(
            facts=known.facts,
            effects=_without(known.effects, created),
            references=known.references,
            gaps=known.gaps,
            replaced_by=known.replaced_by,
        )
        settled = settle(site, forgotten, now)
        wanted = tuple(row for row in settled.outgoing if row.identity in created and row.verb == "create")
        rows = await with_letters(store, site, subject, known, replace(settled, outgoing=wanted), now)
        fresh = {row.identity: row for row in rows}
    return {
        letter.row: fresh.get(letter.outgoing.identity, letter.outgoing)
        if letter.outgoing.verb == "create"
        else letter.outgoing
        for letter in letters
    }


def _without(effects: Iterable[AnyEffect], identities: set[str]) -> tuple[AnyEffect, ...]:
    return tuple(one for one in effects if isinstance(one, Started) or one.identity not in identities)


async def _became(store: Store, letters: Sequence[DeadLetter]) -> list[Replayed]:
    rows = [letter.row for letter in letters]
    refused = {letter.row: letter.reason for letter in await dead_letters(store, rows=rows)} if rows else {}
    eprs = sorted({letter.subject.epr for letter in letters})
    waiting = {one.row for one in await store.undelivered(_EVER, max(rows, default=1), eprs)}
    return [
        Replayed(
            row=letter.row,
            epr=letter.subject.epr,
            type=letter.outgoing.type,
            identity=letter.outgoing.identity,
            became="refused" if letter.row in refused else "waiting" if letter.row in waiting else "delivered",
            reason=refused.get(letter.row, ""),
        )
        for letter in letters
    ]
