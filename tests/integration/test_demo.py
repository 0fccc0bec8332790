"""`fhirbridge demo --exit`: the whole of it, against the real sample EPR."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fhirbridge.demo.people import read_caseload
from tests.servers.demo import REPORT

pytestmark = pytest.mark.slow

WITHIN = 150
"""Seconds; a machine that runs other tests meanwhile is slow."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which it is noted what is not valid of what the demonstration leaves in its EPR."""
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, report: Path) -> subprocess.CompletedProcess[str]:
    """The demonstration, in surroundings where a service of one's own is set up: that is no business of it."""
    folder = tmp_path_factory.mktemp("demo")
    surroundings = {
        **os.environ,
        "TMPDIR": str(folder),
        "FHIRBRIDGE_DATABASE_URL": "sqlite:////nonesuch/mine.db",
        "FHIRBRIDGE_PORT": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-m", "tests.servers.demo", str(report), "demo", "--exit"]
    done = subprocess.run(
        command, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=WITHIN, check=False
    )
    assert list(folder.iterdir()) == []
    return done


@pytest.fixture(scope="module")
def account(played: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What was told of each person, by id, on one line."""
    people = read_caseload().people
    parts = re.split("|".join(rf"\n{person.name} \(NHS number " for person in people), played.stdout)[1:]
    return {person.id: " ".join(part.split()) for person, part in zip(people, parts, strict=True)}


def test_it_ends_well(played: subprocess.CompletedProcess[str]) -> None:
    assert played.returncode == 0, played.stderr


def test_what_it_leaves_in_the_epr_is_valid(played: subprocess.CompletedProcess[str], report: Path) -> None:
    found = json.loads((report / REPORT).read_text())

    assert found["written"] > 50
    assert found["letters"] > 5
    assert found["faults"] == []


@pytest.mark.parametrize(
    ("person", "said"),
    [
        ("amina-okafor", ["asks the lead professional: “Contact the patient", "no answer", "writes to the patient"]),
        ("amina-okafor", ["Fri 27 Mar 15:00", "Arrange a multidisciplinary team meeting"]),
        ("ben-hartley", ["message left", "Try the family", "writes to the patient"]),
        ("chloe-martin", ["contact made", "Offer another appointment", "closes “Offer another appointment”"]),
        ("dev-patel", ["deteriorated", "Step the patient up"]),
        ("elsie-ward", ["well wants discharge", "Manage the discharge"]),
        ("femi-adeyemi", ["Contact the patient", "withdraws “Contact the patient", "Withdrawn (corrected)"]),
        ("grace-lindqvist", ["cancelled by provider", "fhirbridge writes nothing"]),
        ("harry-osborne", ["fhirbridge writes nothing"]),
        ("isla-mackenzie", ["Try to contact the patient today", "writes to Riverside Surgery"]),
        (
            "isla-mackenzie",
            ["follows the delivery of", "Handed over on", "Received on Wednesday 4 March 2026 at 10:00"],
        ),
        ("olu-bankole", ["Confirm by telephone that", "Riverside Surgery does not take it", "Patient not known here"]),
        ("jack-thompson", ["Contact the patient", "withdraws “Contact the patient", "Withdrawn (re-engaged)"]),
        ("kofi-mensah", ["no answer", "writes to the patient"]),
        ("lena-fischer", ["Contact the patient", "Withdrawn (corrected)", "asks the lead professional: “Contact"]),
        ("mohan-rai", ["it counts as unknown", "Offer another appointment"]),
        ("nia-evans", ["the patient writes", "Withdrawn (re-engaged)"]),
    ],
)
def test_each_story_is_told_in_order(account: dict[str, str], person: str, said: list[str]) -> None:
    at = 0
    for words in said:
        found = account[person].find(words, at)
        assert found >= 0, f"{words!r} is missing after {account[person][:at][-80:]!r} in {account[person]}"
        at = found + len(words)


def test_the_family_is_left_alone_where_sharing_is_refused(account: dict[str, str]) -> None:
    assert "Try the family" not in account["kofi-mensah"]


def test_it_says_where_to_look(played: subprocess.CompletedProcess[str]) -> None:
    assert re.search(r"http://127\.0\.0\.1:\d+/fhir/Task\?patient=Patient/amina-okafor", played.stdout)
    assert "/readyz" in played.stdout
    assert re.search(r"console, in a browser \(name: demo, password: \S+\)\n +http://127\.0\.0\.1:\d+\n", played.stdout)
    assert re.search(r"Authorization: Bearer \S+'\)\n +http://127\.0\.0\.1:\d+/fhir/Task\?patient=", played.stdout)
