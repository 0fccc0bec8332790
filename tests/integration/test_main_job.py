"""The main job against a real EPR with real subscriptions: staff enter, the EPR notifies, the service writes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.loopback import free_port
from tests.servers.caseload import Staff
from tests.servers.fhirbridge import environment, eventually, ready, running
from tests.servers.sekmet import sekmet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staff]:
    """Staff at an EPR that a service watches."""
    folder = tmp_path_factory.mktemp("main-job")
    port = free_port()
    with (
        sekmet(folder) as epr_url,
        running("serve", environment(folder, port, epr_url), folder),
    ):
        ready(port, folder / "serve.log")
        staff = Staff(epr_url)
        yield staff
        staff.close()


def test_two_missed_appointments_become_a_task_with_its_provenance(served: Staff) -> None:
    patient = served.low_risk_patient()
    served.appointment(patient, "noshow", 8)
    served.appointment(patient, "noshow", 1)

    [task] = eventually(lambda: served.tasks(patient, "contact-patient"))

    assert task["status"] == "requested"
    assert task["for"]["reference"] == patient
    assert task["restriction"]["period"]["end"]
    [provenance] = served.search("Provenance", target=f"Task/{task['id']}")
    assert provenance["policy"][0].startswith("https://fhirbridge.example/fhir/PlanDefinition/rdash-disengagement|")
    assert all("/_history/" in entity["what"]["reference"] for entity in provenance["entity"])


def test_the_task_answered_no_answer_becomes_the_next_step(served: Staff) -> None:
    patient = served.low_risk_patient()
    relation = {
        "resourceType": "RelatedPerson",
        "active": True,
        "patient": {"reference": patient},
        "relationship": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "MTH"}]}],
        "telecom": [{"system": "phone", "value": "0000 000000"}],
    }
    served.create(relation)
    served.appointment(patient, "noshow", 8)
    served.appointment(patient, "noshow", 1)
    [task] = eventually(lambda: served.tasks(patient, "contact-patient"))

    served.answer(task, "no-answer")

    [following] = eventually(lambda: served.tasks(patient, "contact-family"))
    assert following["status"] == "requested"
    assert served.read(f"Task/{task['id']}")["status"] == "completed"


def test_the_appointment_corrected_to_fulfilled_cancels_the_task(served: Staff) -> None:
    patient = served.low_risk_patient()
    served.appointment(patient, "noshow", 8)
    missed = served.appointment(patient, "noshow", 1)
    [task] = eventually(lambda: served.tasks(patient, "contact-patient"))

    served.change(missed, status="fulfilled")

    def cancelled() -> bool:
        return bool(served.read(f"Task/{task['id']}")["status"] == "cancelled")

    eventually(cancelled)
    [withdrawn] = served.tasks(patient, "contact-patient")
    assert withdrawn["statusReason"]["coding"][0]["code"] == "corrected"
