"""How long a decision takes on one core: a case of 40 facts, with no pathway running and with two."""

from __future__ import annotations

import gc
import time
from datetime import UTC, datetime, timedelta

from fhirbridge.core.decide import decide
from fhirbridge.core.facts import AnyFact, Appointment, AppointmentState, Episode, Signal, Source
from fhirbridge.core.own import NOTHING, Own, fold
from fhirbridge.core.policy import Pack
from fhirbridge.core.reconcile import effects_of, reconcile
from fhirbridge.core.timeline import Record

FACTS = 40
_OPENED = datetime(2025, 1, 6, 9, tzinfo=UTC)
_PATIENT = "Patient/p"


def case(missed: int) -> tuple[list[AnyFact], datetime]:
    """An episode with the absence of risk recorded and 19 appointments in two versions, the last ones missed."""
    facts: list[AnyFact] = [
        Episode(
            source=Source("EpisodeOfCare", "e", "1"),
            known=_OPENED,
            patient=_PATIENT,
            status="active",
            start=_OPENED,
            services=("Organization/team",),
        ),
        Signal(source=Source("Flag", "f", "1"), known=_OPENED, patient=_PATIENT, signals=("risk-none",), start=_OPENED),
    ]
    visits = (FACTS - len(facts)) // 2
    now = _OPENED
    for index in range(visits):
        now = _OPENED + timedelta(days=14 * (index + 1))
        ended = AppointmentState.MISSED if index >= visits - missed else AppointmentState.ATTENDED
        for version, (known, state) in enumerate(((now - timedelta(days=7), AppointmentState.BOOKED), (now, ended)), 1):
            facts.append(
                Appointment(
                    source=Source("Appointment", f"a{index}", str(version)),
                    known=known,
                    patient=_PATIENT,
                    state=state,
                    start=now,
                    end=now + timedelta(minutes=50),
                    services=("Organization/team",),
                )
            )
    return facts, now + timedelta(hours=1)


def measured(pack: Pack) -> dict[str, float]:
    """Microseconds: for building the record of 40 facts, and for deciding on it; the best of five rounds."""
    found = {}
    for name, missed in (("none running", 0), ("two running", 2)):
        facts, now = case(missed)
        record = Record.of(facts)
        own = _carried_out(pack, record, now)
        running = len({(run.pathway, run.case) for run in own.runs.values()})
        expected = len({run.pathway for run in decide(pack, record, NOTHING, now).started})
        found[f"record, {name}"] = _best(lambda facts=facts: Record.of(facts))
        found[f"decide, {name}"] = _best(lambda record=record, own=own, now=now: decide(pack, record, own, now))
        found[f"pathways, {name}"] = float(max(running, expected))
    return found


def _carried_out(pack: Pack, record: Record, now: datetime) -> Own:
    decision = decide(pack, record, NOTHING, now)
    return fold(effects_of(decision, reconcile(decision, NOTHING, record), now))


def _best(work: object, rounds: int = 5, times: int = 300) -> float:
    best = float("inf")
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            start = time.process_time()
            for _ in range(times):
                work()  # type: ignore[operator]
            best = min(best, (time.process_time() - start) / times)
    finally:
        gc.enable()
    return best * 1e6
