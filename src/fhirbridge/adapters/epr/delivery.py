"""Carrying out outbox rows at an EPR: rows of one patient in one transaction, safe to send again after any crash.

Rows go in waves, since a transaction may touch a resource once: a change to something that is created in the same
delivery follows in the next. Of each wave it is first asked which writes have left their Provenance already. If the
EPR refuses a wave, its rows are sent singly, so that one bad row does not hold back the rest; references between them
are left out where they cannot be resolved yet, and added when they can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.adapters.epr import entries
from fhirbridge.adapters.epr.entries import Keeping
from fhirbridge.core.effects import Kind
from fhirbridge.errors import EprConflict, EprError, EprRefused
from fhirbridge.fhir.canonical import OBLIGATION, WRITE
from fhirbridge.fhir.merge import merge
from fhirbridge.ports import Delivery, Outgoing, Receipt, Resource


class Server(Protocol):
    """The FHIR interactions that a delivery needs of an EPR."""

    async def capability(self) -> Resource:
        """Its CapabilityStatement."""
        ...

    async def read(self, reference: str) -> Resource | None:
        """The current version of `Type/id`; None when deleted or unknown."""
        ...

    def search(self, resource_type: str, parameters: Mapping[str, str]) -> AsyncIterator[Resource]:
        """All matches."""
        ...

    async def transact(self, bundle: Resource) -> Resource:
        """Carry out a transaction Bundle, all of it or nothing; the transaction-response Bundle."""
        ...


class Step(Struct, frozen=True):
    """What one row comes to: entries to send, the row's own resource first unless `settled` has its receipt already."""

    delivery: Delivery
    entries: tuple[Resource, ...] = ()
    settled: Receipt | None = None


async def deliver(server: Server, deliveries: Sequence[Delivery], references: Mapping[str, str]) -> list[Receipt]:
    """Carry out the rows of one subject, in their order, and say what became of each.

    `references` has the `Type/id` of every identity that was delivered before. A row that the EPR refuses gets a
    receipt that says why; it does not keep the others from being written. A change to what staff have ended writes
    nothing and gets the receipt of what is there.

    Raises:
        EprUnavailable: try all rows again later; those that were written are not written twice.
        EprConflict: somebody changed a resource meanwhile: read it, decide again.
        EprRefused: the service may not read or search what it needs for the delivery; nobody's row is at fault.
        EprError: the EPR's answer makes no sense.
    """
    known = dict(references)
    receipts: dict[int, Receipt] = {}
    for wave in waves(deliveries):
        receipts |= {receipt.row: receipt for receipt in await _carry_out(server, wave, known)}
    return [receipts[delivery.row] for delivery in deliveries]


def waves(deliveries: Sequence[Delivery]) -> list[list[Delivery]]:
    """The rows cut so that no identity comes twice in a wave: the first of each identity, the second of each, …"""
    cut: list[list[Delivery]] = []
    times: Counter[str] = Counter()
    for delivery in deliveries:
        wave = times[delivery.outgoing.identity]
        times[delivery.outgoing.identity] += 1
        if wave == len(cut):
            cut.append([])
        cut[wave].append(delivery)
    return cut


async def _carry_out(server: Server, wave: Sequence[Delivery], known: dict[str, str]) -> list[Receipt]:
    """Send a wave as one transaction; `known` grows by what was written. Singly where the EPR refuses it whole."""
    steps = await _prepared(server, wave, known, {})
    try:
        receipts = await _send(server, steps)
    except EprConflict:
        doubles = await _doubles(server, wave)
        if not doubles:
            raise
        receipts = await _send(server, await _prepared(server, wave, known, doubles))
    except EprRefused as refusal:
        if len(wave) > 1:
            return await _singly(server, wave, known)
        receipts = [Receipt(row=wave[0].row, refused=str(refusal))]
    identities = {delivery.row: delivery.outgoing.identity for delivery in wave}
    known |= {identities[receipt.row]: receipt.reference for receipt in receipts if receipt.reference}
    return receipts


