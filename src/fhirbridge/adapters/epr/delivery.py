"""Carrying out outbox rows at an EPR: rows of one patient in one transaction, safe to send again after any crash.

Rows go in waves, since a transaction may touch a resource once: a change to something that is created in the same
delivery follows in the next. Of each wave it is first asked which writes have left their Provenance already. If the
EPR refuses a wave, its rows are sent singly, so that one bad row does not hold back the rest; references between them
are left out where they cannot be resolved yet, and added when they can. An EPR without transactions gets them singly
from the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.adapters.epr import entries
from fhirbridge.adapters.epr.looking import Look, Server
from fhirbridge.errors import EprConflict, EprError, EprRefused
from fhirbridge.fhir.capability import Capability, Once
from fhirbridge.fhir.linking import identity_of, pointed, referred, urn, write_code
from fhirbridge.fhir.merge import merge
from fhirbridge.ports import Delivery, Receipt, Resource

_CONFLICT = 409
_MOST_CONFLICTS = 3
_MOST_LOOKS = 10


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
        EprConflict: somebody changed a resource meanwhile, or it is not there: read it, decide again.
        EprRefused: the service may not read or search what it needs for the delivery; nobody's row is at fault.
        EprError: the EPR's answer makes no sense.
    """
    look = Look(server, Capability.of(await server.capability()))
    known = dict(references)
    receipts: dict[int, Receipt] = {}
    for wave in waves(deliveries):
        receipts |= {receipt.row: receipt for receipt in await _carry_out(server, look, wave, known)}
    for delivery in deliveries:
        if delivery.row in look.absent and delivery.attempts < _MOST_LOOKS:
            # Deleted, or not shown yet by a replica that lags. The others have been written, and are not written again.
            raise EprConflict(receipts[delivery.row].refused)
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


async def _carry_out(server: Server, look: Look, wave: Sequence[Delivery], known: dict[str, str]) -> list[Receipt]:
    """Send a wave as one transaction; `known` grows by what was written. Singly where the EPR refuses it whole."""
    if len(wave) > 1 and not look.together:
        return await _singly(server, look, wave, known)
    steps = await _prepared(look, wave, known, {})
    try:
        receipts = await _send(server, look, steps)
    except EprConflict as conflict:
        if doubles := await look.doubles(wave):
            receipts = await _send(server, look, await _prepared(look, wave, known, doubles))
        elif conflict.status != _CONFLICT:
            raise
        elif len(wave) > 1:
            return await _singly(server, look, wave, known)
        else:
            receipts = [_refused(wave[0], conflict)]
    except EprRefused as refusal:
        if len(wave) > 1:
            return await _singly(server, look, wave, known)
        receipts = [Receipt(row=wave[0].row, refused=str(refusal), outcome=refusal.outcome)]
    identities = {delivery.row: delivery.outgoing.identity for delivery in wave}
    known |= {identities[receipt.row]: receipt.reference for receipt in receipts if receipt.reference}
    return receipts


def _refused(delivery: Delivery, conflict: EprConflict) -> Receipt:
    """Some EPRs answer 409 to a version that was overtaken, some to what breaks a rule of theirs.

    What is new cannot have been overtaken; a change is read again and tried some times.

    Raises:
        EprConflict: read it, decide again.
    """
    if delivery.outgoing.verb == "change" and delivery.attempts < _MOST_CONFLICTS:
        raise conflict
    return Receipt(row=delivery.row, refused=str(conflict), outcome=conflict.outcome)


async def _singly(server: Server, look: Look, wave: Sequence[Delivery], known: dict[str, str]) -> list[Receipt]:
    """Send each row by itself, those that refer to the fewest others first, then add the links left out meanwhile."""
    together = {delivery.outgoing.identity for delivery in wave}
    receipts: dict[int, Receipt] = {}
    left_out: dict[int, set[str]] = {}
    for delivery in sorted(wave, key=lambda delivery: len(referred(delivery.outgoing.resource) & together)):
        left_out[delivery.row] = (referred(delivery.outgoing.resource) & together) - known.keys()
        receipts[delivery.row] = (await _carry_out(server, look, [delivery], known))[0]
    for delivery in wave:
        links = left_out[delivery.row] & known.keys()
        if links and not receipts[delivery.row].refused:
            receipts[delivery.row] = (await _carry_out(server, look, [_linking(delivery, links)], known))[0]
    return [receipts[delivery.row] for delivery in wave]


def _linking(delivery: Delivery, links: set[str]) -> Delivery:
    """The change that gives a resource the elements it had to go without; its Provenance is that of its own write."""
    outgoing = delivery.outgoing
    elements = {name: part for name, part in outgoing.resource.items() if referred(part) & links}
    return replace(delivery, outgoing=replace(outgoing, verb="change", resource=elements, provenance={}, before={}))


