"""The command `fhirbridge` whose demonstration is looked at before it ends: what lies in its EPR is validated.

Run as a program, with the folder for the report as the first argument and those of `fhirbridge` after it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fhirbridge.cli import demo, main
from tests.servers.sekmet import faults_at, written_at

REPORT = "faults.json"


def run(report: Path) -> None:
    """Play the demonstration, and note what the validators have against what it leaves in the EPR."""
    show: Callable[..., None] = demo._show_where_to_look

    def look_first(caseload: Any, epr_url: str, *others: Any) -> None:
        written = list(written_at(epr_url))
        letters = [one for one in written if any("contentAttachment" in part for part in one.get("payload", []))]
        found = {"written": len(written), "letters": len(letters), "faults": faults_at(epr_url)}
        (report / REPORT).write_text(json.dumps(found))
        show(caseload, epr_url, *others)

    setattr(demo, show.__name__, look_first)
    main()


if __name__ == "__main__":
    folder = Path(sys.argv.pop(1))
    run(folder)