async def _singly(server: Server, wave: Sequence[Delivery], known: dict[str, str]) -> list[Receipt]:
    """Send each row by itself, those that refer to the fewest others first, then add the links left out meanwhile."""
    together = {delivery.outgoing.identity for delivery in wave}
    receipts: dict[int, Receipt] = {}
    left_out: dict[int, set[str]] = {}
    for delivery in sorted(wave, key=lambda delivery: len(entries.referred(delivery.outgoing.resource) & together)):
        left_out[delivery.row] = (entries.referred(delivery.outgoing.resource) & together) - known.keys()
        receipts[delivery.row] = (await _carry_out(server, [delivery], known))[0]
    for delivery in wave:
        links = left_out[delivery.row] & known.keys()
        if links and not receipts[delivery.row].refused:
            receipts[delivery.row] = (await _carry_out(server, [_linking(delivery, links)], known))[0]
    return [receipts[delivery.row] for delivery in wave]


def _linking(delivery: Delivery, links: set[str]) -> Delivery:
    """The change that gives a resource the elements it had to go without; its Provenance is that of its own write."""
    outgoing = delivery.outgoing
    elements = {name: part for name, part in outgoing.resource.items() if entries.referred(part) & links}
    return replace(delivery, outgoing=replace(outgoing, verb="change", resource=elements, provenance={}, before={}))


async def _prepared(
    server: Server, wave: Sequence[Delivery], known: dict[str, str], doubles: Mapping[int, Resource]
) -> list[Step]:
    """Read what has to be known and say what to send; `known` grows by what was found."""
    capability = await server.capability()
    how = entries.keeping(capability)
    told = await _told(server, wave, how)
    standing = dict(doubles)
    for delivery in wave:
        if delivery.outgoing.verb == "change" and (current := await _current(server, delivery.outgoing, known)):
            standing[delivery.row] = current
    known |= {d.outgoing.identity: entries.reference_of(standing[d.row]) for d in wave if d.row in standing}
    missing = await _missing(server, wave, known, [kind for kind in Kind if kind in entries.offered(capability)])
    return [_step(_resolved(d, known, missing), standing.get(d.row), told, how) for d in wave]


async def _send(server: Server, steps: Sequence[Step]) -> list[Receipt]:
    sent = [entry for step in steps for entry in step.entries]
    if not sent:
        return [step.settled for step in steps if step.settled]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": sent}
    answers = (await server.transact(bundle)).get("entry", [])
    if len(answers) != len(sent):
        raise EprError(f"transaction: {len(sent)} entries sent, {len(answers)} answered; the EPR breaks FHIR's rule")
    remaining = iter(answers)
    return [await _receipt(server, step, [next(remaining) for _ in step.entries]) for step in steps]


def _resolved(delivery: Delivery, known: Mapping[str, str], missing: set[str]) -> Delivery:
    outgoing = delivery.outgoing
    resource = entries.pointed(outgoing.resource, known, missing)
    provenance = entries.pointed(outgoing.provenance, known, missing)
    return replace(delivery, outgoing=replace(outgoing, resource=resource, provenance=provenance))


def _step(delivery: Delivery, standing: Resource | None, told: set[str], how: Keeping) -> Step:
    """What to send for a row; `standing` is the resource it changes, or that has been created for it twice."""
    outgoing = delivery.outgoing
    done = entries.write_code(outgoing.provenance) in told

    def why(target: str) -> tuple[Resource, ...]:
        if done or not outgoing.provenance or how is Keeping.NOT_AT_ALL:
            return ()
        return (entries.provenance_entry(outgoing.provenance, target, how),)

    if standing is None and outgoing.verb == "change":
        lost = f"{outgoing.type} with identifier {outgoing.identity} is not in the EPR; was it deleted there?"
        return Step(delivery, settled=Receipt(row=delivery.row, refused=lost))
    if standing is None:
        urn = entries.urn(outgoing.identity)
        return Step(delivery, (entries.create_entry(outgoing, outgoing.resource), *why(urn)))
    reference = entries.reference_of(standing)
    stands = Receipt(row=delivery.row, reference=reference, version=entries.version_of(standing))
    if outgoing.verb == "create":
        return Step(delivery, why(reference), stands)
    changed = merge(standing, outgoing.resource, outgoing.before)
    if done or changed == standing:
        return Step(delivery, settled=stands)
    return Step(delivery, (entries.change_entry(changed), *why(reference)))


