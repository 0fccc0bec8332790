"""`python -m bench`: what deciding costs, and simulating a caseload against DuckDB that only counts in it.

`python -m bench faults` plays the fault bench over as many seeds as wanted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from bench import caseload, counting, deciding, faults
from fhirbridge.packs.loading import load_pack
from fhirbridge.wiring.policies import calendar_of

DECIDE_NONE, DECIDE_TWO, TIMES_DUCKDB = 50.0, 200.0, 20.0
PACK = "rdash-disengagement"


def main() -> None:
    if sys.argv[1:2] == ["faults"]:
        sys.exit(faults.main(sys.argv[2:]))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--appointments", type=int, default=100_000)
    parser.add_argument("--full", action="store_true", help="1,000,000 appointments of 50,000 patients")
    parser.add_argument("--only", choices=("deciding", "simulating"))
    given = parser.parse_args()
    results: list[dict[str, Any]] = []
    if given.only != "simulating":
        results += _deciding()
    if given.only != "deciding":
        results += _simulating(1_000_000 if given.full else given.appointments)
    _show(results)


def _deciding() -> list[dict[str, Any]]:
    found = deciding.measured(load_pack(PACK, calendar=calendar_of("Europe/London", "ENG")))
    targets = {"decide, none running": DECIDE_NONE, "decide, two running": DECIDE_TWO}
    return [
        {"what": f"40 facts: {name}", "value": value, "unit": "µs", "target": targets.get(name)}
        for name, value in found.items()
        if not name.startswith("pathways")
    ]


def _simulating(appointments: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name) / "caseload"
        # Elsewhere, because a process that is started from here counts the memory of this one as its own.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
            lines, size = elsewhere.submit(caseload.write, folder, appointments).result()
            elsewhere.submit(counting.count, folder, os.cpu_count() or 1).result()  # to have it in the page cache
            _, counted = elsewhere.submit(counting.count, folder, os.cpu_count() or 1).result()
        out = Path(name) / "out.ndjson"
        simulated, memory = _simulated(folder, out)
        written = out.stat().st_size
    return [
        {"what": f"{appointments} appointments, {lines} versions", "value": size / 1e6, "unit": "MB", "target": None},
        {"what": "DuckDB counting", "value": counted, "unit": "s", "target": None},
        {"what": "simulating the whole pack", "value": simulated, "unit": "s", "target": None},
        {"what": "written", "value": written / 1e6, "unit": "MB", "target": None},
        {"what": "most memory of a simulating process", "value": memory, "unit": "MB", "target": None},
        {"what": "simulating / counting", "value": simulated / counted, "unit": "times", "target": TIMES_DUCKDB},
    ]


def _simulated(folder: Path, out: Path) -> tuple[float, float]:
    """Seconds that the command takes, and the most memory in MB that any one of its processes had."""
    command = ["simulate", str(folder), "--pack", PACK, "--until", caseload.END.isoformat(), "--out", str(out)]
    start = time.perf_counter()
    process = subprocess.Popen([Path(sys.executable).with_name("fhirbridge"), *command])
    _, status, usage = os.wait4(process.pid, 0)
    if failed := os.waitstatus_to_exitcode(status):
        raise SystemExit(f"simulate ended with {failed}; see what it said above")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def _show(results: list[dict[str, Any]]) -> None:
    table = Table("What", "Measured", "Target")
    for row in results:
        target = f"≤ {row['target']:g} {row['unit']}" if row["target"] else ""
        table.add_row(row["what"], f"{row['value']:.1f} {row['unit']}", target)
    Console(stderr=True).print(table)
    sys.stdout.buffer.write(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