async def _prepared(
    look: Look, wave: Sequence[Delivery], known: dict[str, str], doubles: Mapping[int, Resource]
) -> list[Step]:
    """Read what has to be known and say what to send; `known` grows by what was found."""
    standing = dict(doubles)
    for delivery in wave:
        if delivery.row not in standing and (current := await look.standing(delivery, known)):
            standing[delivery.row] = current
    told = await look.told(wave, standing.values())
    for delivery in wave:
        created = told.get(write_code(delivery.outgoing.provenance)) if delivery.outgoing.verb == "create" else None
        if delivery.row not in standing and created and (current := await look.at(created)):
            standing[delivery.row] = current
    known |= {d.outgoing.identity: entries.reference_of(standing[d.row]) for d in wave if d.row in standing}
    missing = await look.missing(wave, known)
    return [_step(_resolved(d, known, missing), standing.get(d.row), told, look) for d in wave]


async def _send(server: Server, look: Look, steps: Sequence[Step]) -> list[Receipt]:
    sent = [entry for step in steps for entry in step.entries]
    if not sent:
        return [step.settled for step in steps if step.settled]
    answers = await _together(server, sent) if look.together else await _one_by_one(server, sent)
    remaining = iter(answers)
    return [await _receipt(look, step, [next(remaining) for _ in step.entries]) for step in steps]


async def _together(server: Server, sent: Sequence[Resource]) -> list[Resource]:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(sent)}
    answers: list[Resource] = (await server.transact(bundle)).get("entry", [])
    if len(answers) != len(sent):
        raise EprError(f"transaction: {len(sent)} entries sent, {len(answers)} answered; the EPR breaks FHIR's rule")
    return answers


async def _one_by_one(server: Server, sent: Sequence[Resource]) -> list[Resource]:
    """What refers to an entry before it names the resource that this became; is nowhere to be found, it names none."""
    created: dict[str, str] = {}
    answers: list[Resource] = []
    for entry in sent:
        resource = pointed(entry["resource"], created, referred(entry["resource"]) - created.keys())
        if entries.is_aimless(resource):
            answers.append({})
            continue
        answer = await server.interact({**entry, "resource": resource})
        if (reference := entries.answered(answer)[0]) and "fullUrl" in entry:
            created[identity_of(entry["fullUrl"])] = reference
        answers.append(answer)
    return answers


def _resolved(delivery: Delivery, known: Mapping[str, str], missing: set[str]) -> Delivery:
    outgoing = delivery.outgoing
    resource = pointed(outgoing.resource, known, missing)
    provenance = pointed(outgoing.provenance, known, missing)
    return replace(delivery, outgoing=replace(outgoing, resource=resource, provenance=provenance))


def _step(delivery: Delivery, standing: Resource | None, told: Mapping[str, str], look: Look) -> Step:
    """What to send for a row; `standing` is the resource it changes, or that has been created for it already."""
    outgoing = delivery.outgoing
    code = write_code(outgoing.provenance)
    done = code in told

    def why(target: str) -> tuple[Resource, ...]:
        if done or not outgoing.provenance or look.provenance is None:
            return ()
        return (entries.provenance_entry(outgoing.provenance, target, look.provenance.once),)

    if standing is None and outgoing.verb == "change":
        look.absent.add(delivery.row)
        lost = f"{outgoing.type} with identifier {outgoing.identity} is not in the EPR; was it deleted there?"
        return Step(delivery, settled=Receipt(row=delivery.row, refused=lost))
    if standing is None and told.get(code):
        # It was created, and is not there any more: to create it again would bring back what somebody deleted.
        return Step(delivery, settled=Receipt(row=delivery.row, reference=told[code]))
    if standing is None:
        name = urn(outgoing.identity)
        created = entries.create_entry(outgoing, outgoing.resource, look.once(outgoing.type))
        return Step(delivery, (created, *why(name)))
    reference = entries.reference_of(standing)
    stands = Receipt(row=delivery.row, reference=reference, version=entries.version_of(standing))
    if outgoing.verb == "create":
        return Step(delivery, why(reference), stands)
    changed = merge(standing, outgoing.resource, outgoing.before)
    if done or changed == standing:
        return Step(delivery, settled=stands)
    return Step(delivery, (entries.change_entry(changed), *why(reference)))


async def _receipt(look: Look, step: Step, answers: Sequence[Resource]) -> Receipt:
    if step.settled:
        return step.settled
    row, outgoing = step.delivery.row, step.delivery.outgoing
    reference, version = entries.answered(answers[0])
    if reference:
        return Receipt(row=row, reference=reference, version=version)
    stored = await look.oldest(outgoing.type, entries.obligation_token(outgoing), step.delivery.subject.patient)
    if stored is not None:
        return Receipt(row=row, reference=entries.reference_of(stored), version=version or entries.version_of(stored))
    if look.once(outgoing.type) is Once.UNSURE:
        lost = f"{outgoing.type}: taken, but the EPR neither says where nor can be searched for it; look before replay"
        return Receipt(row=row, refused=lost)
    raise EprError(f"{outgoing.type}: written, but the EPR neither says where nor finds it by its identifier")
