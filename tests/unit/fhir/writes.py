"""One patient's writes, of every kind and type, for the tests of rendering.

Run as a module, it writes their golden files, which are compared byte for byte. After a change that is meant, run
`.venv/bin/python -m tests.unit.fhir.writes` and read the difference before committing it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fhirbridge.core.decision import Amend, Complete, Create, Obligation, Reason, Standing, Withdraw, Write
from fhirbridge.core.effects import Key, Kind, Started, Withdrawal
from fhirbridge.core.facts import Source
from fhirbridge.core.own import Thing
from fhirbridge.fhir.directory import Contact, Directory, TeamEntry
from fhirbridge.fhir.render import Outgoing, Rendering, render

GOLDEN = Path(__file__).parent / "golden"

NOW = datetime(2026, 3, 28, 10, 5, tzinfo=UTC)
"""Saturday; the clocks go forward in the night that follows."""
SINCE = datetime(2026, 3, 27, 14, 0, tzinfo=UTC)
DUE = datetime(2026, 3, 31, 22, 59, 59, tzinfo=UTC)
"""The end of Tuesday, in summer time."""

MISSED = Source("Appointment", "a2", "3")
EARLIER = Source("Appointment", "a1", "2")
RUN = "0b8f6d3c-8f1e-5a55-9a3e-1d5d3f1f5b10"
PLAN = "5f0d3a52-0d0e-5d2b-8d58-7a5d5a2f9c01"
CANONICAL = "https://fhirbridge.example/fhir/PlanDefinition/rdash-disengagement|1.0.0"
IDENTITIES = {
    Kind.TASK: "1d0c7d62-4f53-5e0c-9b1f-2a4b6d6f8a01",
    Kind.COMMUNICATION: "2e1d8e73-5a64-5f1d-8c2a-3b5c7e7a9b02",
    Kind.FLAG: "3f2e9f84-6b75-5a2e-9d3b-4c6d8f8b0c03",
    Kind.CARE_PLAN: PLAN,
}
BECAUSE = (
    Reason("The appointment on Monday 2 March 2026 at 10:00 was missed", (EARLIER,)),
    Reason("The appointment on Friday 27 March 2026 at 14:00 was missed.", (MISSED,)),
)

DIRECTORY = Directory(
    roles={"gp": Contact(display="Registered GP practice"), "agency": Contact(display="Housing team", ods="RXE01")},
    teams=(
        TeamEntry(
            name="North",
            services=("HealthcareService/north",),
            roles={"lead-professional": Contact(display="North team, duty desk", reference="CareTeam/north")},
        ),
    ),
)
SETTING = Rendering(
    now=NOW,
    directory=DIRECTORY,
    services=("HealthcareService/north",),
    holders={"gp": ("Organization/gp1",)},
    runs={
        RUN: Started(
            identity=RUN, at=SINCE, pack="rdash-disengagement", version="1.0.0", pathway="low", case="e1", since=SINCE
        )
    },
    rows={"rdash-5.3-contact-phone": "rdash-5.3-contact"},
)


def key(kind: Kind, action: str, role: str = "") -> Key:
    return Key(
        patient="Patient/p1", case="e1", pack="rdash-disengagement", kind=kind, action=action, role=role, scope="spell"
    )


def obligation(kind: Kind, action: str, role: str = "", **changes: Any) -> Obligation:
    plain = Obligation(
        identity=IDENTITIES[kind],
        key=key(kind, action, role),
        run=RUN,
        pathway="low",
        canonical=CANONICAL,
        steps=("rdash-5.3-contact-phone",),
        clauses=("rdash-5.3-contact",),
        since=SINCE,
        standing=Standing.OPEN,
        title="Phone the patient and offer another appointment",
        description="Use every number on record; leave a message that says nothing about the service.",
        due=DUE if kind is Kind.TASK else None,
        because=BECAUSE,
        evidence=(EARLIER, MISSED),
        trigger=MISSED,
    )
    return replace(plain, **changes)


def thing(about: Obligation, **changes: Any) -> Thing:
    plain = Thing(
        identity=about.identity,
        key=about.key,
        run=about.run,
        pathway=about.pathway,
        steps=about.steps,
        since=about.since,
        due=about.due,
        priority=about.priority,
        written=NOW,
        evidence=about.evidence,
    )
    return replace(plain, **changes)


TASK = obligation(Kind.TASK, "contact-patient", "lead-professional", plan=PLAN)
LETTER = obligation(
    Kind.COMMUNICATION,
    "contact-us-letter",
    "patient",
    title="Letter: please contact us",
    description="We have missed you at your last two appointments. Please ring us; we would like to hear how you are.",
    medium="post",
    reply_within="P1W",
)
NOTICE = obligation(
    Kind.COMMUNICATION, "no-contact-notice", "gp", title="No contact", description="We could not reach the patient."
)
FLAG = obligation(Kind.FLAG, "disengagement-risk", title="May be disengaging", description="")
CARE_PLAN = obligation(
    Kind.CARE_PLAN,
    "joint-action-plan",
    title="Joint action plan",
    description="Agreed with referrer, GP and agencies.",
    activities=(TASK.identity,),
)
OBLIGATIONS = (TASK, LETTER, FLAG, CARE_PLAN)
ANSWERED = {"standing": Standing.ANSWERED, "answer": Source("Task", "t9", "2"), "outcome": "contact-made"}
LATER = replace(SETTING, now=NOW + timedelta(days=2))
CORRECTED = (
    Reason("The appointment on Friday 27 March 2026 is now recorded as attended", (Source("Appointment", "a2", "4"),)),
)

AMENDED = replace(
    TASK,
    steps=(*TASK.steps, "rdash-5.2-attempts"),
    clauses=(*TASK.clauses, "rdash-5.2-attempts"),
    due=datetime(2026, 3, 30, 9, 0, tzinfo=UTC),
    priority="urgent",
)


def amend(about: Obligation) -> Amend:
    more = ("4a3f8a95-7c86-5b3f-8e4c-5d7e9a9c1d04",) if about.kind is Kind.CARE_PLAN else ()
    changes = {"clauses": (*about.clauses, "rdash-5.2-attempts"), "activities": (*about.activities, *more)}
    return Amend(thing(about), replace(about, priority="urgent", **changes))


def complete(about: Obligation) -> Complete:
    return Complete(thing(about), replace(about, **ANSWERED))


def withdraw(about: Obligation, reason: Withdrawal = Withdrawal.CORRECTED) -> Withdraw:
    return Withdraw(thing(about), reason, CORRECTED, ())


def every_write() -> dict[str, tuple[Write, Rendering]]:
    """Every kind of write for every type, by name."""
    writes: dict[str, tuple[Write, Rendering]] = {}
    for about in OBLIGATIONS:
        writes[f"create-{about.kind.value}"] = Create(about), SETTING
        writes[f"amend-{about.kind.value}"] = amend(about), LATER
        writes[f"complete-{about.kind.value}"] = complete(about), LATER
        writes[f"withdraw-{about.kind.value}"] = withdraw(about), LATER
    writes["create-Communication-handed-over"] = Create(NOTICE), replace(SETTING, handed_over=True)
    return writes


def shown(outgoing: Outgoing) -> str:
    """The row as the golden file has it."""
    parts = {"before": outgoing.before, "depends": outgoing.depends}
    told = {"resource": outgoing.resource, "provenance": outgoing.provenance}
    return json.dumps({**parts, **told}, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, (write, setting) in every_write().items():
        (GOLDEN / f"{name}.json").write_text(shown(render(write, setting)))
