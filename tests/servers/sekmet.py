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

from tests.loopback import free_port

_READY_WITHIN = 60.0
_STOPS_WITHIN = 10.0


@contextmanager
def sekmet(
    folder: Path, *, port: int | None = None, token: str | None = None, smart: Sequence[Mapping[str, Any]] = ()
) -> Iterator[str]:
    """Run sekmet with its data in `folder`; the FHIR base URL.

    With `token` it asks for that bearer token; with `smart`, also for tokens of SMART Backend Services, to be had by
    the clients that are described (`client_id`, `jwks`, `scopes`; keys of one kind for each). The same folder and port
    give the same EPR again, as after a restart.
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
    finally:
        server.terminate()
        try:
            server.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


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
