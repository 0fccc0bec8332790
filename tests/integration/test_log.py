"""No line of the log names a patient, not even that of an error which nobody foresaw."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging
import structlog
from fhirbridge.cli.log import configure_log

configure_log("info")
ours, theirs = structlog.get_logger("ours"), logging.getLogger("theirs")
try:
    raise KeyError("Patient/amina-1 and 999 012 6704")
except KeyError as error:
    ours.error("a request failed", exc_info=error, epr="main")
    theirs.exception("Task failed: %r", error)
"""


@pytest.fixture(scope="module")
def lines() -> list[dict[str, str]]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize("row", [0, 1], ids=["ours", "of a library"])
def test_ids_and_nhs_numbers_are_taken_out_of_messages_and_tracebacks(lines: list[dict[str, str]], row: int) -> None:
    said = json.dumps(lines[row], ensure_ascii=False)

    assert "amina-1" not in said
    assert "6704" not in said
    assert "KeyError: 'Patient/… and …'" in lines[row]["exception"]


def test_the_rest_is_said(lines: list[dict[str, str]]) -> None:
    ours, theirs = lines

    assert (ours["event"], ours["epr"], ours["level"]) == ("a request failed", "main", "error")
    assert theirs["event"] == "Task failed: KeyError('Patient/… and …')"
    assert 'File "<string>", line 9' in ours["exception"]
