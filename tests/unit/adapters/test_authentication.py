"""Tokens and assertions: what is sent, how long a token is used, and that nothing secret is ever said."""

from __future__ import annotations

import asyncio
import itertools
import logging
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import orjson
import pytest
import respx
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from fhirbridge.adapters.auth import AssertedToken, SigningKey, tls_context
from fhirbridge.adapters.epr import FhirEpr
from fhirbridge.errors import ConfigurationError, EprError, EprUnauthorised, EprUnavailable

BASE = "https://epr.example/fhir"
WELL_KNOWN = f"{BASE}/.well-known/smart-configuration"
TOKEN_URL = "https://login.example/token"
TASK = f"{BASE}/Task/1"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody, and is made at once: nothing here goes over the network."""

Key = RSAKey | ECKey


class Hands:
    """A clock whose hands a test moves."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


@pytest.fixture(scope="module")
def ec() -> ECKey:
    return ECKey.generate_key("P-384")


@pytest.fixture(scope="module")
def rsa() -> RSAKey:
    return RSAKey.generate_key(2048)


@pytest.fixture
def clock() -> Hands:
    return Hands()


def written(key: Key | OKPKey, file: Path, *, private: bool = True) -> Path:
    file.write_bytes(key.as_pem(private=private))
    return file


def smart(file: Path, kid: str = "") -> SigningKey:
    return SigningKey.read(file, kid, rsa="RS384", ec="ES384", place="eprs.trust.auth.key")


def asserted(key: SigningKey, clock: Hands, **more: str) -> AssertedToken:
    return AssertedToken("trust", "fhirbridge", key, clock=clock, base_url=BASE, **more)


@pytest.fixture
async def epr(ec: ECKey, clock: Hands, tmp_path: Path) -> AsyncIterator[FhirEpr]:
    key = smart(written(ec, tmp_path / "key.pem"), "k1")
    async with FhirEpr("trust", BASE, tls=TLS, auth=asserted(key, clock, scope="system/*.rs")) as client:
        yield client


@pytest.fixture
def server() -> Any:
    with respx.mock(assert_all_called=False) as router:
        router.get(WELL_KNOWN).respond(json={"token_endpoint": TOKEN_URL})
        numbers = itertools.count(1)

        async def grant(request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(0)  # others may come meanwhile
            return granted(f"token-{next(numbers)}")

        router.post(TOKEN_URL).mock(side_effect=grant)
        router.get(TASK).respond(json={"resourceType": "Task", "id": "1"})
        yield router


def granted(token: str, expires_in: Any = 300) -> httpx.Response:
    return httpx.Response(200, json={"access_token": token, "token_type": "Bearer", "expires_in": expires_in})


def sent(call: Any) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(call.request.content.decode()).items()}


def used(server: Any) -> list[str]:
    return [call.request.headers["Authorization"] for call in server.routes[2].calls]


# Assertions


@pytest.mark.parametrize("kind", ["ES384", "RS384"])
async def test_what_an_assertion_says(
    kind: str, ec: ECKey, rsa: RSAKey, clock: Hands, server: Any, tmp_path: Path
) -> None:
    private: Key = ec if kind == "ES384" else rsa
    key = smart(written(private, tmp_path / "key.pem"), "k1")
    async with FhirEpr("trust", BASE, tls=TLS, auth=asserted(key, clock, scope="system/*.rs")) as epr:
        await epr.read("Task/1")
    form = sent(server.routes[1].calls.last)
    assertion = form.pop("client_assertion")
    assert form == {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "scope": "system/*.rs",
    }
    token = jwt.decode(assertion, private, algorithms=[kind])
    assert {name: token.header[name] for name in ("alg", "kid")} == {"alg": kind, "kid": "k1"}
    assert (token.claims["iss"], token.claims["sub"]) == ("fhirbridge", "fhirbridge")
    assert token.claims["aud"] == TOKEN_URL
    assert NOW.timestamp() < token.claims["exp"] <= (NOW + timedelta(minutes=5)).timestamp()
    assert used(server) == ["Bearer token-1"]


