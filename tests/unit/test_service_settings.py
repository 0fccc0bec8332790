"""Settings: where they come from, and that a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhirbridge.errors import ConfigurationError
from fhirbridge.settings import read_settings
from fhirbridge.wiring.policies import calendar_of
from fhirbridge.wiring.service import built
from fhirbridge.worker import worker_app

EPR = "FHIRBRIDGE_EPRS__MAIN__BASE_URL"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "fhirbridge.toml"
    file.write_text('port = 9000\nhost = "0.0.0.0"\n[eprs.main]\nbase_url = "http://epr/fhir"\nmapping = "other"\n')
    monkeypatch.setenv("FHIRBRIDGE_PORT", "9001")
    monkeypatch.setenv("FHIRBRIDGE_EPRS__MAIN__TOKEN", "a secret")

    settings = read_settings(file)

    assert (settings.host, settings.port) == ("0.0.0.0", 9001)
    assert settings.eprs["main"].mapping == "other"
    assert "a secret" not in repr(settings)


def test_yaml_says_the_same_as_toml(tmp_path: Path) -> None:
    yaml, toml = tmp_path / "a.yaml", tmp_path / "a.toml"
    yaml.write_text("overrides:\n  rdash-disengagement:\n    routine-phone: 3WD\n")
    toml.write_text('[overrides.rdash-disengagement]\nroutine-phone = "3WD"\n')

    assert read_settings(yaml) == read_settings(toml)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(read_settings(), "port", 1)  # noqa: B010  # what a type checker would not let through


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("FHIRBRIDGE_PORT", "many", "port"),
        ("FHIRBRIDGE_BROKER_URL", "amqp://broker", "broker_url"),
        ("FHIRBRIDGE_RISK_WHEN_UNRECORDED", "low", "risk_when_unrecorded"),
        ("FHIRBRIDGE_LIMITS__BODY", "0", "limits.body"),
        ("FHIRBRIDGE_EPRS__MAIN__BASE_URL", "epr", "eprs.main.base_url"),
        ("FHIRBRIDGE_EPRS__MAIN__TOKEN", "x", "eprs.main.base_url"),
        ("FHIRBRIDGE_EPRS__MAIN__SPEED", "x", "eprs.main.base_url"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, place: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        read_settings()

    assert caught.value.place == place
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"), [("port: [", "not TOML or YAML"), ("- port", "no settings"), ("prot: 1", "prot")]
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=said):
        read_settings(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: cannot be read"):
        read_settings(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FHIRBRIDGE_DATABASE_URL", "mysql://localhost/x", "^database"),
        ("FHIRBRIDGE_EPRS__MAIN__MAPPING", "no-such", "^eprs.main.mapping"),
        ("FHIRBRIDGE_PACKS", '["no-such"]', "no-such"),
        ("FHIRBRIDGE_OVERRIDES", '{"rdash-disengagement": {"no-such": 1}}', "no-such"),
        ("FHIRBRIDGE_HOLIDAYS", "XYZ", "^holidays"),
    ],
)
async def test_what_cannot_be_built_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv("FHIRBRIDGE_DATABASE_URL", f"sqlite:///{tmp_path}/fhirbridge.db")
    monkeypatch.setenv(EPR, "http://127.0.0.1:1/fhir")
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=said):
        async with built(read_settings()):
            pytest.fail("it was built")


def test_a_worker_needs_a_broker() -> None:
    with pytest.raises(ConfigurationError, match=r"^broker_url"):
        worker_app(read_settings())


def test_the_calendar_knows_the_bank_holidays_of_its_region() -> None:
    england, scotland = calendar_of("Europe/London", "ENG"), calendar_of("Europe/London", "SCT")

    st_andrew = {day for day in scotland.holidays if (day.month, day.day) == (11, 30)}
    assert st_andrew
    assert not st_andrew & england.holidays
    assert england.version != scotland.version
