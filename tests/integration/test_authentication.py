"""Real servers that want to know who asks: tokens of SMART Backend Services, and client certificates."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey, RSAKey
from typer.testing import CliRunner

from fhirbridge.adapters.auth import SigningKey
from fhirbridge.cli import app
from fhirbridge.doctor import Examination, Level, examine
from fhirbridge.errors import EprRefused, EprUnauthorised, EprUnavailable
from fhirbridge.settings import EprSettings, Settings
from fhirbridge.wiring.eprs import epr_of
from tests.loopback import free_port
from tests.servers.caseload import Staff
from tests.servers.fhirbridge import environment, eventually, ready, running
from tests.servers.sekmet import sekmet

pytestmark = pytest.mark.slow


class Registered:
    """A sekmet that knows two clients by their keys, and what the settings of each are there."""

    def __init__(self, base_url: str, folder: Path) -> None:
        self.base_url = base_url
        self.folder = folder

    def epr(self, key: str = "es384", **auth: Any) -> EprSettings:
        given = {"kind": "smart", "client_id": key, "key": self.folder / f"{key}.pem", **auth}
        return EprSettings.model_validate({"base_url": self.base_url, "auth": given})


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    folder = tmp_path_factory.mktemp("smart")
    with sekmet(folder, smart=clients_of(folder)) as base_url:
        yield Registered(base_url, folder)


def clients_of(folder: Path) -> list[dict[str, Any]]:
    """Keys in the folder, and the clients that are registered with two of them."""
    keys: dict[str, ECKey | RSAKey] = {"es384": ECKey.generate_key("P-384"), "rs384": RSAKey.generate_key(2048)}
    for name, key in {**keys, "unknown": ECKey.generate_key("P-384")}.items():
        (folder / f"{name}.pem").write_bytes(key.as_pem(private=True))
    clients = []
    for name in keys:
        public = SigningKey.read(folder / f"{name}.pem", rsa="RS384", ec="ES384", place="key").public()
        clients.append({"client_id": name, "jwks": {"keys": [public]}, "scopes": "system/*.crus"})
    return clients


async def examined(one: EprSettings, **more: Any) -> Examination:
    return await examine("trust", Settings(eprs={"trust": one}, **more))


@pytest.mark.parametrize("key", ["es384", "rs384"])
async def test_a_real_server_takes_the_assertion_and_the_token(registered: Registered, key: str) -> None:
    async with epr_of("trust", registered.epr(key)) as epr:
        created = await epr.create({"resourceType": "Flag", "status": "active", "code": {"text": "x"}, "subject": {}})
        assert await epr.read(f"Flag/{created['id']}") == created


@pytest.mark.parametrize(
    ("key", "auth", "why"),
    [
        ("unknown", {"client_id": "es384"}, "invalid_client"),
        ("es384", {"client_id": "somebody"}, "invalid_client"),
        ("es384", {"scope": "system/*.cruds"}, "invalid_scope"),
    ],
)
async def test_a_real_server_refuses_who_it_does_not_know(
    registered: Registered, key: str, auth: dict[str, Any], why: str
) -> None:
    async with epr_of("trust", registered.epr(key, **auth)) as epr:
        with pytest.raises(EprUnauthorised, match=why):
            await epr.read("Flag/1")
    examination = await examined(registered.epr(key, **auth))
    assert [one.checked for one in examination.findings if one.level is Level.LACKING] == ["authorised"]


async def test_a_token_that_the_server_has_forgotten_is_replaced(tmp_path: Path) -> None:
    port, clients = free_port(), clients_of(tmp_path)
    one = Registered(f"http://127.0.0.1:{port}/fhir", tmp_path)
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    async with epr_of("trust", one.epr()) as epr:
        with sekmet(tmp_path / "before", port=port, smart=clients):
            assert await epr.read("Flag/none") is None
        with sekmet(tmp_path / "after", port=port, smart=clients):
            assert await epr.read("Flag/none") is None


async def test_a_token_goes_as_far_as_its_scope(registered: Registered) -> None:
    narrow = registered.epr(scope="system/Patient.rs system/Flag.rs")
    async with epr_of("trust", narrow) as epr:
        assert await epr.read("Flag/none") is None
        with pytest.raises(EprRefused, match="403"):
            await epr.read("Appointment/none")
    lacking = [one for one in (await examined(narrow)).findings if one.level is Level.LACKING]
    assert [one.checked for one in lacking] == ["may read Appointment"]
    assert "system/Appointment.rs" in lacking[0].remedy


async def test_the_doctor_finds_everything_at_a_real_server(registered: Registered) -> None:
    examination = await examined(registered.epr())
    assert examination.supported
    authorised = next(one for one in examination.findings if one.checked == "authorised")
    assert (authorised.found, authorised.used) == ("yes; the EPR names SMART-on-FHIR", "smart")
    feeds = {feed.type: feed.kind.value for feed in examination.feeds}
    assert feeds.pop("CareTeam") == "none"
    assert set(feeds.values()) == {"rest-hook"}
    assert {write.way.value for write in examination.writes} == {"native"}
    once = {write.type: write.once.value for write in examination.writes}
    assert (once.pop("Provenance"), once.pop("AuditEvent")) == ("chosen-id", "chosen-id")
    assert set(once.values()) == {"conditional"}


def test_the_doctor_from_the_command_line_says_nothing_secret(
    registered: Registered, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"eprs": {"trust": registered.epr().model_dump(mode="json", exclude_none=True)}}
    (tmp_path / "settings.yaml").write_bytes(orjson.dumps(settings))
    with caplog.at_level(logging.DEBUG):
        result = CliRunner().invoke(app, ["doctor", "--config", str(tmp_path / "settings.yaml"), "--json"])
    assert result.exit_code == 0
    assert orjson.loads(result.stdout)[0]["supported"] is True
    assert "eyJ" not in result.output + caplog.text
    assert "PRIVATE KEY" not in result.output + caplog.text


def test_the_main_job_at_an_epr_that_wants_smart(tmp_path: Path) -> None:
    port = free_port()
    clients = clients_of(tmp_path)
    auth = {"KIND": "smart", "CLIENT_ID": "es384", "KEY": str(tmp_path / "es384.pem")}
    given = {f"FHIRBRIDGE_EPRS__MAIN__AUTH__{name}": value for name, value in auth.items()}
    with sekmet(tmp_path, smart=clients, token="staff") as epr_url:
        settings = environment(tmp_path, port, epr_url, FHIRBRIDGE_LOG_LEVEL="debug", **given)
        with running("serve", settings, tmp_path):
            ready(port, tmp_path / "serve.log")
            staff = Staff(epr_url, token="staff")
            patient = staff.low_risk_patient()
            for days in (8, 1):
                staff.appointment(patient, "noshow", days)
            [task] = eventually(lambda: staff.tasks(patient, "contact-patient"))
            assert staff.search("Provenance", target=f"Task/{task['id']}")
            staff.close()
    log = (tmp_path / "serve.log").read_text()
    assert "eyJ" not in log
    assert "Bearer" not in log


# Client certificates


class Authority:
    """A certificate authority for a test: makes certificates for 127.0.0.1, and for a client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
        self.root = self._made("ca", self._name, self._key, is_root=True)

    def issued(self, name: str) -> Path:
        """A PEM file with the private key and its certificate."""
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        return self._made(name, subject, ec.generate_private_key(ec.SECP256R1()), is_root=False)

    def _made(self, name: str, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_root: bool) -> Path:
        now = datetime.now(UTC)
        public, signer = key.public_key(), self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        )
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(pem)
        file = self.folder / f"{name}.pem"
        file.write_bytes(certificate if is_root else secret + certificate)
        return file