async def test_the_nhs_variant_signs_rs512_and_asks_no_scope_and_no_discovery(
    rsa: RSAKey, clock: Hands, server: Any, tmp_path: Path
) -> None:
    file = written(rsa, tmp_path / "key.pem")
    key = SigningKey.read(file, "prod-1", rsa="RS512", ec=None, place="eprs.trust.auth.key")
    server.post(TOKEN_URL).mock(return_value=granted("t", "599"))
    async with FhirEpr("trust", BASE, tls=TLS, auth=asserted(key, clock, token_url=TOKEN_URL)) as epr:
        await epr.read("Task/1")
        clock.at += timedelta(seconds=560)
        await epr.read("Task/1")
    form = sent(server.routes[1].calls.last)
    token = jwt.decode(form["client_assertion"], rsa, algorithms=["RS512"])
    assert (token.header["alg"], token.header["kid"]) == ("RS512", "prod-1")
    assert "scope" not in form
    assert (server.routes[0].call_count, server.routes[1].call_count) == (0, 1)


async def test_no_assertion_is_used_twice(epr: FhirEpr, clock: Hands, ec: ECKey, server: Any) -> None:
    for _ in range(3):
        await epr.read("Task/1")
        clock.at += timedelta(hours=1)
    assertions = [sent(call)["client_assertion"] for call in server.routes[1].calls]
    ids = {jwt.decode(one, ec, algorithms=["ES384"]).claims["jti"] for one in assertions}
    assert len(ids) == 3


def test_a_key_without_kid_is_known_by_its_thumbprint_or_its_own(ec: ECKey, tmp_path: Path) -> None:
    assert smart(written(ec, tmp_path / "key.pem")).kid == ec.thumbprint()
    named = ECKey.import_key({**ec.as_dict(private=True), "kid": "own", "alg": "ES384"})
    (tmp_path / "key.json").write_bytes(orjson.dumps(named.as_dict(private=True)))
    assert smart(tmp_path / "key.json").kid == "own"


def test_what_is_registered_holds_nothing_private(ec: ECKey, tmp_path: Path) -> None:
    public = smart(written(ec, tmp_path / "key.pem"), "k1").public()
    assert (public["kid"], public["alg"], public["use"]) == ("k1", "ES384", "sig")
    assert "d" not in public


