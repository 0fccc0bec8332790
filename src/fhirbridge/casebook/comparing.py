"""What a case expects against what was written: a list of differences, in words, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import msgspec
from msgspec import Struct

from fhirbridge.casebook.case import Case, Wanted
from fhirbridge.casebook.playing import Kept, Story
from fhirbridge.casebook.times import parsed, shown
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.effects import Kind
from fhirbridge.core.policy import Pack
from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource

_ROW = re.compile(r"[\w.-]*\w")
_AS_WRITTEN = {Kind.TASK: "requested", Kind.COMMUNICATION: "completed", Kind.FLAG: "active", Kind.CARE_PLAN: "active"}


class Told(Struct, frozen=True, kw_only=True):
    """One thing that was written, in the words of a case. `words` is all that it says to people."""

    on: datetime
    kind: Kind
    action: str
    role: str
    due: datetime | None
    priority: str
    clauses: frozenset[str]
    words: str
    then: str
    then_on: datetime | None

    @property
    def name(self) -> str:
        """`Task contact-patient to lead-professional`."""
        return f"{self.kind} {self.action}" + (f" to {self.role}" if self.role else "")


def told(story: Story, rows: frozenset[str], calendar: Calendar) -> list[Told]:
    """Everything that was written, in the order of first writing; `rows` are the rows that the pack can cite."""
    return [_told(kept, rows, calendar) for kept in story.written.values()]


def _told(kept: list[Kept], rows: frozenset[str], calendar: Calendar) -> Told:
    first, last = kept[0], kept[-1]
    resource = last.resource
    kind = Kind(resource["resourceType"])
    category = resource.get("category", [{}])
    action = _code(resource["code"] if kind in (Kind.TASK, Kind.FLAG) else category[0])
    words = " ".join(_words(resource))
    then, then_on = _became(kept, kind)
    return Told(
        on=first.at,
        kind=kind,
        action=action,
        role=_role(resource, kind),
        due=parsed(resource["restriction"]["period"]["end"], calendar) if kind is Kind.TASK else None,
        priority=resource.get("priority", "routine"),
        clauses=_clauses(kept, rows),
        words=words,
        then=then,
        then_on=then_on,
    )


def _became(kept: list[Kept], kind: Kind) -> tuple[str, datetime | None]:
    """The last status, why, and by whom; empty where it stands as it was written."""
    last = kept[-1]
    status = last.resource["status"]
    if status == _AS_WRITTEN[kind]:
        return "", None
    since = next(one for one in kept if one.resource["status"] == status)
    why = last.resource.get("statusReason", {}).get("coding", [{}])[0].get("code", "")
    words = [status, why, "by staff" if since.by_staff else ""]
    return " ".join(word for word in words if word), since.at


def _role(resource: Resource, kind: Kind) -> str:
    if kind is Kind.TASK:
        return _code(resource["performerType"][0])
    roles = [e["valueCode"] for e in resource.get("extension", []) if e["url"] == canonical.RECIPIENT_ROLE]
    return str(roles[0]) if roles else ""


def _clauses(kept: list[Kept], rows: frozenset[str]) -> frozenset[str]:
    """The rows that the resource cites; of a Flag or CarePlan, which cannot cite any, those of its Provenance."""
    resource = kept[-1].resource
    cited = {i["valueString"] for i in resource.get("input", []) if i["type"]["coding"][0]["code"] == "clause"}
    cited |= {reason["coding"][0]["code"] for reason in resource.get("reasonCode", [])}
    if not cited:
        cited = {row for one in kept for row in _ROW.findall(one.why)} & rows
    return frozenset(cited)


def _words(resource: Resource) -> Iterator[str]:
    yield resource.get("description", "")
    for item in resource.get("input", []):
        yield item.get("valueString", "")
    for item in (*resource.get("payload", []), *resource.get("note", [])):
        yield item.get("contentString", "") or item.get("text", "")
    for point in (activity["detail"] for activity in resource.get("activity", []) if "detail" in activity):
        yield f"{point['description']} is {point['status']}"


def _code(concept: Resource) -> str:
    return str(concept["coding"][0]["code"])


def rows_of(pack: Pack) -> frozenset[str]:
    """The ledger rows that the pack implements."""
    return frozenset(step.row for pathway in pack.pathways for step in pathway.steps)


def differences(case: Case, story: Story, rows: frozenset[str], calendar: Calendar) -> list[str]:
    """How what was written differs from what the case expects; empty when it does not."""
    found = list(_strange_rows(case, rows))
    written = told(story, rows, calendar)
    for action in case.absent:
        found += [f"{case.file}: {one.name} may never be written, but was" for one in written if one.action == action]
    if case.only:
        written = [one for one in written if one.clauses & case.only]
    left = list(written)
    for wanted in case.writes:
        match = _match(wanted, left)
        if match is None:
            found.append(f"{wanted.place}: {_wanted_name(wanted)} on {shown(wanted.on, calendar)} was not written")
        else:
            left.remove(match)
            found += [f"{wanted.place}: {match.name}: {told}" for told in _unlike(wanted, match, calendar)]
    found += [f"{case.file}: not expected: {as_line(one, calendar)}" for one in left]
    found += _facts(case, story, calendar)
    return found


def _strange_rows(case: Case, rows: frozenset[str]) -> Iterator[str]:
    cited = {*case.rows, *case.only, *(clause for wanted in case.writes for clause in wanted.clauses)}
    for row in sorted(cited - rows):
        yield f"{case.file}: {row} is no row that the pack {case.pack} implements"


def _match(wanted: Wanted, left: list[Told]) -> Told | None:
    """The thing that was written that this line means: the same in all, else the first of the same name."""
    same = [one for one in left if (one.kind, one.action, one.role) == (wanted.kind, wanted.action, wanted.role)]
    exact = [one for one in same if one.on == wanted.on]
    return next(iter(exact or same), None)


def _wanted_name(wanted: Wanted) -> str:
    return f"{wanted.kind} {wanted.action}" + (f" to {wanted.role}" if wanted.role else "")


def _unlike(wanted: Wanted, one: Told, calendar: Calendar) -> Iterator[str]:
    for what, expected, found in (
        ("written", wanted.on, one.on),
        ("due", wanted.due, one.due),
        ("ended", wanted.then_on, one.then_on),
    ):
        if expected != found:
            yield f"{what} expected {shown(expected, calendar)}, but {shown(found, calendar)}"
    for what, said, was in (("priority", wanted.priority, one.priority), ("then", wanted.then, one.then)):
        if said != was:
            yield f"{what} expected {said or 'as written'!r}, but {was or 'as written'!r}"
    if wanted.clauses != one.clauses:
        yield f"for expected {', '.join(sorted(wanted.clauses))}, but {', '.join(sorted(one.clauses))}"
    for fragment in wanted.because:
        if fragment not in one.words:
            yield f"because expected {fragment!r} in {one.words!r}"


def _facts(case: Case, story: Story, calendar: Calendar) -> Iterator[str]:
    latest = {fact.source.reference: msgspec.to_builtins(fact) for fact in story.facts}
    for reference, fields in case.facts.items():
        fact = latest.get(reference)
        for name, spot in fields.items():
            if fact is None:
                yield f"{spot.place}: there is no fact of {reference}; there are: {', '.join(sorted(latest))}"
                continue
            value = fact.get(name.replace("-", "_"))
            at = parsed(spot.text(), calendar) if spot.is_text() else None
            expected = at.isoformat().replace("+00:00", "Z") if at else spot.value()
            if value != expected and [value] != spot.texts():
                yield f"{spot.place}: {reference} {name} expected {expected!r}, but {value!r}"


def as_line(one: Told, calendar: Calendar) -> str:
    """A thing that was written, as a line of a case file."""
    kind = {Kind.TASK: "task", Kind.COMMUNICATION: "communication", Kind.FLAG: "flag", Kind.CARE_PLAN: "care-plan"}
    parts = [f"on: {shown(one.on, calendar)}", f"{kind[one.kind]}: {one.action}"]
    if one.role:
        parts.append(f"to: {one.role}")
    if one.due:
        due = shown(one.due, calendar)
        parts.append(f"due: {due.removesuffix(' 23:59:59')}")
    parts.append(f"for: [{', '.join(sorted(one.clauses))}]")
    if one.priority != "routine":
        parts.append(f"priority: {one.priority}")
    if one.then:
        parts.append(f"then: {one.then} on {shown(one.then_on, calendar)}")
    return "{" + ", ".join(parts) + "}"
