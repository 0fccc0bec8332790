"""Which practice a patient is registered with, from a file that somebody else keeps up to date.

CSV with a header and the columns `nhs_number` and `ods`, as an extract of the Personal Demographics Service gives them.
It is read again when it has changed.
"""

from __future__ import annotations

import asyncio
import csv
import re
from pathlib import Path

from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir import canonical
from fhirbridge.ports import Resource

_ODS = re.compile(r"[A-Z0-9]{3,10}")
_COLUMNS = ("nhs_number", "ods")


class PracticesFile:
    """`channels.Practices` over a file.

    Raises:
        ConfigurationError: the file cannot be read, or a line of it is wrong.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0.0
        self._practices: dict[str, str] = {}
        self._refresh()

    async def practice_of(self, patient: Resource) -> str:
        """The ODS code of the patient's practice; empty where the file has none."""
        await asyncio.to_thread(self._refresh)
        numbers = (i.get("value", "") for i in patient.get("identifier", []) if i.get("system") == canonical.NHS_NUMBER)
        found = (self._practices.get(re.sub(r"\D", "", str(number)), "") for number in numbers)
        return next(filter(None, found), "")

    def _refresh(self) -> None:
        try:
            changed = self._file.stat().st_mtime
            if changed != self._read:
                self._practices = _practices(self._file)
                self._read = changed
        except (OSError, UnicodeDecodeError) as error:
            told = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigurationError(f"{self._file} cannot be read: {told}", place="practices") from None


def _practices(file: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        if missing := set(_COLUMNS) - set(rows.fieldnames or ()):
            raise ConfigurationError(
                f"has no column {min(missing)}; the first line names {' and '.join(_COLUMNS)}", place=f"{file}:1"
            )
        for row in rows:
            number, ods = (re.sub(r"\s", "", row[name] or "") for name in _COLUMNS)
            if not _ODS.fullmatch(ods):
                raise ConfigurationError(
                    "ods is no ODS code; write 3 to 10 capitals and digits", place=f"{file}:{rows.line_num}"
                )
            found[number] = ods
    return found
