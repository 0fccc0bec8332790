"""A real FHIR R4 server for tests: `sekmet-fhir` on loopback, its simulator off, its data in a temporary folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from fhirbridge.fhir.canonical import ORIGIN
from fhirbridge.fhir.r4 import Resource
from tests.loopback import free_port
from tests.validators import WRITTEN, faults_of_written

_READY_WITHIN = 60.0
_STOPS_WITHIN = 10.0


@contextmanager
def sekmet(
    folder: Path, *, port: int | None = None, token: str | None = None, smart: Sequence[Mapping[str, Any]] = ()
) -> Iterator[str]:
    """Run sekmet with its data in `folder`; the FHIR base URL.

    With `token` it asks for that bearer token; with `smart`, also for tokens of SMART Backend Services, to be had by
    the clients that are described (`client_id`, `jwks`, `scopes`; keys of one kind for each). The same folder and port
    give the same EPR again, as after a restart. What the service has written there is validated in the end, unless it
    can be read with such tokens alone.
    """
    port = port or free_port()
    base_url = f"http://127.0.0.1:{port}/fhir"
    configuration = {
        "base_url": base_url,
        "host": "127.0.0.1",
        "port": port,
        "data_dir": str(folder / "data"),
        "log_inbound": False,
        "simulator": {"enabled": False},
        "server_auth": _authentication(token, smart),
    }
    (folder / "sekmet.yaml").write_text(yaml.safe_dump(configuration))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEKMET_")}
    command = [str(Path(sys.executable).with_name("sekmet")), "serve", "--config", "sekmet.yaml"]
    with (folder / "sekmet.log").open("ab") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(server, base_url, folder / "sekmet.log")
        yield base_url
        if not smart or token:
            faults = faults_at(base_url, token)
            assert faults == [], f"what was written to {base_url} is not valid: {faults}"
    finally:
        server.terminate()
        try:
            server.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def faults_at(base_url: str, token: str | None = None) -> list[str]:
    """What the validators have against what the service has written there."""
    resources = list(written_at(base_url, token))
    found = ((f"{one['resourceType']}/{one['id']}", fault) for one in resources for fault in faults_of_written(one))
    return [f"{which}: {fault}" for which, fault in found]


def written_at(base_url: str, token: str | None = None) -> Iterator[Resource]:
    """Everything that the service has written there, by its tag, a page at a time."""
    with httpx.Client(headers={"Authorization": f"Bearer {token}"} if token else {}) as client:
        for kind in WRITTEN:
            page: str | None = f"{base_url}/{kind}?_tag={ORIGIN}%7Cfhirbridge&_count=200"
            while page:
                bundle = client.get(page).raise_for_status().json()
                yield from (entry["resource"] for entry in bundle.get("entry", []))
                page = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), None)


def _authentication(token: str | None, smart: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    types = ["smart"] * bool(smart) + ["bearer"] * bool(token)
    tokens = [token] if token else []
    return {"types": types or ["none"], "tokens": tokens, "smart_clients": [dict(client) for client in smart]}


@pytest.fixture(scope="session")
def sekmet_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """FHIR base URL of one sekmet for the whole run: tests share it, so each uses patients of its own."""
    with sekmet(tmp_path_factory.mktemp("sekmet")) as base_url:
        yield base_url


def _wait_until_ready(server: subprocess.Popen[bytes], base_url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{base_url}/metadata", timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError(f"sekmet did not start at {base_url}: {log.read_text()[-2000:]}")
