"""What the record says that a Task has to carry, assembled under headings.

Each detail is what is known under one heading, with the versions it comes from; what the record does not hold is named
as missing, so that nobody takes silence for an answer.
"""

from __future__ import annotations

from collections.abc import Callable

from fhirbridge.core.answers import answers
from fhirbridge.core.attribution import happened_at
from fhirbridge.core.conditions.endings import SharingPermitted
from fhirbridge.core.conditions.risk import risk
from fhirbridge.core.decision import Detail
from fhirbridge.core.facts import Source
from fhirbridge.core.history import BEGINNING
from fhirbridge.core.messages import check_ins
from fhirbridge.core.scene import Scene
from fhirbridge.core.vocabulary import CONTACTS_PATIENT, OUTCOMES

_MISSING = "not held in the record"

_FACTORS = {
    "history of self-harm": frozenset({"self-harm-risk"}),
    "risk to life": frozenset({"immediate-risk", "risk-high", "risk"}),
    "safeguarding": frozenset({"safeguarding-adult", "safeguarding-child"}),
}
_UNREAD_FACTORS = (
    "neurodiversity",
    "history of mental illness",
    "growing isolation",
    "life circumstances",
    "recent or pending change",
)


def details(name: str, scene: Scene) -> tuple[Detail, ...]:
    """The details of this summary (one of `SUMMARIES`) for the scene's case."""
    return _SUMMARIES[name](scene)


def told(found: tuple[Detail, ...]) -> str:
    """The details as sentences, heading first."""
    return " ".join(f"{d.heading[0].upper()}{d.heading[1:]}: {d.says}." for d in found)


def _discharge(scene: Scene) -> tuple[Detail, ...]:
    return (
        Detail("reason", "unplanned discontinuation or inactivity", _because(scene)),
        _last_session(scene),
        Detail("treatment focus", _MISSING),
        Detail("goals", _MISSING),
        Detail("progress", _MISSING),
        _last_risk(scene),
        _efforts(scene),
    )


def _because(scene: Scene) -> tuple[Source, ...]:
    return scene.run.triggers if scene.run is not None else ()


def _last_session(scene: Scene) -> Detail:
    attended = [v for v in scene.visits if v.attended(scene.ref)]
    if not attended:
        return Detail("last session", "none was attended")
    return Detail("last session", scene.calendar.on_date(attended[-1].at), (attended[-1].source,))


def _last_risk(scene: Scene) -> Detail:
    if scene.scope.start == BEGINNING:
        return Detail("risk at the last contact", _MISSING)
    day = scene.calendar.local(scene.scope.start).date()
    state, because = risk(scene, min(scene.calendar.end_of_day(day), scene.ref))
    sources = tuple(source for reason in because for source in reason.sources)
    return Detail("risk at the last contact", state if state != "unknown" else _MISSING, sources)


def _efforts(scene: Scene) -> Detail:
    """Every check-in message and every attempt to reach the patient since the last sign of them, with its date."""
    sent = [
        (at, "check-in message", source)
        for at, source in check_ins(scene.record, scene.course.case, scene.scope.start, scene.ref)
    ]
    asked = {
        task.latest.source: task.latest.actions
        for task in scene.record.tasks
        if not CONTACTS_PATIENT.isdisjoint(task.latest.actions) and scene.scope.start < happened_at(task) <= scene.ref
    }
    tried = [
        (at, f"{asked[source][0]} ({outcome})", source)
        for at, outcome, source in answers(scene.course, scene.record, scene.own, OUTCOMES)
        if source in asked
    ]
    efforts = sorted((*sent, *tried))
    if not efforts:
        return Detail("efforts made to re-engage", "none on record")
    listed = "; ".join(f"{what} on {scene.calendar.on_date(at)}" for at, what, _ in efforts)
    return Detail("efforts made to re-engage", listed, tuple(source for _, _, source in efforts))


def _risk_factors(scene: Scene) -> tuple[Detail, ...]:
    held = [
        (factor, [s for s in scene.record.signals if s.code in codes and BEGINNING < s.start <= scene.ref])
        for factor, codes in _FACTORS.items()
    ]
    known = [(factor, spans) for factor, spans in held if spans]
    found = ", ".join(factor for factor, _ in known) or "none"
    sources = tuple(dict.fromkeys(span.source for _, spans in known for span in spans))
    absent = [factor for factor, spans in held if not spans]
    return (
        Detail("risk factors found in the record", found, sources),
        Detail("risk factors to ask about, not recorded", ", ".join((*absent, *_UNREAD_FACTORS))),
    )


def _legal(scene: Scene) -> tuple[Detail, ...]:
    words = {
        "section-117": "eligible for section 117 aftercare",
        "community-treatment-order": "community treatment order",
        "conditional-discharge": "conditional discharge",
        "capacity-doubt": "capacity in doubt",
    }
    live = [s for s in scene.record.signals if s.code in words and s.holds(scene.ref)]
    says = ", ".join(dict.fromkeys(words[s.code] for s in live)) or _MISSING
    return (Detail("legal status in the record", says, tuple(s.source for s in live)),)


def _sharing(scene: Scene) -> tuple[Detail, ...]:
    if not scene.completed("agree-safety-plan"):
        return (Detail("safety plan", "none has been agreed"),)
    found = [(audience, SharingPermitted(audience).find(scene)) for audience in ("agency", "gp")]
    sources = tuple(source for _, finding in found for reason in finding.because for source in reason.sources)
    says = ", ".join(f"{'shared' if f.holds else 'not shared'} with the {_AUDIENCES[a]}" for a, f in found)
    unless = "" if all(f.holds for _, f in found) else " (no consent on record permits it)"
    return (Detail("safety plan", says + unless, sources),)


_AUDIENCES = {"agency": "agencies", "gp": "GP"}

_SUMMARIES: dict[str, Callable[[Scene], tuple[Detail, ...]]] = {
    "summary": _discharge,
    "risk-factors": _risk_factors,
    "legal": _legal,
    "safety-plan": _sharing,
}

SUMMARIES = frozenset(_SUMMARIES)
"""Names that texts may use for these summaries."""
