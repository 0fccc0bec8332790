"""Who may look: what the settings may say, and that what cannot be is refused by its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fhirbridge.access import AccessSettings, Gate, Session, Sessions, admitting, hashed, token_hash
from fhirbridge.errors import ConfigurationError
from fhirbridge.settings import Settings
from fhirbridge.web.console.doors import Doors

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SALT = b"0123456789abcdef"
KEPT = hashed("three plain words", SALT, n=2**10)


def access(**said: Any) -> AccessSettings:
    return AccessSettings.model_validate(said)


@pytest.mark.parametrize(
    "said",
    [
        {"people": {"bo": {"name": "Bo", "password": "three plain words"}}},
        {"people": {"bo": {"name": "", "password": KEPT}}},
        {"people": {"b o": {"name": "Bo", "password": KEPT}}},
        {"systems": {"bi": {}}},
        {"systems": {"bi": {"token_sha256": token_hash("x"), "token_file": "/x"}}},
        {"systems": {"bi": {"token_sha256": "x"}}},
        {"proxy": {"secret_file": "/x", "user": "X Remote User"}},
        {"everybody": True},
    ],
)
def test_what_cannot_be_is_refused_without_showing_a_secret(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        access(**said)

    shown = str(refused.value.errors(include_input=False, include_url=False))
    assert "three plain words" not in shown


def test_a_secret_never_shows(tmp_path: Path) -> None:
    settings = access(people={"bo": {"name": "Bo", "password": KEPT}})

    assert KEPT not in repr(settings)


@pytest.mark.parametrize("content", ["", "two words", "\xe9"])
def test_a_file_without_a_secret_is_refused_by_the_name_of_the_setting(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"^access\.systems\.bi\.token_file: "):
        Gate(access(systems={"bi": {"token_file": file}}), ())
    with pytest.raises(ConfigurationError, match=r"^access\.proxy\.secret_file: "):
        Gate(access(proxy={"secret_file": tmp_path / "nowhere"}), ())


def test_a_system_that_may_see_an_epr_that_is_none_is_refused() -> None:
    said = access(systems={"bi": {"token_sha256": token_hash("x"), "eprs": ["mian"]}})

    with pytest.raises(ConfigurationError, match=r"access\.systems\.bi\.eprs: 'mian' is no EPR"):
        Gate(said, ["main"])


@pytest.mark.parametrize("content", [None, b"short"])
def test_a_session_key_has_to_be_long(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    said = access(session_key_file=file)

    with pytest.raises(ConfigurationError, match="session_key_file"):
        Doors(Gate(said, ()), Settings.model_construct(access=said), Now())


class Now:
    def now(self) -> datetime:
        return NOW


def test_a_session_of_another_key_is_none() -> None:
    session = Session(person="bo", nonce="n", began=NOW, seen=NOW)
    cookie = Sessions(b"k" * 32).cookie(session)

    assert Sessions(b"k" * 32).read(cookie, NOW + timedelta(minutes=1)) is not None
    assert Sessions(b"x" * 32).read(cookie, NOW + timedelta(minutes=1)) is None


def test_a_password_is_told_from_every_other() -> None:
    gate = Gate(access(people={"bo": {"name": "Bo", "password": KEPT}}), ())

    assert gate.person("bo", "three plain words", NOW) is not None
    assert gate.person("bo", "three plain words ", NOW) is None
    assert hashed("three plain words", b"another salt of 16", n=2**10) != KEPT


def test_a_name_that_nobody_has_takes_as_long_to_try_as_any_other() -> None:
    scheme, n, r, p, *_ = admitting._NOBODY.split("$")

    assert int(n) == signature(hashed).parameters["n"].default
    assert [scheme, r, p] == [KEPT.split("$")[place] for place in (0, 2, 3)]
