"""What the doctor makes of an EPR: what it says, what it asks, and what makes it say no."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import respx
from typer.testing import CliRunner

from fhirbridge.cli import app
from fhirbridge.core.calendar import Calendar
from fhirbridge.core.policy import Pack
from fhirbridge.doctor import Examination, Finding, Level, examine, examining
from fhirbridge.errors import ConfigurationError, NotKnown
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.settings import EprSettings, Settings
from fhirbridge.wiring.eprs import mapping_of
from fhirbridge.wiring.policies import pack_of

BASE = "https://epr.example/fhir"
STATEMENTS = Path(__file__).parents[1] / "fhir" / "capabilities"
TOKEN = "s3cr3t-t0ken"
REFUSAL = {"resourceType": "OperationOutcome", "issue": [{"diagnostics": "name a location"}]}


@pytest.fixture(autouse=True)
def _read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Packs and mappings are the same in every test here, and take longer to read than all the rest."""
    monkeypatch.chdir(tmp_path)  # without a database
    monkeypatch.setattr(examining, "pack_of", lambda name, settings, calendar: pack(name))
    monkeypatch.setattr(examining, "mapping_of", lambda name, one: mapping(one.mapping))


@cache
def pack(name: str) -> Pack:
    return pack_of(name, Settings(), Calendar())


@cache
def mapping(name: str) -> Mapping:
    return mapping_of("trust", EprSettings.model_validate({"base_url": BASE, "mapping": name}))


def recorded(name: str) -> dict[str, Any]:
    statement: dict[str, Any] = orjson.loads((STATEMENTS / f"{name}.json").read_bytes())
    return statement


def settings(**epr: Any) -> Settings:
    return Settings(eprs={"trust": EprSettings.model_validate({"base_url": BASE, "token": TOKEN, **epr})})


async def examined(
    statement: dict[str, Any], one: Settings | None = None, searches: dict[str, int] | None = None, **reads: int
) -> Examination:
    with respx.mock(assert_all_called=False) as router:
        router.get(f"{BASE}/metadata").respond(json=statement)
        for kind, status in reads.items():
            router.get(f"{BASE}/{kind}/fhirbridge-doctor").respond(status)
        router.get(url__regex=rf"{BASE}/[A-Za-z]+/fhirbridge-doctor").respond(404)
        for kind, status in (searches or {}).items():
            router.get(f"{BASE}/{kind}").respond(status, json=REFUSAL)
        router.get(url__regex=rf"{BASE}/[A-Za-z]+\?").respond(json={"resourceType": "Bundle"})
        return await examine("trust", one or settings())


async def test_a_search_that_the_epr_does_not_take_is_found_out_before_it_is_needed() -> None:
    examination = await examined(recorded("oracle-health"), searches={"Appointment": 400})
    assert lacking(examination) == ["Appointment by date"]
    finding = found(examination, "Appointment by date")
    assert finding.found == "search Appointment: 400 name a location"
    assert "eprs.trust.polling.demands" in finding.remedy
    assert "Encounter by last change" not in [one.checked for one in examination.findings]


async def test_what_the_epr_insists_on_is_named_when_it_is_tried() -> None:
    with respx.mock(assert_all_called=False) as router:
        asked = router.get(f"{BASE}/Appointment").respond(json={"resourceType": "Bundle"})
        await try_searches_at(router)
        [call] = asked.calls
    assert call.request.url.params["location"] == "north"
    assert call.request.url.params.get_list("date") == ["ge1900-01-01T00:00:00Z", "lt1900-01-02T00:00:00Z"]