async def _receipt(server: Server, step: Step, answers: Sequence[Resource]) -> Receipt:
    if step.settled:
        return step.settled
    outgoing = step.delivery.outgoing
    reference, version = entries.answered(answers[0])
    if reference:
        return Receipt(row=step.delivery.row, reference=reference, version=version)
    stored = await _oldest(server, outgoing.type, entries.obligation_token(outgoing))
    if stored is None:
        raise EprError(f"{outgoing.type}: written, but the EPR neither says where nor finds it by its identifier")
    return Receipt(
        row=step.delivery.row, reference=entries.reference_of(stored), version=version or entries.version_of(stored)
    )


async def _told(server: Server, wave: Sequence[Delivery], how: Keeping) -> set[str]:
    """Codes of the writes of this wave that have left their Provenance in the EPR: they have been committed."""
    codes = [code for delivery in wave if (code := entries.write_code(delivery.outgoing.provenance))]
    if not codes or how is Keeping.NOT_AT_ALL:
        return set()
    if how is Keeping.BY_ID:
        query = {"_id": ",".join(codes)}
    else:
        query = {"_tag": ",".join(f"{WRITE}|{code}" for code in codes)}
    return {entries.write_code(provenance) async for provenance in server.search("Provenance", query)}


async def _current(server: Server, outgoing: Outgoing, known: Mapping[str, str]) -> Resource | None:
    if reference := known.get(outgoing.identity):
        return await server.read(reference)
    return await _oldest(server, outgoing.type, entries.obligation_token(outgoing))


async def _missing(server: Server, wave: Sequence[Delivery], known: dict[str, str], kinds: Sequence[Kind]) -> set[str]:
    """Identities referred to that are neither written here nor in the EPR; `known` grows by those found there."""
    created = {delivery.outgoing.identity for delivery in wave if delivery.outgoing.verb == "create"}
    wanted = {identity for delivery in wave for identity in entries.referred(delivery.outgoing.resource)}
    missing = set()
    for identity in sorted(wanted - created - known.keys()):
        for kind in kinds:
            if stored := await _oldest(server, kind, f"{OBLIGATION}|{identity}"):
                known[identity] = entries.reference_of(stored)
                break
        else:
            missing.add(identity)
    return missing


async def _doubles(server: Server, wave: Sequence[Delivery]) -> dict[int, Resource]:
    """For rows whose resource the EPR holds more than once, the oldest.

    Conditional creates can race in an EPR; from then on it answers each of them with a conflict.
    """
    found = {}
    for delivery in wave:
        if delivery.outgoing.verb == "create":
            same = await _matches(server, delivery.outgoing.type, entries.obligation_token(delivery.outgoing))
            if len(same) > 1:
                found[delivery.row] = same[0]
    return found


async def _oldest(server: Server, kind: str, token: str) -> Resource | None:
    return next(iter(await _matches(server, kind, token)), None)


async def _matches(server: Server, kind: str, token: str) -> list[Resource]:
    """Oldest first: by the instant of their last change, then by id, so that everybody picks the same one."""
    found = [match async for match in server.search(kind, {"identifier": token})]
    return sorted(found, key=lambda match: (match.get("meta", {}).get("lastUpdated", ""), match["id"]))
