"""A certificate that has expired and a mailbox that is none are found before the first letter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fhirbridge.adapters.system_clock import SystemClock
from fhirbridge.doctor import Level
from fhirbridge.doctor.mesh import of_certificates, of_mesh
from fhirbridge.errors import ConfigurationError
from fhirbridge.settings import EprSettings, Settings, read_settings
from fhirbridge.wiring.mesh import mesh_of
from tests.loopback import free_port

NOW = datetime(2026, 3, 28, tzinfo=UTC)
MESH: dict[str, Any] = {
    "url": "http://127.0.0.1:9",
    "mailbox": "X26ABC1",
    "password": "s3cr3t",
    "shared_key": "k3y",
    "ods": "X26",
}
LETTERS = {"name": "Test Trust", "address": ["1 Road"], "phone": "01632 960001", "crisis_phone": "0808 157 0001"}
EPR = EprSettings.model_validate({"base_url": "https://epr.example/fhir"})


def certificate(file: Path, until: datetime) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(until - timedelta(days=365))
        .not_valid_after(until)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file


def settings(**mesh: Any) -> Settings:
    return Settings.model_validate({"letters": LETTERS, "mesh": {**MESH, **mesh}})


@pytest.mark.parametrize(
    ("days", "level", "told"),
    [
        (-1, Level.LACKING, "good until 27 March 2026: expired"),
        (29, Level.ATTENTION, "26 April 2026"),
        (31, Level.FINE, "28 April 2026"),
    ],
)
def test_how_long_a_certificate_is_good_for(tmp_path: Path, days: int, level: Level, told: str) -> None:
    file = certificate(tmp_path / "mesh.pem", NOW + timedelta(days=days))
    (finding,) = of_certificates(settings(certificate=str(file)), "trust", EPR, NOW)
    assert (finding.checked, finding.level) == ("mesh.certificate", level)
    assert finding.found.endswith(told)


def test_the_certificate_shown_to_the_epr_counts_too(tmp_path: Path) -> None:
    file = certificate(tmp_path / "epr.pem", NOW)
    auth = {"kind": "mtls", "certificate": str(file)}
    epr = EprSettings.model_validate({"base_url": "https://epr.example/fhir", "auth": auth})
    (finding,) = of_certificates(Settings(), "trust", epr, NOW)
    assert (finding.checked, finding.level) == ("eprs.trust.auth.certificate", Level.LACKING)


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "mesh.pem").write_text("no certificate")
    for file, told in (("mesh.pem", "holds no certificate in PEM"), ("none.pem", "cannot be read")):
        (finding,) = of_certificates(settings(certificate=str(tmp_path / file)), "trust", EPR, NOW)
        assert finding.level is Level.LACKING
        assert told in finding.found


@pytest.mark.parametrize("mailbox", ["01632960001", "01632 960001", "x26abc1", ""])
def test_a_telephone_number_as_mailbox_is_named(tmp_path: Path, mailbox: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"letters": LETTERS, "mesh": {**MESH, "mailbox": mailbox}}))
    with pytest.raises(ConfigurationError, match=r"mesh\.mailbox: is no MESH mailbox; .* not a telephone number"):
        read_settings(file)


async def test_a_mesh_that_does_not_answer_is_a_finding_without_secrets() -> None:
    one = settings(url=f"http://127.0.0.1:{free_port()}", timeout=5)
    (finding,) = await of_mesh(one, mesh_of(one, SystemClock()))
    assert (finding.checked, finding.level) == ("mesh", Level.LACKING)
    assert "MESH does not answer" in finding.found
    assert "s3cr3t" not in repr(finding)


async def test_without_a_mailbox_there_is_nothing_to_find() -> None:
    assert mesh_of(Settings(), SystemClock()) is None
    assert await of_mesh(Settings(), None) == []


def test_a_mailbox_without_a_letterhead_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="mesh: needs letters"):
        mesh_of(Settings.model_validate({"mesh": MESH}), SystemClock())


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    file = certificate(tmp_path / "mesh.pem", NOW)
    file.write_bytes(file.read_bytes().split(b"-----BEGIN PRIVATE")[0])
    with pytest.raises(ConfigurationError, match=r"mesh\.certificate"):
        mesh_of(settings(certificate=str(file)), SystemClock())
