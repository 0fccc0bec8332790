"""A real FHIR R4 server as the sample EPR: `sekmet-fhir` in a process of its own, on loopback, with nothing in it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from subprocess import DEVNULL, STDOUT

import httpx
import yaml

from fhirbridge.errors import ConfigurationError, EprUnavailable

_READY_WITHIN = 30.0
_STOPS_WITHIN = 5.0
_POLL = 0.05


def command() -> str:
    """The program that is the EPR.

    Raises:
        ConfigurationError: it is not installed.
    """
    beside = Path(sys.executable).with_name("sekmet")
    found = str(beside) if beside.is_file() else shutil.which("sekmet")
    if not found:
        raise ConfigurationError(
            "the sample EPR (sekmet-fhir) is not installed; install the extra: pip install 'fhirbridge[demo]'"
        )
    return found


@asynccontextmanager
async def sample_epr(folder: Path, port: int) -> AsyncIterator[str]:
    """Run the EPR with its data in the folder; its FHIR base URL.

    Raises:
        ConfigurationError: it is not installed.
        EprUnavailable: it does not start.
    """
    base_url = f"http://127.0.0.1:{port}/fhir"
    settings = {
        "base_url": base_url,
        "host": "127.0.0.1",
        "port": port,
        "data_dir": str(folder / "epr"),
        "log_inbound": False,
        "simulator": {"enabled": False},
        "server_auth": {"types": ["none"]},
    }
    (folder / "epr.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEKMET_")}
    with _log(folder / "epr.log") as log:
        # A session of its own: Ctrl-C is for the demonstration, which then stops the EPR itself.
        process = await asyncio.create_subprocess_exec(
            command(),
            *("serve", "--config", "epr.yaml"),
            cwd=folder,
            env=environment,
            stdin=DEVNULL,
            stdout=log,
            stderr=STDOUT,
            start_new_session=True,
        )
    try:
        await _ready(process, base_url, folder / "epr.log")
        yield base_url
    finally:
        await _stop(process)


@contextmanager
def _log(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def _ready(process: asyncio.subprocess.Process, base_url: str, log: Path) -> None:
    async with httpx.AsyncClient(timeout=2.0) as client:
        for _ in range(int(_READY_WITHIN / _POLL)):
            if process.returncode is not None:
                break
            try:
                if (await client.get(f"{base_url}/metadata")).is_success:
                    return
            except httpx.TransportError:
                await asyncio.sleep(_POLL)
    raise EprUnavailable(f"the sample EPR did not start at {base_url}: {_last_words(log)}")


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOPS_WITHIN)
    except TimeoutError:
        process.kill()
        await process.wait()
