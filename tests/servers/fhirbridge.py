"""The service itself as tests start it: `fhirbridge serve` or `worker`, a process with settings of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx

_READY_WITHIN = 60.0
_STOPS_WITHIN = 20.0
Found = TypeVar("Found")


def environment(folder: Path, port: int, epr_url: str, **more: str) -> dict[str, str]:
    """Settings of a service with one EPR, `main`, and a database in the folder."""
    return {
        "FHIRBRIDGE_DATABASE_URL": f"sqlite:///{folder}/fhirbridge.db",
        "FHIRBRIDGE_PORT": str(port),
        "FHIRBRIDGE_EPRS__MAIN__BASE_URL": epr_url,
        "FHIRBRIDGE_POLL": "0.2",
        **more,
    }


@contextmanager
def running(command: str, settings: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `fhirbridge COMMAND`; asked to stop, it has to stop in time. Its log is `COMMAND.log` in the folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FHIRBRIDGE_")}
    executable = str(Path(sys.executable).with_name("fhirbridge"))
    with (folder / f"{command}.log").open("ab") as log:
        process = subprocess.Popen(
            [executable, command], cwd=folder, env={**clean, **settings}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def ready(port: int, log: Path) -> None:
    """Wait until the service says that it is ready."""

    def asked() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).is_success
        except httpx.TransportError:
            return False

    eventually(asked, lambda: log.read_text()[-3000:])


def eventually(look: Callable[[], Found], explain: Callable[[], object] = str, every: float = 0.05) -> Found:
    """What `look` finds, as soon as it finds something; fails with an explanation when the time is over."""
    deadline = time.monotonic() + _READY_WITHIN
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, explain()
        time.sleep(every)
