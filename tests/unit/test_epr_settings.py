"""How an EPR is to be talked to, as the settings say it, and that what is wrong is named and nothing secret is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import respx
from joserfc.jwk import ECKey, RSAKey

from fhirbridge.errors import ConfigurationError
from fhirbridge.settings import EprSettings, Settings, read_settings
from fhirbridge.wiring.eprs import epr_of

BASE = "https://epr.example/fhir"


def written(folder: Path, **eprs: Any) -> Path:
    file = folder / "settings.yaml"
    file.write_text(repr({"eprs": eprs}))
    return file


def trust(settings: Settings) -> EprSettings:
    return settings.eprs["trust"]


def test_authentication_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"KIND": "smart", "CLIENT_ID": "us", "KEY": "/keys/epr.pem"}.items():
        monkeypatch.setenv(f"FHIRBRIDGE_EPRS__TRUST__AUTH__{name}", value)
    auth = trust(read_settings(written(tmp_path, trust={"base_url": BASE}))).auth
    assert auth is not None
    assert (auth.kind, auth.model_dump()["key"]) == ("smart", Path("/keys/epr.pem"))


@pytest.mark.parametrize(
    ("epr", "place", "why"),
    [
        ({"auth": {"kind": "kerberos"}}, "eprs.trust.auth", "kerberos"),
        ({"auth": {}}, "eprs.trust.auth", "kind"),
        ({"auth": {"kind": "bearer"}}, "eprs.trust.auth.bearer.token_file", "required"),
        ({"auth": {"kind": "smart", "client_id": "", "key": "k"}}, "eprs.trust.auth.smart.client_id", "at least 1"),
        ({"auth": {"kind": "nhs-jwt", "client_id": "a", "key": "k", "kid": "1"}}, "eprs.trust.auth", "required"),
        ({"auth": {"kind": "mtls"}}, "eprs.trust.auth.mtls.certificate", "required"),
        ({"auth": {"kind": "bearer", "token_file": "t", "certificate_key": "k"}}, "eprs.trust.auth", "certificate too"),
        ({"auth": {"kind": "bearer", "token_file": "t"}, "token": "x"}, "eprs.trust", "keep one"),
        ({"base_url": "https://user:secret@epr.example/fhir"}, "eprs.trust.base_url", "credentials go into auth"),
        ({"base_url": "https://epr.example/fhir?key=secret"}, "eprs.trust.base_url", "alone"),
    ],
)
def test_a_wrong_way_to_authenticate_is_named(epr: dict[str, Any], place: str, why: str, tmp_path: Path) -> None:
    file = written(tmp_path, trust={"base_url": BASE, **epr})
    with pytest.raises(ConfigurationError, match=why) as raised:
        read_settings(file)
    assert raised.value.place.startswith(f"{file}: {place}")
    assert "secret" not in str(raised.value)


def asked_with(folder: Path, **epr: Any) -> EprSettings:
    return trust(read_settings(written(folder, trust={"base_url": BASE, **epr})))


@respx.mock
async def test_a_token_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    route = respx.get(f"{BASE}/Task/1").respond(404)
    auth = {"kind": "bearer", "token_file": str(tmp_path / "token")}
    async with epr_of("trust", asked_with(tmp_path, auth=auth)) as epr:
        await epr.read("Task/1")
    assert route.calls.last.request.headers["Authorization"] == "Bearer t0ken"


@respx.mock
async def test_the_nhs_variant_asks_where_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(RSAKey.generate_key(2048).as_pem(private=True))
    token = respx.post("https://api.example/oauth2/token").respond(json={"access_token": "t", "expires_in": "599"})
    respx.get(f"{BASE}/Task/1").respond(404)
    auth = {"kind": "nhs-jwt", "client_id": "a", "kid": "1", "token_url": "https://api.example/oauth2/token"}
    async with epr_of("trust", asked_with(tmp_path, auth={**auth, "key": str(tmp_path / "key.pem")})) as epr:
        await epr.read("Task/1")
    assert token.call_count == 1


@pytest.mark.parametrize(
    ("auth", "place"),
    [
        ({"kind": "bearer", "token_file": "absent"}, "eprs.trust.auth.token_file"),
        ({"kind": "bearer", "token_file": "two"}, "eprs.trust.auth.token_file"),
        ({"kind": "bearer", "token_file": "empty"}, "eprs.trust.auth.token_file"),
        ({"kind": "bearer", "token_file": "odd"}, "eprs.trust.auth.token_file"),
        ({"kind": "smart", "client_id": "a", "key": "two"}, "eprs.trust.auth.key"),
        (
            {"kind": "nhs-jwt", "client_id": "a", "kid": "1", "key": "ec.pem", "token_url": "https://a.example/t"},
            "eprs.trust.auth.key",
        ),
        (
            {"kind": "smart", "client_id": "a", "key": "ec.pem", "token_url": "http://a.example/t"},
            "eprs.trust.auth.token_url",
        ),
        ({"kind": "mtls", "certificate": "two"}, "eprs.trust.auth.certificate"),
        ({"kind": "mtls", "certificate": "two", "ca": "absent"}, "eprs.trust.auth.ca"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_by_its_setting(
    auth: dict[str, str], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two").write_text("hidden words")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    (tmp_path / "ec.pem").write_bytes(ECKey.generate_key("P-384").as_pem(private=True))
    with pytest.raises(ConfigurationError) as raised:
        epr_of("trust", asked_with(tmp_path, auth=auth))
    assert raised.value.place == place
    assert "hidden" not in str(raised.value)


def test_certificates_without_tls_are_refused(tmp_path: Path) -> None:
    one = asked_with(tmp_path, base_url="http://epr.example/fhir", auth={"kind": "mtls", "certificate": "c"})
    with pytest.raises(ConfigurationError, match="https") as raised:
        epr_of("trust", one)
    assert raised.value.place == "eprs.trust.base_url"
