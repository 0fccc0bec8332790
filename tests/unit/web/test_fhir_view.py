"""The read-only FHIR view: who may read, what can be read and searched for, and that every access is witnessed."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fhirkit
import httpx
import pytest

from fhirbridge.fhir.canonical import ACTION, OBLIGATION
from fhirbridge.fhir.view import SEARCHABLE
from tests.unit.web.stage import ANN, ANN_ELSEWHERE, BOB, NARROW, NOON, BrokenAudit, Stage, provenance, task

WITHIN = "https://bridge.example/fhir"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def several(tmp_path: Path) -> Stage:
    return Stage(tmp_path, "main", "other")


def outcome(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/fhir+json")
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    issue: dict[str, Any] = body["issue"][0]
    return issue


async def ids(stage: Stage, query: str) -> list[str]:
    """Identities of what a search finds on its first page."""
    answer = await stage.get(f"/fhir/{query}")
    assert answer.status_code == 200, answer.text
    return [one["resource"]["identifier"][0]["value"] for one in answer.json().get("entry", [])]


# Who may read


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer wrong", "Basic a-token-of-many-random-bits", "Bearer \xe9"])
async def test_without_a_token_of_the_settings_nothing_is_shown(stage: Stage, shown: str) -> None:
    reference = await stage.place(ANN, "i", task("i"))

    for path in ("Task", reference, f"{reference}/_history"):
        answer = await stage.http.get(f"/fhir/{path}", headers={b"Authorization": shown.encode("latin-1")})
        assert outcome(answer, 401)["code"] == "login"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert stage.store.audit.events == []


async def test_it_is_closed_when_nothing_is_configured(tmp_path: Path) -> None:
    stage = Stage(tmp_path, access={})

    assert outcome(await stage.get("/fhir/Task"), 401)["code"] == "login"
    assert (await stage.http.get("/fhir/metadata")).status_code == 200


async def test_a_client_of_one_epr_sees_nothing_of_another(several: Stage) -> None:
    here = await several.place(ANN, "i", task("i"))
    there = await several.place(ANN_ELSEWHERE, "i", task("i"))

    found = (await several.get("/fhir/Task", NARROW)).json()
    assert [f"Task/{one['resource']['id']}" for one in found["entry"]] == [there]
    assert (await several.get(f"/fhir/{there}", NARROW)).status_code == 200
    assert outcome(await several.get(f"/fhir/{here}", NARROW), 404)["code"] == "not-found"
    assert outcome(await several.get(f"/fhir/{here}/_history", NARROW), 404)["code"] == "not-found"


# Reading


async def test_a_resource_is_read_as_it_stands_with_its_version(stage: Stage) -> None:
    reference = await stage.place(ANN, "i", task("i"))
    await stage.place(ANN, "i", task("i", status="cancelled"), based_on=1)

    answer = await stage.get(f"/fhir/{reference}")

    assert answer.headers["Content-Type"] == "application/fhir+json"
    assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == ('W/"2"', "private, no-store")
    assert answer.headers["Last-Modified"] == "Mon, 02 Mar 2026 12:00:00 GMT"
    told = answer.json()
    assert (told["status"], told["meta"]["versionId"]) == ("cancelled", "2")
    assert f"Task/{told['id']}" == reference
    again = await stage.get(f"/fhir/{reference}", **{"If-None-Match": 'W/"1", W/"2"'})
    assert (again.status_code, again.content) == (304, b"")


async def test_every_version_can_be_read(stage: Stage) -> None:
    reference = await stage.place(ANN, "i", task("i"))
    stage.clock.time += timedelta(hours=1)
    await stage.place(ANN, "i", task("i", status="completed"), based_on=1)

    first = await stage.get(f"/fhir/{reference}/_history/1")
    assert (first.json()["status"], first.headers["ETag"]) == ("requested", 'W/"1"')
    history = (await stage.get(f"/fhir/{reference}/_history")).json()
    assert [one["resource"]["status"] for one in history["entry"]] == ["completed", "requested"]
    assert (history["type"], history["total"]) == ("history", 2)
    assert [str(issue) for issue in fhirkit.validate(json.dumps(history))] == []
    assert outcome(await stage.get(f"/fhir/{reference}/_history/3"), 404)["code"] == "not-found"


@pytest.mark.parametrize("path", ["Task/nobody", "Task/nobody/_history", "Patient/ann", "Patient", "Spaceship?x=1"])
async def test_what_is_not_there_is_not_found(stage: Stage, path: str) -> None:
    assert outcome(await stage.get(f"/fhir/{path}"), 404)["code"] == "not-found"


# Searching


async def test_searching_by_patient_status_code_and_identifier(stage: Stage) -> None:
    await stage.place(ANN, "a", task("a"))
    await stage.place(ANN, "b", task("b", code="contact-family", status="completed"))
    await stage.place(BOB, "c", task("c", "Patient/bob"))

    assert await ids(stage, "Task") == ["a", "b", "c"]
    assert await ids(stage, "Task?patient=Patient/ann") == ["a", "b"]
    assert await ids(stage, "Task?subject=ann") == ["a", "b"]
    assert await ids(stage, "Task?patient=https://main.example/fhir/Patient/bob,ann") == ["a", "b", "c"]
    assert await ids(stage, "Task?patient=https://elsewhere.example/fhir/Patient/bob") == []
    assert await ids(stage, "Task?patient=Group/ann") == []
    assert await ids(stage, "Task?status=completed,cancelled") == ["b"]
    assert await ids(stage, "Task?status=http://hl7.org/fhir/task-status|completed") == ["b"]
    assert await ids(stage, f"Task?code={ACTION}|contact-family&patient=ann") == ["b"]
    assert await ids(stage, "Task?code=http://other|contact-family") == []
    assert await ids(stage, f"Task?identifier={OBLIGATION}|c") == ["c"]
    assert await ids(stage, "Task?identifier=c,a") == ["a", "c"]
    assert await ids(stage, "Task?identifier=http://other|c") == []
    assert await ids(stage, "Communication?category=contact-family") == []


async def test_searching_by_when_it_was_last_changed(stage: Stage) -> None:
    await stage.place(ANN, "early", task("early"))
    stage.clock.time += timedelta(days=1)
    await stage.place(ANN, "late", task("late"))

    assert await ids(stage, "Task?_lastUpdated=ge2026-03-03T12:00:00Z") == ["late"]
    assert await ids(stage, "Task?_lastUpdated=gt2026-03-03T12:00:00Z") == []
    assert await ids(stage, "Task?_lastUpdated=lt2026-03-03T12:00:00Z") == ["early"]
    assert await ids(stage, "Task?_lastUpdated=le2026-03-03T12:00:00Z") == ["early", "late"]
    assert await ids(stage, "Task?_lastUpdated=2026-03-02") == ["early"]
    assert await ids(stage, "Task?_lastUpdated=eq2026-03") == ["early", "late"]
    assert await ids(stage, "Task?_lastUpdated=gt2026-03-02") == ["late"]
    assert await ids(stage, "Task?_lastUpdated=ge2026-03-02&_lastUpdated=lt2026-03-03") == ["early"]
    assert await ids(stage, "Task?_lastUpdated=eb2026") == []


async def test_the_reason_is_found_by_its_target(stage: Stage) -> None:
    mine = await stage.place(ANN, "a", task("a"))
    other = await stage.place(ANN, "b", task("b"))
    why = await stage.place(ANN, "w", provenance(mine))
    await stage.place(ANN, "v", provenance(other))

    answer = (await stage.get(f"/fhir/Provenance?target={mine}")).json()
    assert [f"Provenance/{one['resource']['id']}" for one in answer["entry"]] == [why]
    assert answer["total"] == 1
    absolute = (await stage.get(f"/fhir/Provenance?target={WITHIN}/{mine},{other}&_count=1")).json()
    assert (absolute["total"], len(absolute["entry"])) == (2, 1)
    [following] = [link["url"] for link in absolute["link"] if link["relation"] == "next"]
    rest = (await stage.get(following.removeprefix("https://bridge.example"))).json()
    assert len(rest["entry"]) == 1
    assert (await stage.get("/fhir/Provenance?target=Task/nobody")).json()["total"] == 0


async def test_pages_follow_one_another_and_nothing_is_left_out(stage: Stage) -> None:
    for number in range(7):
        await stage.place(ANN, f"i{number}", task(f"i{number}"))

    seen: list[str] = []
    url = "/fhir/Task?_count=3&patient=ann"
    first = True
    while url:
        answer = await stage.get(url)
        bundle = answer.json()
        assert [str(issue) for issue in fhirkit.validate(answer.text)] == []
        seen += [one["resource"]["identifier"][0]["value"] for one in bundle["entry"]]
        if first:  # what changes while somebody reads comes again, at the end
            await stage.place(ANN, "i4", task("i4", status="completed"), based_on=1)
            first = False
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        assert bundle["total"] == 7
        url = urlsplit(following[0])._replace(scheme="", netloc="").geturl() if following else ""
        assert "ann" not in url
    assert seen == ["i0", "i1", "i2", "i3", "i5", "i6", "i4"]


async def test_the_number_alone_and_bounds_of_a_page(stage: Stage) -> None:
    for number in range(3):
        await stage.place(ANN, f"i{number}", task(f"i{number}"))

    bundle = (await stage.get("/fhir/Task?_summary=count")).json()
    assert (bundle["total"], "entry" in bundle) == (3, False)
    assert len((await stage.get("/fhir/Task?_count=0")).json()["entry"]) == 1
    assert len((await stage.get("/fhir/Task?_count=99999999999999")).json()["entry"]) == 3


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("Task?name=x", "name"),
        ("Task?status:not=completed", "status:not"),
        ("Task?category=x", "category"),
        ("Task?_sort=status", "_sort"),
        ("Task?status=", "status"),
        ("Task?status=a&status=b", "status"),
        ("Task?patient=ann&subject=ann", "subject"),
        ("Task?_count=many", "_count"),
        ("Task?_summary=text", "_summary"),
        ("Task?_lastUpdated=ap2026-03-02", "_lastUpdated"),
        ("Task?_lastUpdated=yesterday", "_lastUpdated"),
        ("Task?_lastUpdated=ge2026-02-31", "_lastUpdated"),
        ("Task?_page=x", "_page"),
        ("Task?_page=WyJGbGFnIixbXSwxXQ", "_page"),
        ("Provenance?patient=ann", "patient"),
    ],
)
async def test_what_is_not_understood_is_refused_by_its_name(stage: Stage, query: str, named: str) -> None:
    issue = outcome(await stage.get(f"/fhir/{query}"), 400)

    assert issue["diagnostics"].startswith(f"{named}: ")


# Form


@pytest.mark.parametrize("accept", ["application/fhir+xml", "text/html", "application/fhir+json; fhirVersion=5.0"])
async def test_another_form_is_not_acceptable(stage: Stage, accept: str) -> None:
    assert outcome(await stage.get("/fhir/Task", Accept=accept), 406)["code"] == "not-supported"
    assert outcome(await stage.http.get("/fhir/metadata", headers={"Accept": accept}), 406)


@pytest.mark.parametrize(
    "accept", ["application/json", "text/html, */*;q=0.1", "application/fhir+json;fhirVersion=4.0"]
)
async def test_json_by_any_name(stage: Stage, accept: str) -> None:
    assert (await stage.get("/fhir/Task", Accept=accept)).status_code == 200


async def test_the_form_can_be_asked_for_in_the_address(stage: Stage) -> None:
    assert (await stage.get("/fhir/Task?_format=json", Accept="text/html")).status_code == 200
    assert (await stage.get("/fhir/Task?_format=xml")).status_code == 406


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_it_is_read_only(stage: Stage, method: str) -> None:
    reference = await stage.place(ANN, "i", task("i"))

    answer = await stage.http.request(method, f"/fhir/{reference}", headers={"Authorization": "Bearer x"})
    assert outcome(answer, 405)["code"] == "not-supported"


async def test_it_says_of_itself_exactly_what_it_does(stage: Stage) -> None:
    statement = (await stage.http.get("/fhir/metadata")).json()

    assert [str(issue) for issue in fhirkit.validate(json.dumps(statement))] == []
    [rest] = statement["rest"]
    assert [one["type"] for one in rest["resource"]] == ["CarePlan", "Communication", "Flag", "Provenance", "Task"]
    for one in rest["resource"]:
        assert {code["code"] for code in one["interaction"]} == {"read", "vread", "history-instance", "search-type"}
        assert [each["name"] for each in one["searchParam"]] == list(SEARCHABLE[one["type"]])
        for parameter in one["searchParam"]:
            value = "2026" if parameter["type"] == "date" else "x"
            assert (await stage.get(f"/fhir/{one['type']}?{parameter['name']}={value}")).status_code == 200


# Several EPRs


async def test_ids_of_several_eprs_never_collide_and_references_say_whose_they_are(several: Stage) -> None:
    here = await several.place(ANN, "i", task("i"))
    there = await several.place(ANN_ELSEWHERE, "i", task("i"))

    assert here != there
    told = (await several.get(f"/fhir/{there}")).json()
    assert told["for"]["reference"] == "https://other.example/fhir/Patient/ann"
    issue = outcome(await several.get("/fhir/Task?patient=Patient/ann"), 400)
    assert "https://other.example/fhir/Patient/" in issue["diagnostics"]
    found = (await several.get("/fhir/Task?patient=https://other.example/fhir/Patient/ann")).json()
    assert [f"Task/{one['resource']['id']}" for one in found["entry"]] == [there]


async def test_references_within_the_view_can_be_followed_there(several: Stage) -> None:
    mine = await several.place(ANN, "a", task("a"))
    why = await several.place(ANN, "w", provenance(mine))

    told = (await several.get(f"/fhir/{why}")).json()
    assert told["target"] == [{"reference": mine}]


# Witness


async def test_every_access_is_witnessed_with_whose_data_it_showed(stage: Stage) -> None:
    reference = await stage.place(ANN, "i", task("i"))
    await stage.get(f"/fhir/{reference}")
    await stage.get("/fhir/Task?status=requested")
    await stage.get("/fhir/Task?status=completed")

    read, found, nothing = stage.store.audit.events
    assert [one["subtype"][0]["code"] for one in (read, found, nothing)] == ["read", "search-type", "search-type"]
    [agent] = read["agent"]
    assert (agent["who"]["identifier"]["value"], agent["network"]["address"]) == ("reporting", "192.0.2.7")
    assert [one["what"]["reference"] for one in read["entity"]] == [
        "https://main.example/fhir/Patient/ann",
        f"{WITHIN}/{reference}",
    ]
    assert [one.get("what", {}).get("reference") for one in found["entity"]] == [
        "https://main.example/fhir/Patient/ann",
        None,
    ]
    assert [one.get("what") for one in nothing["entity"]] == [None]
    assert read["recorded"] == "2026-03-02T12:00:00Z" == NOON.isoformat().replace("+00:00", "Z")


async def test_where_the_access_cannot_be_witnessed_nothing_is_shown(stage: Stage) -> None:
    reference = await stage.place(ANN, "i", task("i"))
    stage.store.audit = BrokenAudit()
    stage.rebuild()

    for path in (reference, "Task", f"{reference}/_history", f"{reference}/_history/1"):
        answer = await stage.get(f"/fhir/{path}")
        assert outcome(answer, 503)["code"] == "transient"
        assert "requested" not in answer.text
