"""The beginnings of a mapping: files that work as they are, and say in comments what to change."""

from __future__ import annotations

from fhirbridge.fhir.mapping import Mapping

_MAPPING = """\
# How to read the records of this EPR: what differs from {extends}. Everything else is taken over from there.
# `fhirbridge mapping check {name}` finds what is wrong; `fhirbridge mapping try FILE --mapping {name}` shows what
# a record of yours gives, and which line gave it.

mapping: {name}
version: 0.1.0
title: {name}
extends: {extends}
# time-zone: Europe/London       # of dates without a time; taken over if left out

# A rule of the same name as one of {extends} is overlaid field by field. A field is a FHIRPath, or a list of ways that
# are tried in order. Take the comment signs off to use this one:
#
# rules:
#   appointment:
#     fields:
#       # The appointment really began when this extension of the EPR says so.
#       start:
#         - extension('https://{name}.example/real-start').value.ofType(dateTime)
#         - start
"""

_CODES = """\
# Who cancelled an appointment, by this EPR's own reasons. They are asked before those of {extends}.
# Write the system and the codes that your records carry; `fhirbridge mapping try` lists those that nobody knows.
# `*` stands for anything, in systems and codes.
- system: https://{name}.example/CodeSystem/cancellation-reason
  to:
    UNWELL: cancelled-by-patient
    STAFF-SICK: cancelled-by-provider
"""

_TESTS = """\
# What the mapping has to make of this EPR's records. Put in one of yours for each thing that differs, without
# anything that could tell who it is about. Only the fields that `expect` names are compared.
tests:
  - name: a no-show is missed
    resource:
      resourceType: Appointment
      status: noshow
      start: "2026-01-05T09:00:00Z"
      participant: &who [{{actor: {{reference: Patient/p1}}, status: accepted}}]
    expect: {{fact: appointment, state: missed}}
  - name: this EPR's own reason for a cancellation by the patient
    resource:
      resourceType: Appointment
      status: cancelled
      cancelationReason:
        coding: [{{system: "https://{name}.example/CodeSystem/cancellation-reason", code: UNWELL}}]
      participant: *who
    expect: {{state: cancelled-by-patient}}
"""

_DIRECTORY = """\
# Who stands behind the roles that policies name; taken instead of the directory of {extends}. An entry has a display
# (words), then either reference (Type/id in the EPR) or ods (an organisation's ODS code), and medium (post, email,
# online, phone, electronic, written). A role that nobody resolves is written with its words alone.
roles:
  team-manager:
    display: Team manager
    # reference: PractitionerRole/…
# One entry for each team, found by any of the keys that its cases carry.
teams: []
#  - name: Community mental health team
#    services: [HealthcareService/…]
#    roles:
#      team-manager: {{display: Manager of the community team, reference: PractitionerRole/…}}
"""

_README = """\
# The {name} mapping

Extends `{extends}`. What differs, where that was read or seen, and what is not sure yet:

| what | how it is here | known from |
| --- | --- | --- |
| reasons for a cancellation | own code system | an example: replace it |
"""


def starter(name: str, extends: str, parent: Mapping) -> dict[str, str]:
    """The files of a new mapping `name` by their path in its folder; `extends` is how its parent was called."""
    told = {"name": name, "extends": extends if extends == parent.name else f'"{extends}"'}
    return {
        "mapping.yaml": _MAPPING.format(**told),
        "codes/cancellation.yaml": _CODES.format(**told),
        "tests.yaml": _TESTS.format(**told),
        "directory.yaml": _DIRECTORY.format(**told),
        "README.md": _README.format(**told),
    }
