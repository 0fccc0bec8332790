"""The service over real HTTP: what is taken, what is refused and how, and that nothing accepted is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.loopback import free_port
from tests.servers.fhirbridge import environment, eventually, ready, running

pytestmark = pytest.mark.slow

SECRET = "correct horse battery staple"
NOTIFY = "/fhir/notify/main"
APPOINTMENT = {
    "resourceType": "Appointment",
    "id": "a1",
    "meta": {"versionId": "1", "lastUpdated": "2026-03-02T09:00:00Z"},
    "status": "booked",
    "participant": [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}],
}


class Served:
    """A service whose one EPR never answers, so that what it accepts stays in the inbox to be counted."""

    def __init__(self, base_url: str, folder: Path) -> None:
        self.http = httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {SECRET}"}, timeout=30)
        self.folder = folder

    def inbox(self) -> int:
        with sqlite3.connect(f"file:{self.folder}/fhirbridge.db?mode=ro", uri=True) as database:
            count: int = database.execute("SELECT count(*) FROM inbox").fetchone()[0]
        database.close()
        return count


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("web")
    port = free_port()
    nowhere = f"http://127.0.0.1:{free_port()}/fhir"
    extra = {"FHIRBRIDGE_EPRS__MAIN__NOTIFY_SECRET": SECRET, "FHIRBRIDGE_EPRS__MAIN__SUBSCRIBE": "false"}
    with running("serve", environment(folder, port, nowhere, **extra), folder):
        ready(port, folder / "serve.log")
        one = Served(f"http://127.0.0.1:{port}", folder)
        yield one
        one.http.close()


def outcome(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The one issue of a refusal, which is FHIR and shows nothing of our insides."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/fhir+json")
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert "Traceback" not in answer.text
    [issue] = body["issue"]
    assert issue["severity"] == "error"
    assert isinstance(issue, dict)
    return issue


def test_a_resource_is_accepted_and_durable_by_then(served: Served) -> None:
    before = served.inbox()

    answer = served.http.post(NOTIFY, json=APPOINTMENT)

    assert answer.status_code == 200
    assert served.inbox() == before + 1


def test_put_and_delete_name_the_resource_in_the_path(served: Served) -> None:
    before = served.inbox()

    assert served.http.put(f"{NOTIFY}/Appointment/a1", json=APPOINTMENT).status_code == 200
    assert served.http.put(f"{NOTIFY}/Appointment/a1").status_code == 200
    assert served.http.delete(f"{NOTIFY}/Appointment/a1").status_code == 200
    assert served.inbox() == before + 3


def test_an_empty_notification_waits_for_an_epr_that_can_be_asked(served: Served) -> None:
    answer = served.http.post(NOTIFY)

    assert outcome(answer, 503)["code"] == "transient"
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{not json", "invalid"),
        (b"[1, 2]", "structure"),
        (b'{"resourceType": "Spaceship", "id": "s1"}', "structure"),
        (b'{"resourceType": "Appointment", "meta": {"lastUpdated": "2026-03-02T09:00:00Z"}}', "required"),
        (b'{"resourceType": "Appointment", "id": "a1", "meta": {"lastUpdated": "2026-03-02T09:00:00Z"}}', "required"),
        (
            b'{"resourceType": "Flag", "id": "f1", "status": "active", "meta": {"lastUpdated": "2026-02-31T09:00Z"}}',
            "value",
        ),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, "too-long"),
        (b"[" * 100_000, "too-long"),
    ],
)
def test_bad_input_is_refused_with_the_element(served: Served, body: bytes, code: str) -> None:
    before = served.inbox()

    issue = outcome(served.http.post(NOTIFY, content=body), 400)

    assert issue["code"] == code
    assert issue["diagnostics"]
    assert served.inbox() == before


def test_a_body_of_20_mb_is_too_large(served: Served) -> None:
    assert outcome(served.http.post(NOTIFY, content=b" " * 20_000_000), 413)["code"] == "too-long"


def test_a_chunked_body_is_counted_while_it_is_read(served: Served) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 100_000

    assert outcome(served.http.post(NOTIFY, content=chunks()), 413)["code"] == "too-long"
    assert served.http.get("/livez").status_code == 200


def test_an_unknown_epr_is_not_found(served: Served) -> None:
    assert outcome(served.http.post("/fhir/notify/other", json=APPOINTMENT), 404)["code"] == "not-found"
    assert outcome(served.http.get("/nowhere"), 404)["code"] == "not-found"


@pytest.mark.parametrize("secret", ["", "Bearer", "Bearer wrong", f"Basic {SECRET}", f"bearer-{SECRET}", "Bearer \xe9"])
def test_without_the_secret_nothing_is_taken(served: Served, secret: str) -> None:
    before = served.inbox()

    answer = served.http.post(NOTIFY, json=APPOINTMENT, headers={b"Authorization": secret.encode("latin-1")})

    assert outcome(answer, 401)["code"] == "login"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert served.inbox() == before


def test_other_methods_are_not_allowed(served: Served) -> None:
    assert outcome(served.http.get(NOTIFY), 405)["code"] == "not-supported"
    assert outcome(served.http.post(f"{NOTIFY}/Appointment/a1", json=APPOINTMENT), 405)["code"] == "not-supported"


@pytest.mark.parametrize("path", ["Appointment/a1", "Spaceship/a1", "Appointment/a b"])
def test_path_and_body_have_to_fit(served: Served, path: str) -> None:
    outcome(served.http.put(f"{NOTIFY}/{path}", json={**APPOINTMENT, "id": "other"}), 400)


def test_health_counts_and_the_first_page(served: Served) -> None:
    served.http.post(NOTIFY, json=APPOINTMENT)

    assert served.http.get("/livez").json() == {"status": "alive"}
    ready = served.http.get("/readyz").json()
    assert (ready["status"], ready["not_ready"]) == ("ready", {})
    assert {gap["cause"] for gap in ready["gaps"]} == {"unreachable"}
    counters = served.http.get("/metrics").text
    assert 'fhirbridge_events_total{epr="main"}' in counters
    assert 'fhirbridge_gaps_open{epr="main"} 5.0' in counters
    assert 'fhirbridge_gap_oldest_seconds{epr="main"}' in counters
    assert "fhirbridge" in served.http.get("/").text


def test_a_service_that_cannot_subscribe_says_so(tmp_path: Path) -> None:
    port = free_port()
    nowhere = f"http://127.0.0.1:{free_port()}/fhir"
    with running("serve", environment(tmp_path, port, nowhere), tmp_path):

        def unready() -> httpx.Response | None:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/readyz")
            except httpx.TransportError:
                return None
            return answer if "ConnectError" in answer.text else None

        answer = eventually(unready, (tmp_path / "serve.log").read_text)

    assert answer is not None
    assert answer.status_code == 503
    assert list(answer.json()["not_ready"]) == ["subscriptions at main"]


def test_a_wrong_setting_ends_it_with_one_line_that_names_it(tmp_path: Path) -> None:
    settings = environment(tmp_path, 0, "http://127.0.0.1:1/fhir", FHIRBRIDGE_EPRS__MAIN__MAPPING="no-such")
    with running("serve", settings, tmp_path) as process:
        assert process.wait(60) == 2

    [line] = (tmp_path / "serve.log").read_text().splitlines()
    assert line.startswith("fhirbridge: eprs.main.mapping: ")