@asynccontextmanager
async def guarded(authority: Authority) -> AsyncIterator[str]:
    """An EPR that talks to nobody without a certificate of the authority; its base URL."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.root)
    context.load_cert_chain(authority.issued("server"))
    context.verify_mode = ssl.CERT_REQUIRED
    body = orjson.dumps({"resourceType": "Task", "id": "1", "status": "requested", "intent": "order"})

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"


def guarded_epr(base_url: str, **auth: Any) -> EprSettings:
    return EprSettings.model_validate({"base_url": base_url, "auth": {"kind": "mtls", **auth}})


async def test_a_client_certificate_opens_the_door(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with guarded(authority) as base_url:
        one = guarded_epr(base_url, ca=authority.root, certificate=authority.issued("client"))
        async with epr_of("trust", one) as epr:
            assert (await epr.read("Task/1") or {})["id"] == "1"


async def test_a_certificate_of_somebody_else_does_not(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    async with guarded(authority) as base_url:
        stranger = guarded_epr(base_url, ca=authority.root, certificate=other.issued("client"))
        async with epr_of("trust", stranger) as epr:
            with pytest.raises(EprUnavailable):
                await epr.read("Task/1")
        trusting_others = guarded_epr(base_url, ca=other.root, certificate=authority.issued("client"))
        async with epr_of("trust", trusting_others) as epr:
            with pytest.raises(EprUnavailable, match="certificate is not trusted"):
                await epr.read("Task/1")
