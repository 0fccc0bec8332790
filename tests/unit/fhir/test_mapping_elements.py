"""Elements that R4 has not, in paths that find nothing and say nothing."""

from __future__ import annotations

import pytest

from fhirbridge.fhir.mapping_elements import misnamed, standing_on


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("Appointment", "participant.actor.reference"),
        ("Appointment", "Appointment.status"),
        ("Patient", "deceased.ofType(boolean)"),
        ("Patient", "link.where(type = 'seealso').other"),
        ("Consent", "(provision | provision.provision).where(type = 'deny').actor.role.coding.code"),
        ("Encounter", "extension('https://example.org').value.ofType(CodeableConcept).coding"),
        ("EpisodeOfCare", "contained.ofType(Condition).code.coding.first().system"),
        ("Task", "output[0].value.ofType(CodeableConcept).coding.where(system.startsWith('a')).code"),
        ("Observation", "component.modifierExtension.url"),
        ("Task", "-1 + 2"),
        ("Condition", "onset as dateTime"),
    ],
)
def test_elements_of_r4_are_known(resource: str, path: str) -> None:
    assert misnamed(path, resource) == []


@pytest.mark.parametrize(
    ("resource", "path", "name", "within"),
    [
        ("Appointment", "particpant.actor", "particpant", "Appointment"),
        ("Appointment", "participant.actor.ref", "ref", "Reference"),
        ("Patient", "link.where(kind = 'seealso').other", "kind", "Patient.link"),
        ("Patient", "link.where(other.exists(refrence))", "refrence", "Reference"),
        ("Consent", "provision.provision.provision.typ", "typ", "Consent.provision"),
        ("EpisodeOfCare", "contained.ofType(Condition).codes", "codes", "Condition"),
        ("Task", "output.value.ofType(Period).begin", "begin", "Period"),
        ("Task", "status = 'x' and statsu = 'y'", "statsu", "Task"),
        ("Task", "-statsu", "statsu", "Task"),
    ],
)
def test_others_are_named_with_where_they_are_not(resource: str, path: str, name: str, within: str) -> None:
    [found] = misnamed(path, resource)
    assert (found.name, found.within) == (name, within)
    assert found.known


def test_a_path_below_a_path_stands_on_what_that_leads_to() -> None:
    assert standing_on("participant", "CareTeam") == "CareTeam.participant"
    assert misnamed("membr", standing_on("participant", "CareTeam"))[0].known[-1] == "role"
    assert standing_on("participant.exists()", "CareTeam") == ""
