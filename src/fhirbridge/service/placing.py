"""Where each row of the outbox goes: into the EPR as what it is, or onto the service's own worklist and told of. Pure.

Nothing is ever silently not written. What an EPR does not take as itself stands on the worklist as it would stand
there, with every version, and a notice tells of it in the EPR where that takes one. What it takes only once is on the
worklist until it is final. A thing stays where it was created, whatever the EPR learns to take later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.core.states import is_terminal
from fhirbridge.fhir.canonical import OBLIGATION
from fhirbridge.fhir.capability import CARRIERS, Way, Writing
from fhirbridge.fhir.linking import identity_of, pointed, write_code
from fhirbridge.fhir.merge import merge
from fhirbridge.fhir.render.telling import notice, notice_identity, superseded
from fhirbridge.fhir.worklist import listed_id
from fhirbridge.ports import Delivery, Listed, Outgoing, Placing, Receipt, Resource, Subject, There


class Stand(Struct, frozen=True, kw_only=True):
    """How a thing stands on the worklist: the number of its version, and the identity of what told of it last."""

    resource: Resource
    version: int
    way: Way
    notice: str = ""
    write: str = ""


class Plan(Struct, frozen=True, kw_only=True):
    """What some rows of one subject come to.

    `placings` go onto the worklist, `deliveries` to the EPR. `kept` has the rows whose thing is on the worklist, with
    how it stands then.
    """

    placings: tuple[Placing, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    kept: Mapping[int, Stand] = {}

    def receipts(self, epr: str, rows: Sequence[Delivery], answered: Iterable[Receipt]) -> list[Receipt]:
        """What became of each row, from what the EPR answered to `deliveries`."""
        by_row = {receipt.row: receipt for receipt in answered}
        return [
            _kept(row, epr, self.kept[row.row], by_row.get(row.row)) if row.row in self.kept else by_row[row.row]
            for row in rows
        ]


def planned(
    subject: Subject,
    rows: Sequence[Delivery],
    ways: Mapping[str, Writing],
    standing: Mapping[str, Listed],
    histories: Mapping[str, Sequence[Listed]],
    references: Mapping[str, str],
) -> Plan:
    """Where the rows go. `standing` is what is on the worklist; `histories` the versions of what the rows change there.

    `references` has the `Type/id` in the EPR of what is there.
    """
    planning = _Planning(subject, rows, ways, standing, histories, references)
    for row in rows:
        planning.add(row)
    return Plan(placings=tuple(planning.placings), deliveries=tuple(planning.deliveries), kept=dict(planning.kept_rows))


class _Planning:
    """One pass over the rows, in their order."""

    def __init__(
        self,
        subject: Subject,
        rows: Sequence[Delivery],
        ways: Mapping[str, Writing],
        standing: Mapping[str, Listed],
        histories: Mapping[str, Sequence[Listed]],
        references: Mapping[str, str],
    ) -> None:
        self.placings: list[Placing] = []
        self.deliveries: list[Delivery] = []
        self.kept_rows: dict[int, Stand] = {}
        self._subject = subject
        self._ways = ways
        self._standing = standing
        self._histories = {identity: [_stand(one) for one in versions] for identity, versions in histories.items()}
        self._stands = {identity: versions[-1] for identity, versions in self._histories.items() if versions}
        created = {r.outgoing.identity: r.outgoing.type for r in rows if self._is_kept(r.outgoing)}
        ours = {identity: one.resource["resourceType"] for identity, one in standing.items()} | created
        self._ours = {identity: f"{kind}/{listed_id(subject.epr, identity)}" for identity, kind in ours.items()}
        self._places = {**references, **self._ours}

    def add(self, row: Delivery) -> None:
        """Plan one row."""
        outgoing = row.outgoing
        if not self._is_kept(outgoing):
            self._to_epr(row, outgoing)
            return
        code = write_code(outgoing.provenance)
        before, after = self._placed(outgoing.identity, code)
        if after is None:
            before = self._stands.get(outgoing.identity)
            after = self._changed(outgoing, before, code)
            if before is not None and after.version == before.version:
                self.kept_rows[row.row] = after
                return
            self._place(outgoing, before, after)
        self.kept_rows[row.row] = after
        self._place_provenance(row)
        self._tell(row, before, after)

    def _is_kept(self, outgoing: Outgoing) -> bool:
        if outgoing.identity in self._standing or outgoing.identity in self._stands:
            return True
        writing = self._ways[outgoing.type]
        return outgoing.verb == "create" and not (writing.way is Way.NATIVE and writing.changeable)

    def _placed(self, identity: str, code: str) -> tuple[Stand | None, Stand | None]:
        """The versions before and after a write that was placed by an earlier try; None where it was not."""
        versions = self._histories.get(identity, [])
        for place, version in enumerate(versions):
            if code and version.write == code:
                return (versions[place - 1] if place else None), version
        return None, None

    def _changed(self, outgoing: Outgoing, before: Stand | None, code: str) -> Stand:
        """The thing after the write; `before` itself where that changes nothing."""
        elements = _linked(outgoing.resource, self._places)
        way = before.way if before else self._ways[outgoing.type].way
        if before is None:
            resource = elements
        elif outgoing.verb == "create" or (resource := merge(before.resource, elements, outgoing.before)) is (
            before.resource
        ):
            return before
        after = Stand(resource=resource, version=before.version + 1 if before else 1, way=way, write=code)
        told = self._notice(outgoing, before, after)
        return replace(after, notice=told or (before.notice if before else ""))

    def _notice(self, outgoing: Outgoing, before: Stand | None, after: Stand) -> str:
        """The identity of what tells of this version in the EPR; empty where nothing does."""
        if not _is_told(outgoing.type, before, after):
            return ""
        return outgoing.identity if after.way is Way.NATIVE else notice_identity(after.write)

    def _place(self, outgoing: Outgoing, before: Stand | None, after: Stand) -> None:
        self._stands[outgoing.identity] = after
        self.placings.append(
            Placing(
                identity=outgoing.identity,
                resource=after.resource,
                based_on=before.version if before else 0,
                way=after.way.value,
                write=after.write,
                notice=after.notice,
            )
        )

    def _place_provenance(self, row: Delivery) -> None:
        provenance = row.outgoing.provenance
        code = write_code(provenance)
        if code and code not in self._standing:
            target = {"reference": self._ours[row.outgoing.identity]}
            self.placings.append(Placing(identity=code, resource={**provenance, "target": [target]}))

    def _tell(self, row: Delivery, before: Stand | None, after: Stand) -> None:
        """Let the EPR know, as what it takes."""
        outgoing = row.outgoing
        if not _is_told(outgoing.type, before, after):
            return
        if after.way is Way.NATIVE:
            whole = replace(outgoing, verb="create", resource=_fresh(after.resource), before={})
            self._to_epr(row, whole)
            return
        as_type = CARRIERS[after.way]
        told = before.notice if before else ""
        of = notice(as_type, after.write, after.resource, outgoing.provenance, f"urn:uuid:{told}" if told else "")
        self._to_epr(row, of)
        writing = self._ways[outgoing.type]
        if told and after.way is writing.way is Way.DOCUMENT_REFERENCE and writing.changeable:
            self.deliveries.append(replace(row, row=-row.row, outgoing=superseded(told)))

    def _to_epr(self, row: Delivery, outgoing: Outgoing) -> None:
        """As it is, without what refers to the worklist, and with its Provenance where the EPR takes that."""
        provenance = outgoing.provenance if self._ways["Provenance"].way is Way.NATIVE else {}
        resource = _without(pointed(outgoing.resource, {}, self._ours), set(self._ours.values()))
        self.deliveries.append(replace(row, outgoing=replace(outgoing, resource=resource, provenance=provenance)))


def _stand(listed: Listed) -> Stand:
    return Stand(
        resource=listed.resource,
        version=listed.version,
        way=Way(listed.way),
        notice=listed.notice,
        write=listed.write,
    )


def _is_told(kind: str, before: Stand | None, after: Stand) -> bool:
    """Whether a version is for the EPR: of a message the one that is final, of anything else each.

    What the EPR takes as itself, but only once, is for it when it is final.
    """
    if after.way is Way.OWN:
        return False
    if kind != "Communication" and after.way is not Way.NATIVE:
        return True
    final = is_terminal(kind, str(after.resource.get("status", "")))
    return final and not (before is not None and is_terminal(kind, str(before.resource.get("status", ""))))


def _kept(row: Delivery, epr: str, stand: Stand, answered: Receipt | None) -> Receipt:
    if answered is not None and answered.refused:
        return answered
    here = f"{row.outgoing.type}/{listed_id(epr, row.outgoing.identity)}"
    if answered is None:
        return Receipt(row=row.row, reference=here, version=str(stand.version))
    there = There(stand.notice, answered.reference, answered.version)
    if stand.way is Way.NATIVE:
        return answered
    return Receipt(row=row.row, reference=here, version=str(stand.version), also=(there,))


def _fresh(resource: Resource) -> Resource:
    """A version of the worklist as a new resource: without what the worklist gave it."""
    about = {n: part for n, part in resource.get("meta", {}).items() if n not in {"versionId", "lastUpdated"}}
    return {name: part for name, part in resource.items() if name not in {"id", "meta"}} | {"meta": about}


def _linked(value: Any, places: Mapping[str, str]) -> Any:
    """A copy in which things are referred to where they are; by their identifier, where that is not known yet."""
    if isinstance(value, list):
        return [_linked(each, places) for each in value]
    if not isinstance(value, dict):
        return value
    named = value.get("reference")
    if isinstance(named, str) and (identity := identity_of(named)) != named:
        if identity in places:
            return value | {"reference": places[identity]}
        by_identifier = {"identifier": {"system": OBLIGATION, "value": identity}}
        return {name: part for name, part in value.items() if name != "reference"} | by_identifier
    return {name: _linked(part, places) for name, part in value.items()}


def _without(value: Any, references: set[str]) -> Any:
    """A copy without what refers to any of these, and without what has no content left by that."""
    if isinstance(value, list):
        return [part for each in value if (part := _without(each, references)) not in ({}, [])]
    if not isinstance(value, dict):
        return value
    if value.get("reference") in references:
        return {}
    parts = {name: _without(part, references) for name, part in value.items()}
    return {name: part for name, part in parts.items() if part not in ({}, []) or part == value[name]}
