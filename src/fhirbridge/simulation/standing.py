"""How things stand with one person, for a person to read: which pathways run and why, and why the others do not.

The reasons of a run are told once; a step adds only what is new. Pathways that do not run for the same reason share a
line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from fhirbridge.core.accounts import Asked, CaseAccount, Outlook, PathwayAccount, RunAccount, StepAccount
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.decision import Reason, Standing
from fhirbridge.core.effects import Kind, Withdrawal
from fhirbridge.core.facts import Source
from fhirbridge.core.signs import Ending, Sign
from fhirbridge.fhir.wording import display, sentence

_SIGNS = {
    Sign.ATTENDED: "the patient attended",
    Sign.CONTACT: "the patient was in contact",
    Sign.DISCHARGED: "the episode ended",
    Sign.DECEASED: "the patient died",
    Sign.OVER: "what it was about came to an end",
}
_KINDS = {Kind.FLAG: "Flag: ", Kind.CARE_PLAN: "Care plan: "}
_WITHDRAWALS = {
    Withdrawal.RE_ENGAGED: "the patient is back in contact",
    Withdrawal.DISCHARGED: "the episode has ended",
    Withdrawal.DECEASED: "the patient has died",
    Withdrawal.MERGED: "the patient's record was merged into another",
    Withdrawal.NOT_NEEDED: "it is not needed any more",
    Withdrawal.SUPERSEDED: "another took its place",
}


def standing(
    cases: Iterable[CaseAccount], now: datetime, calendar: Calendar, doubts: tuple[Reason, ...] = ()
) -> Iterator[str]:
    """Lines of plain text: every case of one person, as explained at `now`; `doubts` are about the whole record."""
    yield f"How it stands on {calendar.at_time(now)}"
    if doubts:
        yield f"  {_reasons(doubts)}"
    nothing = True
    for case in cases:
        nothing = False
        told: set[tuple[Reason, ...]] = set()
        yield f"  {case.case}"
        for pathway in case.pathways:
            for run in pathway.runs:
                yield from (f"    {line}" for line in _run(pathway, run, told, calendar))
        yield from (f"    {line}" for line in _absent(case.pathways, calendar))
    if nothing:
        yield "  There is no episode, appointment or referral on record."


def _run(pathway: PathwayAccount, run: RunAccount, told: set[tuple[Reason, ...]], calendar: Calendar) -> Iterator[str]:
    state = "has been running since" if run.ending is None else "ran from"
    ended = f" until {_ended(run.ending, calendar)}" if run.ending else ""
    yield f"{_named(pathway)} {state} {calendar.at_time(run.since)}{ended}"
    if run.because:
        yield f"  why: {'as above' if run.because in told else _reasons(run.because)}"
        told.add(run.because)
    for step in run.steps:
        if step.outlook is Outlook.EXISTS:
            yield from (f"  {line}" for line in _existing(step, calendar))
    for outlook, heading in ((Outlook.NOT_YET, "Not yet"), (Outlook.NOT_AT_ALL, "Not called for")):
        grouped = _grouped((_why(step, calendar), step.title) for step in run.steps if step.outlook is outlook)
        if grouped:
            yield f"  {heading}"
        yield from (f"    {'; '.join(titles)}: {why}" for why, titles in grouped.items())


def _existing(step: StepAccount, calendar: Calendar) -> Iterator[str]:
    yield f"{step.title} ({step.row})"
    stood = _grouped((_stands(one, calendar), display(one.role)) for one in step.asked)
    for state, roles in stood.items():
        names = ", ".join(filter(None, roles))
        yield f"  {f'{names}: ' if names else ''}{state}"
    for one in step.withheld:
        yield f"  {display(one.role)}: left out. {_reasons(one.because)}"
    if step.because:
        yield f"  why: {_reasons(step.because)}"


def _stands(one: Asked, calendar: Calendar) -> str:
    """What was asked for and where it stands, in a few words."""
    what = f"{_KINDS.get(one.kind, '')}{display(one.action)}"
    if one.kind is Kind.COMMUNICATION and one.done:
        return f"{what}, sent on {calendar.at_time(one.done)}"
    since = f"{what}, since {calendar.at_time(one.since)}"
    due = f", due {calendar.at_time(one.due)}" if one.due else ""
    if one.standing is Standing.ENDED:
        why = _WITHDRAWALS.get(one.withdrawal or Withdrawal.NOT_NEEDED, "the record was corrected")
        return f"{since}{due}; withdrawn, as {why}"
    late = one.lapsed is not None
    if one.standing is Standing.OPEN:
        return f"{since}{due}; {'open and overdue' if late else 'open'}"
    at = f" on {calendar.at_time(one.done)}" if one.done else ""
    outcome = f": {display(one.outcome).lower()}" if one.outcome else ""
    by = f" [{_version(one.answer)}]" if one.answer else ""
    return f"{since}{due}; answered{' late' if late else ''}{at}{outcome}{by}"


def _absent(pathways: Iterable[PathwayAccount], calendar: Calendar) -> Iterator[str]:
    absent = [pathway for pathway in pathways if not pathway.runs]
    grouped = _grouped(
        (_until(pathway.until, calendar) + _reasons(pathway.because), _named(pathway)) for pathway in absent
    )
    if grouped:
        yield "Does not run"
    yield from (f"  {'; '.join(titles)}: {why}" for why, titles in grouped.items())


def _why(step: StepAccount, calendar: Calendar) -> str:
    withheld = (reason for one in step.withheld for reason in one.because)
    return _until(step.until, calendar) + _reasons(tuple(dict.fromkeys((*step.because, *withheld))))


def _until(until: datetime | None, calendar: Calendar) -> str:
    return f"Not before {calendar.at_time(until)}. " if until else ""


def _ended(ending: Ending, calendar: Calendar) -> str:
    outcome = f" ({display(ending.outcome).lower()})" if ending.outcome else ""
    return f"{calendar.at_time(ending.at)}, when {_SIGNS[ending.sign]}{outcome} [{_version(ending.source)}]"


def _named(pathway: PathwayAccount) -> str:
    return f"“{pathway.title}” ({pathway.clause})" if pathway.clause else f"“{pathway.title}”"


def _reasons(because: tuple[Reason, ...]) -> str:
    """The sentences, each with the versions that it rests on."""
    told = []
    for reason in dict.fromkeys(because):
        sources = ", ".join(_version(source) for source in reason.sources)
        told.append(f"{sentence(reason.says).rstrip('.')} [{sources}]." if sources else sentence(reason.says))
    return " ".join(told)


def _version(source: Source) -> str:
    return f"{source.reference} version {source.version}" if source.version else source.reference


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for why, what in pairs:
        grouped.setdefault(why, []).append(what)
    return grouped
