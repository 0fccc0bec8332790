"""While a gap is open at the EPR, the service asks for nothing new towards a discharge; once it is closed, it does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fhirbridge.core.gaps import Cause, Gap
from fhirbridge.core.vocabulary import BASE
from fhirbridge.ports import Resource
from tests.unit.stage import PATIENT, START, Stage

GAP = Gap(epr="main", type="Appointment", feed="rest-hook", cause=Cause.ERROR, since=START, until=START)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def answered(stage: Stage, outcome: str) -> None:
    """Two misses, and what the phone call came to, when a gap had opened."""
    await stage.low_risk_patient()
    await stage.two_misses()
    await stage.settle()
    [task] = await stage.tasks()
    await stage.store.gaps.found(GAP)
    stage.clock.time += timedelta(hours=3)
    output = {"coding": [{"system": f"{BASE}/CodeSystem/outcome", "code": outcome}]}
    answer = {"type": {"text": "outcome"}, "valueCodeableConcept": output}
    await stage.enter({**task, "status": "completed", "output": [answer]})
    await stage.settle()


async def closed(stage: Stage) -> None:
    now = stage.clock.now()
    await stage.store.gaps.covered("main", GAP.type, GAP.since, now, now)
    assert await stage.store.gaps.close("main", now) == [GAP]


async def codes(stage: Stage) -> set[str]:
    found: list[Resource] = await stage.tasks()
    return {task["code"]["coding"][0]["code"] for task in found}


async def test_a_discharge_is_not_planned_until_the_gap_is_closed(stage: Stage) -> None:
    await answered(stage, "well-wants-discharge")
    assert "planned-discharge" not in await codes(stage)

    await closed(stage)
    assert await stage.service.due() == [PATIENT]
    await stage.settle()
    assert "planned-discharge" in await codes(stage)


async def test_the_patient_is_written_to_all_the_same(stage: Stage) -> None:
    await answered(stage, "no-answer")
    letters = [one async for one in stage.epr.search("Communication", {"patient": "Patient/p1"})]
    assert [letter["category"][0]["coding"][0]["code"] for letter in letters] == ["opt-in-letter"]
    await closed(stage)
    assert await stage.service.due() == []


async def test_a_gap_that_closes_before_the_decision_is_kept_leaves_nothing_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = stage.store.gaps.hold

    async def too_late(subject: object) -> bool:
        monkeypatch.setattr(stage.store.gaps, "hold", hold)
        await closed(stage)
        return await hold(PATIENT)

    monkeypatch.setattr(stage.store.gaps, "hold", too_late)
    await answered(stage, "well-wants-discharge")
    assert "planned-discharge" in await codes(stage)
