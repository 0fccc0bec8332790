"""Corrections that the sharing gate keeps from somebody, and why: a part of the explanation, which leaves nobody out.

A step that is kept from a role says so itself (`accounts.StepAccount.withheld`); a correction belongs to no step.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from fhirbridge.core.accounts import Withheld
from fhirbridge.core.cases import Case
from fhirbridge.core.corrections import corrections
from fhirbridge.core.decision import Reason
from fhirbridge.core.findings import Finding
from fhirbridge.core.looking import Looking
from fhirbridge.core.own import Own, Thing
from fhirbridge.core.policy import Pack
from fhirbridge.core.runs import Runs
from fhirbridge.core.sharing import may_be_told
from fhirbridge.core.spells import Course, Scope, course
from fhirbridge.core.timeline import Record


class WithheldCorrection(Struct, frozen=True):
    """Somebody was told what no longer stands, and is not told that; `wrong` is what they would have been told."""

    case: str
    withheld: Withheld
    wrong: tuple[Reason, ...]


def withheld_corrections(pack: Pack, record: Record, own: Own, now: datetime) -> tuple[WithheldCorrection, ...]:
    """Those owed at this instant (UTC) that the gate holds back; arguments as for `decide`."""
    gate = _Gate(pack, record, own, now)
    courses = Looking(gate).everything()
    closed: dict[tuple[str, str], Finding] = {}

    def is_withheld(thing: Thing) -> bool:
        each = next((each for each in courses if thing.key.case in each.case.names), None)
        finding = gate.finding(thing.key.role, each or course(Case(id=record.patient), record, own, now, pack.late))
        closed[thing.key.case, thing.key.role] = finding
        return not finding.holds

    return tuple(
        WithheldCorrection(owed.key.case, Withheld(owed.role, closed[owed.key.case, owed.role].because), owed.because)
        for owed in corrections(pack, record, own, is_withheld)
    )


class _Gate(Runs):
    """The runs of a decision, asked who may be told."""

    def finding(self, role: str, each: Course) -> Finding:
        """Whether the role may be told anything of the case now, and why not."""
        scope = Scope(name="episode", start=each.case.begun, whole_case=True)
        return may_be_told(role, self._scene(each, scope, [], (), patient_wide=False))
