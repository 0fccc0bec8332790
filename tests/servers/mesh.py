"""A real MESH for tests: `mesh-sandbox` on loopback, in an environment of its own, with three mailboxes.

`X26ABC1` is ours, `X26ABC2` and `X26ABC3` are practices. Its messages are in memory: stopped and started, it is empty.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.loopback import free_port

OURS, PRACTICE, OTHER_PRACTICE = "X26ABC1", "X26ABC2", "X26ABC3"
PRACTICE_ODS, OTHER_PRACTICE_ODS = "X26", "X27"
PASSWORD = "password"
SHARED_KEY = "TestKey"

_PYTHON = Path(__file__).parents[2] / ".mesh-sandbox" / "bin" / "python"
_READY_WITHIN = 60.0
_STOPS_WITHIN = 10.0


@contextmanager
def mesh_sandbox(folder: Path, *, port: int | None = None) -> Iterator[str]:
    """Run it; its URL. `folder` takes its log."""
    if not _PYTHON.exists():
        pytest.fail("the tests' MESH is not installed; run `make test-integration`, or `make .mesh-sandbox/.synced`")
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "STORE_MODE": "memory",
        "AUTH_MODE": "full",
        "SHARED_KEY": SHARED_KEY,
        "ENV": "local",
    }
    serving = ["uvicorn", "mesh_sandbox.api:app", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (folder / "mesh.log").open("ab") as log:
        server = subprocess.Popen(
            [str(_PYTHON), "-m", *serving], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_ready(server, url, folder / "mesh.log")
        yield url
    finally:
        server.terminate()
        try:
            server.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def forget_everything(url: str) -> None:
    """Empty every mailbox, and forget what was sent."""
    httpx.delete(f"{url}/messageexchange/admin/reset").raise_for_status()


def report(url: str, *, code: str, description: str, about: str, workflow: str, undelivered: bool = True) -> None:
    """Have MESH put a report about a message into our mailbox."""
    wanted = {
        "mailbox_id": OURS,
        "code": code,
        "description": description,
        "workflow_id": workflow,
        "linked_message_id": about,
        "status": "undeliverable" if undelivered else "error",
    }
    httpx.post(f"{url}/messageexchange/admin/report", json=wanted).raise_for_status()


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"the tests' MESH did not start: {log.read_text(errors='replace')[-2000:]}")