def unusable(name: str, file: Path) -> Path:
    match name:
        case "absent":
            return file
        case "noise":
            file.write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
        case "empty-jwk":
            file.write_text("{}")
        case "public":
            written(ECKey.generate_key("P-384"), file, private=False)
        case "curve":
            written(ECKey.generate_key("P-256"), file)
        case "short":
            written(RSAKey.generate_key(1024), file)
        case _:
            written(OKPKey.generate_key("Ed25519"), file)
    return file


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("absent", "cannot be read"),
        ("noise", "no RSA or EC key"),
        ("empty-jwk", "no RSA or EC key"),
        ("public", "public key"),
        ("curve", "needs P-384"),
        ("short", "2048 or more"),
        ("another kind", "no RSA or EC key"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_by_its_setting(name: str, why: str, tmp_path: Path) -> None:
    file = unusable(name, tmp_path / "key")
    with pytest.raises(ConfigurationError, match=why) as raised:
        smart(file)
    assert raised.value.place == "eprs.trust.auth.key"
    assert "c2VjcmV0" not in str(raised.value)


def test_the_nhs_variant_needs_an_rsa_key(ec: ECKey, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="RSA"):
        SigningKey.read(written(ec, tmp_path / "key"), "k", rsa="RS512", ec=None, place="key")


# Tokens


async def test_a_token_is_used_again_and_renewed_before_it_expires(epr: FhirEpr, clock: Hands, server: Any) -> None:
    for later in (0, 200, 269, 271):
        clock.at = NOW + timedelta(seconds=later)
        await epr.read("Task/1")
    assert used(server) == ["Bearer token-1"] * 3 + ["Bearer token-2"]
    assert server.routes[0].call_count == 1


@pytest.mark.parametrize(("expires_in", "good_for"), [(None, 269), ("soon", 269), (10, 8), (3600, 3569)])
async def test_how_long_a_token_is_good(
    epr: FhirEpr, clock: Hands, server: Any, expires_in: Any, good_for: int
) -> None:
    server.post(TOKEN_URL).mock(side_effect=lambda _: granted("t", expires_in))
    await epr.read("Task/1")
    clock.at = NOW + timedelta(seconds=good_for)
    await epr.read("Task/1")
    assert server.routes[1].call_count == 1
    clock.at = NOW + timedelta(seconds=good_for + 3)
    await epr.read("Task/1")
    assert server.routes[1].call_count == 2


async def test_requests_at_once_share_one_token(epr: FhirEpr, server: Any) -> None:
    await asyncio.gather(*(epr.read("Task/1") for _ in range(10)))
    assert server.routes[1].call_count == 1


async def test_a_token_refused_early_is_replaced_once(epr: FhirEpr, server: Any) -> None:
    await epr.read("Task/1")
    task = httpx.Response(200, json={"resourceType": "Task", "id": "1"})
    server.routes[2].mock(side_effect=[httpx.Response(401), task])
    assert await epr.read("Task/1") == {"resourceType": "Task", "id": "1"}
    assert used(server) == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


async def test_one_refused_again_is_the_end_for_now(epr: FhirEpr, server: Any) -> None:
    server.routes[2].mock(return_value=httpx.Response(401))
    with pytest.raises(EprUnauthorised, match="401"):
        await epr.read("Task/1")
    assert used(server) == ["Bearer token-1", "Bearer token-2"]


async def test_requests_refused_at_once_get_one_new_token(epr: FhirEpr, server: Any) -> None:
    await epr.read("Task/1")

    together = asyncio.Barrier(10)

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["Authorization"] == "Bearer token-1":
            await together.wait()
        good = request.headers["Authorization"] == "Bearer token-2"
        return httpx.Response(200 if good else 401, json={"resourceType": "Task", "id": "1"})

    server.routes[2].mock(side_effect=answer)
    await asyncio.gather(*(epr.read("Task/1") for _ in range(10)))
    assert server.routes[1].call_count == 2


async def test_a_late_refusal_does_not_throw_the_new_token_away(ec: ECKey, clock: Hands, tmp_path: Path) -> None:
    numbers = itertools.count(1)

    async def exchange(request: httpx.Request, what: str) -> tuple[httpx.Response, bytes]:
        answer = granted(f"token-{next(numbers)}")
        return answer, answer.content

    credentials = asserted(smart(written(ec, tmp_path / "key.pem")), clock, token_url=TOKEN_URL)
    first = await credentials.header(exchange)
    for _ in range(2):  # of two requests with the first token, the other is refused later
        assert credentials.refused(first)
        assert await credentials.header(exchange) == "Bearer token-2"


# An authorisation server that refuses, or makes no sense


@pytest.mark.parametrize(
    ("answer", "error", "match"),
    [
        (httpx.Response(400, json={"error": "invalid_scope"}), EprUnauthorised, "invalid_scope; check"),
        (httpx.Response(401, json={"error": "invalid_client"}), EprUnauthorised, "invalid_client; check"),
        (httpx.Response(403, text="no"), EprUnauthorised, "403 refused"),
        (httpx.Response(404), EprError, "token endpoint"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example"}), EprError, "302"),
        (httpx.Response(429), EprUnavailable, "429"),
        (httpx.Response(503), EprUnavailable, "503"),
        (httpx.Response(200, text="<html>"), EprError, "not JSON"),
        (httpx.Response(200, json=[]), EprError, "not JSON"),
        (httpx.Response(200, json={"token_type": "Bearer"}), EprError, "no bearer token"),
        (httpx.Response(200, json={"access_token": "a\r\nX: y"}), EprError, "no bearer token"),
        (httpx.Response(200, json={"access_token": "a", "token_type": "mac"}), EprError, "no bearer token"),
    ],
)
async def test_without_a_token_nothing_is_asked(
    epr: FhirEpr, server: Any, answer: httpx.Response, error: type[EprError], match: str
) -> None:
    server.post(TOKEN_URL).mock(return_value=answer)
    with pytest.raises(error, match=match) as raised:
        await epr.read("Task/1")
    assert type(raised.value) is error
    assert str(raised.value).startswith("trust: ")
    assert used(server) == []


@pytest.mark.parametrize(
    ("answer", "error", "match"),
    [
        (httpx.Response(404), EprError, "no token_endpoint; set auth.token_url"),
        (httpx.Response(200, json={}), EprError, "no token_endpoint"),
        (httpx.Response(503), EprUnavailable, "503"),
        (httpx.Response(200, json={"token_endpoint": "http://login.example/token"}), EprError, "not https"),
        (
            httpx.Response(
                200,
                json={"token_endpoint": TOKEN_URL, "token_endpoint_auth_signing_alg_values_supported": ["RS384"]},
            ),
            EprError,
            "takes assertions signed by RS384; the key of auth.key signs ES384",
        ),
    ],
)
async def test_where_tokens_are_to_be_had_has_to_be_known(
    epr: FhirEpr, server: Any, answer: httpx.Response, error: type[EprError], match: str
) -> None:
    server.get(WELL_KNOWN).mock(return_value=answer)
    with pytest.raises(error, match=match):
        await epr.read("Task/1")
    assert server.routes[1].call_count == 0


async def test_an_authorisation_server_that_wants_to_be_left_alone(epr: FhirEpr, server: Any) -> None:
    server.post(TOKEN_URL).mock(return_value=httpx.Response(503, headers={"Retry-After": "7"}))
    with pytest.raises(EprUnavailable) as raised:
        await epr.read("Task/1")
    assert raised.value.retry_after == 7.0


async def test_a_token_endpoint_that_moved_is_found_again(epr: FhirEpr, clock: Hands, server: Any) -> None:
    await epr.read("Task/1")
    moved = "https://login.example/moved"
    server.get(WELL_KNOWN).respond(json={"token_endpoint": moved})
    server.post(TOKEN_URL).mock(return_value=httpx.Response(404))
    server.post(moved).mock(return_value=granted("new"))
    clock.at += timedelta(hours=1)
    with pytest.raises(EprError, match="404"):
        await epr.read("Task/1")
    await epr.read("Task/1")
    assert used(server)[-1] == "Bearer new"


async def test_an_endless_answer_for_a_token_is_cut(ec: ECKey, clock: Hands, server: Any, tmp_path: Path) -> None:
    server.post(TOKEN_URL).mock(return_value=httpx.Response(200, content=b" " * 2000))
    key = smart(written(ec, tmp_path / "key.pem"))
    async with FhirEpr("trust", BASE, tls=TLS, auth=asserted(key, clock), largest_answer=1000) as epr:
        with pytest.raises(EprError, match="token: more than 1000 bytes"):
            await epr.read("Task/1")


async def test_an_epr_that_drips_is_given_up(server: Any) -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    server.routes[2].mock(side_effect=never)
    async with FhirEpr("trust", BASE, tls=TLS, longest=0.05) as epr:
        async with asyncio.timeout(2):
            with pytest.raises(EprUnavailable, match=r"not answered within 0\.05 s"):
                await epr.read("Task/1")


# Secrets


async def test_neither_token_nor_assertion_nor_key_is_ever_said(
    epr: FhirEpr, ec: ECKey, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "s3cr3t." * 10
    server.post(TOKEN_URL).mock(return_value=granted(secret))
    server.routes[2].mock(return_value=httpx.Response(401))
    with caplog.at_level(logging.DEBUG), pytest.raises(EprUnauthorised) as raised:
        await epr.read("Task/1")
    assertion = sent(server.routes[1].calls.last)["client_assertion"]

    def echo(request: httpx.Request) -> httpx.Response:
        told = f"cannot verify {sent_in(request)} of {secret}"
        return httpx.Response(401, json={"error": "invalid_client", "error_description": told})

    server.post(TOKEN_URL).mock(side_effect=echo)
    with caplog.at_level(logging.DEBUG), pytest.raises(EprUnauthorised, match="invalid_client cannot verify") as told:
        await epr.read("Task/1")
    everything = caplog.text + str(raised.value) + str(told.value) + repr(vars(epr))
    for private in (secret, assertion, assertion.split(".")[2], ec.as_dict(private=True)["d"]):
        assert str(private)[:24] not in everything


def sent_in(request: httpx.Request) -> str:
    return parse_qs(request.content.decode())["client_assertion"][0]


# TLS


def test_certificates_that_cannot_be_used_are_refused_by_their_setting(ec: ECKey, tmp_path: Path) -> None:
    key = written(ec, tmp_path / "key.pem")
    with pytest.raises(ConfigurationError, match=r"eprs\.trust\.auth\.ca: .*No such file"):
        tls_context(ca=tmp_path / "absent", place="eprs.trust.auth")
    with pytest.raises(ConfigurationError, match=r"eprs\.trust\.auth\.ca: .*cannot be used"):
        tls_context(ca=key, place="eprs.trust.auth")
    with pytest.raises(ConfigurationError, match=r"eprs\.trust\.auth\.certificate: .*cannot be used with its key"):
        tls_context(certificate=key, place="eprs.trust.auth")


def test_the_eprs_certificate_is_always_verified() -> None:
    context = tls_context(place="eprs.trust.auth")
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
