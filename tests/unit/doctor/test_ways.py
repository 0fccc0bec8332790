"""What the doctor makes of the ways to people: found before the first letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fhirbridge.doctor.findings import Finding, Level
from fhirbridge.doctor.ways import of_ways
from fhirbridge.fhir.directory_file import load_directory, read_directory
from fhirbridge.settings import PostSettings, Settings
from fhirbridge.shipped import folder

DIRECTORY = read_directory(
    {
        "organisations": [
            {"ods": "A81001", "name": "Surgery", "channel": "fhir", "endpoint": "https://gp.example/fhir"},
            {"ods": "A81002", "name": "Centre", "channel": "mesh"},
        ],
        "roles": {"patient": {"channel": "post"}},
        "teams": [
            {
                "name": "North",
                "services": ["CareTeam/n"],
                "roles": {"health-visitor": {"channel": "post", "address": ["1 Street"]}},
            }
        ],
    },
    "directory.yaml",
)


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.checked: finding for finding in of_ways(settings, DIRECTORY)}


def receiver(endpoint: str) -> dict[str, Any]:
    return {"surgery": {"endpoint": endpoint, "secret": "x" * 16}}


def test_a_channel_that_is_asked_for_and_not_set_up_is_named_with_whom_it_should_reach() -> None:
    findings = found(Settings())
    assert set(findings) == {"post", "fhir", "mesh"}
    assert all(finding.level is Level.LACKING for finding in findings.values())
    assert findings["post"].found.startswith("health-visitor of North, patient should be reached by post")
    assert findings["post"].remedy.startswith("set post.folder")


def test_what_is_set_up_is_fine(tmp_path: Path) -> None:
    settings = Settings(post=PostSettings(folder=tmp_path), receivers=receiver("https://gp.example/fhir/"))
    findings = found(settings)
    assert set(findings) == {"mesh", "receivers"}
    assert (findings["receivers"].level, findings["receivers"].found) == (Level.FINE, "1 configured")


def test_an_endpoint_that_no_receiver_has_is_named() -> None:
    finding = found(Settings(receivers=receiver("https://other.example/fhir")))["receivers"]
    assert finding.level is Level.LACKING
    assert finding.found == "no receiver has the endpoint of Surgery"


def test_a_file_of_practices_that_is_wrong_is_found(tmp_path: Path) -> None:
    file = tmp_path / "practices.csv"
    assert found(Settings(practices=file))["practices"].level is Level.LACKING
    file.write_text("nhs_number,ods\n9990000018,A81001\n")
    assert found(Settings(practices=file))["practices"].level is Level.FINE


def test_the_shipped_directory_asks_for_nothing() -> None:
    shipped = load_directory(folder("mappings") / "uk-core" / "directory.yaml")
    assert list(of_ways(Settings(), shipped)) == []
