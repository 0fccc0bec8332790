"""All that somebody has to see to, on the stage of the console."""

from __future__ import annotations

from datetime import timedelta

from fhirbridge.core.effects import Held, Kind
from fhirbridge.core.gaps import Cause, Gap
from fhirbridge.core.own import fold
from tests.unit.web.stage import NOON, Stage, enter

HELD_FOR = timedelta(minutes=20)


async def trouble(stage: Stage, identity: str = "p1") -> None:
    """A gap that a step waits for, a write held back, and records that cannot be read; about somebody who is known."""
    subject, now = stage.subject(identity), stage.clock.time
    patient = {"reference": subject.patient}
    who = [{"actor": patient, "status": "accepted"}]
    privacy = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
    unsaid = {"status": "active", "patient": patient, "scope": privacy, "category": [{"text": "sharing"}]}
    await enter(
        stage,
        {"resourceType": "Consent", "id": "unsaid", **unsaid},
        {"resourceType": "Appointment", "id": "not-so", "status": "not-so", "participant": who},
    )
    known = await stage.store.load(subject)
    task = next(one for one in fold(known.effects).things.values() if one.key.kind is Kind.TASK)
    why = "It was written 12 times within an hour."
    held = Held(identity=task.identity, at=now, until=now + HELD_FOR, why=why)
    await stage.store.commit(
        subject, effects=[held], outgoing=(), wakes_at=None, decided_at=now, revision=known.revision
    )
    for kind in ("Appointment", "Encounter"):
        gap = Gap(epr="main", type=kind, feed="rest-hook", cause=Cause.ERROR, since=NOON, until=NOON)
        await stage.store.gaps.found(gap)
    await stage.store.gaps.hold(subject)
