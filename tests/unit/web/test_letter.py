"""A letter is opened at the console as its reader gets it."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.unit.web.stage import ANN, PASSWORD, BrokenAudit, Stage

PDF = b"%PDF-1.7 a letter"


def message(data: str, kind: str = "application/pdf") -> dict[str, Any]:
    return {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": ANN.patient},
        "payload": [
            {"contentString": "We missed you."},
            {"contentAttachment": {"contentType": kind, "data": data, "title": "Letter"}},
        ],
    }


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path)
    await stage.http.post("/sign-in", data={"name": "a.nwosu", "password": PASSWORD})
    return stage


async def test_it_is_opened_from_its_page_and_that_is_witnessed(stage: Stage) -> None:
    reference = await stage.place(ANN, "letter", message(b64encode(PDF).decode()))
    assert f'href="/items/{reference}/letter"' in (await stage.http.get(f"/items/{reference}")).text
    before = len(stage.store.audit.events)

    answer = await stage.http.get(f"/items/{reference}/letter")

    assert (answer.status_code, answer.headers["Content-Type"], answer.content) == (200, "application/pdf", PDF)
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    [event] = stage.store.audit.events[before:]
    assert "https://main.example/fhir/Patient/ann" in [one.get("what", {}).get("reference") for one in event["entity"]]

    stage.store.audit = BrokenAudit()
    cookies = stage.http.cookies
    stage.rebuild()
    stage.http.cookies = cookies
    assert PDF not in (await stage.http.get(f"/items/{reference}/letter")).content


async def test_nobody_opens_it_who_has_not_signed_in(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    reference = await stage.place(ANN, "letter", message(b64encode(PDF).decode()))
    answer = await stage.http.get(f"/items/{reference}/letter")
    assert (answer.status_code, PDF in answer.content) == (303, False)


@pytest.mark.parametrize(
    "resource",
    [
        message("!"),
        message(b64encode(b"<script>").decode()),
        message(b64encode(PDF).decode(), "text/html"),
        {"resourceType": "Communication", "status": "completed", "subject": {"reference": ANN.patient}},
    ],
    ids=["no base64", "no PDF", "another type", "words alone"],
)
async def test_what_is_no_letter_is_not_opened(stage: Stage, resource: dict[str, Any]) -> None:
    reference = await stage.place(ANN, "letter", resource)
    assert "/letter" not in (await stage.http.get(f"/items/{reference}")).text
    assert (await stage.http.get(f"/items/{reference}/letter")).status_code == 404