async def try_searches_at(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/metadata").respond(json=recorded("oracle-health"))
    router.get(url__regex=rf"{BASE}/[A-Za-z]+/fhirbridge-doctor").respond(404)
    router.get(url__regex=rf"{BASE}/[A-Za-z]+\?").respond(json={"resourceType": "Bundle"})
    await examine("trust", settings(polling={"demands": {"Appointment": {"location": ["north", "south"]}}}))


def found(examination: Examination, checked: str, area: str = "") -> Finding:
    (finding,) = [one for one in examination.findings if one.checked == checked and area in one.area]
    return finding


def lacking(examination: Examination) -> list[str]:
    return [one.checked for one in examination.findings if one.level is Level.LACKING]


def without(statement: dict[str, Any], kind: str) -> dict[str, Any]:
    (rest,) = statement["rest"]
    return {**statement, "rest": [{**rest, "resource": [one for one in rest["resource"] if one["type"] != kind]}]}


@pytest.mark.parametrize("name", ["epic", "oracle-health"])
async def test_the_service_works_at_eprs_without_subscriptions_and_tasks(name: str) -> None:
    examination = await examined(recorded(name))
    assert examination.supported
    assert found(examination, "subscriptions").found == "none"
    appointment = found(examination, "Appointment")
    assert appointment.used == "polling of a window by date"
    assert "search (patient, date" in appointment.found
    task = found(examination, "Task", "writes")
    assert task.used == "as Communication, and on the service's own worklist; a change is told in a further one"
    assert task.level is Level.ATTENTION


async def test_what_oracle_health_lacks_is_said_with_what_follows() -> None:
    episode = found(await examined(recorded("oracle-health")), "EpisodeOfCare")
    assert (episode.found, episode.used, episode.level) == ("not offered", "nothing", Level.ATTENTION)
    assert "the end of care in the community is not seen" in episode.remedy


async def test_where_everything_is_offered_little_is_left_to_say() -> None:
    one = settings().model_copy(update={"public_url": "https://bridge.example"})
    examination = await examined(recorded("everything"), one)
    assert examination.supported
    assert found(examination, "subscriptions").found == "R4 rest-hook, R5 backport with 1 topics"
    assert found(examination, "Appointment").used.startswith("subscription to the topic")
    assert found(examination, "public_url").level is Level.FINE
    assert {one.level for one in examination.findings if one.area == "writes"} == {Level.FINE}


@pytest.mark.parametrize(
    ("change", "checked", "remedy"),
    [
        (lambda one: without(one, "Appointment"), "Appointment", "have Subscription enabled"),
        (lambda one: without(one, "Patient"), "Patient", "have Patient enabled"),
        (lambda one: {**one, "fhirVersion": "3.0.2"}, "version", "R4"),
        (lambda one: {**one, "fhirVersion": "5.0.0"}, "version", "R4"),
        (lambda one: {**one, "format": ["xml"]}, "format", "application/fhir+json"),
    ],
    ids=["appointment", "patient", "stu3", "r5", "xml"],
)
async def test_an_epr_that_cannot_support_the_service_is_told_what_is_missing(
    change: Any, checked: str, remedy: str
) -> None:
    examination = await examined(change(recorded("epic")))
    assert lacking(examination) == [checked]
    assert remedy in found(examination, checked, "" if checked != "Appointment" else "reads").remedy
    assert not examination.supported


@pytest.mark.parametrize(
    ("status", "checked", "remedy"),
    [
        (401, "authorised", "check auth"),
        (403, "authorised", "check auth"),
        (503, "reachable", "network"),
        (404, "reachable", "without /metadata"),
    ],
)
async def test_an_epr_that_does_not_let_us_in(status: int, checked: str, remedy: str) -> None:
    with respx.mock() as router:
        router.get(f"{BASE}/metadata").respond(status)
        examination = await examine("trust", settings())
    assert lacking(examination) == [checked]
    assert remedy in found(examination, checked).remedy
    assert TOKEN not in str(examination)


async def test_what_the_client_may_not_read_is_found_by_asking() -> None:
    examination = await examined(recorded("epic"), Appointment=403, Flag=403, Consent=400)
    assert lacking(examination) == ["may read Appointment"]
    assert found(examination, "may read Flag").level is Level.ATTENTION
    assert not [one for one in examination.findings if one.checked == "may read Consent"]
    assert "system/Appointment.rs" in found(examination, "may read Appointment").remedy
    assert found(examination, "authorised").used == "bearer"


async def test_a_token_that_only_opens_the_metadata_is_found_by_asking() -> None:
    assert lacking(await examined(recorded("epic"), Appointment=401)) == ["authorised"]


async def test_notifications_need_a_way_to_the_service() -> None:
    examination = await examined(recorded("everything"))
    assert lacking(examination) == ["public_url"]
    polled = await examined(recorded("everything"), settings(subscribe=False))
    assert polled.supported
    assert found(polled, "Appointment").used == "polling by _lastUpdated"


async def test_roles_that_nobody_holds_are_named() -> None:
    directory = found(await examined(recorded("epic")), "directory")
    assert directory.level is Level.ATTENTION
    assert "on-call-manager" in directory.remedy
    assert "team-manager" not in directory.remedy
    assert " gp," not in directory.remedy


async def test_only_an_epr_that_is_configured_is_examined() -> None:
    with pytest.raises(NotKnown, match="'other'; configured: trust"):
        await examine("other", settings())
    with pytest.raises(ConfigurationError, match=r"eprs\.trust\.mapping"):
        await examine("trust", settings(mapping="nowhere"))


# The command


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "fhirbridge.yaml"
    file.write_text(f"eprs: {{trust: {{base_url: '{BASE}', token: {TOKEN}}}}}")
    return file


def run(*arguments: str | Path, statement: dict[str, Any] | None = None) -> Any:
    with respx.mock(assert_all_called=False) as router:
        router.get(f"{BASE}/metadata").respond(json=statement or recorded("epic"))
        router.get(url__regex=rf"{BASE}/[A-Za-z]+/fhirbridge-doctor").respond(404)
        router.get(url__regex=rf"{BASE}/[A-Za-z]+\?").respond(json={"resourceType": "Bundle"})
        return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def test_a_table_for_people(config: Path) -> None:
    result = run("--config", config)
    assert result.exit_code == 0
    assert "Appointment" in result.stdout
    assert result.stderr.startswith("trust: the service can work there; ")
    assert TOKEN not in result.output


def test_json_for_machines(config: Path) -> None:
    result = run("--config", config, "--json")
    (one,) = orjson.loads(result.stdout)
    assert (one["epr"], one["supported"], one["fhir_version"]) == ("trust", True, "4.0.1")
    assert {"type": "Appointment", "kind": "date-window", "by": "date"} in one["feeds"]
    assert next(write["way"] for write in one["writes"] if write["type"] == "Task") == "communication"
    assert {"area", "checked", "found", "used", "level", "remedy"} == set(one["findings"][0])
    assert TOKEN not in result.stdout


def test_an_epr_that_cannot_do_it_is_a_finding(config: Path) -> None:
    result = run("--config", config, statement=without(recorded("epic"), "Appointment"))
    assert result.exit_code == 1
    assert "trust: Appointment: not offered; have Subscription enabled" in result.stderr


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("eprs: {}", "eprs: no EPR is configured"),
        (f"eprs: {{trust: {{base_url: '{BASE}', auth: {{kind: smart}}}}}}", "client_id"),
        (
            f"eprs: {{trust: {{base_url: '{BASE}', auth: {{kind: smart, client_id: a, key: /nowhere}}}}}}",
            "eprs.trust.auth.key: /nowhere cannot be read",
        ),
        (f"eprs: {{trust: {{base_url: '{BASE}', packs: [nothing]}}}}", "nothing"),
    ],
)
def test_wrong_configuration_is_named(text: str, cause: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    result = run("--config", file)
    assert result.exit_code == 2
    assert cause in result.stderr


def test_an_epr_that_is_not_configured_is_wrong_usage(config: Path) -> None:
    result = run("--config", config, "--epr", "other")
    assert (result.exit_code, "configured: trust" in result.stderr) == (2, True)
