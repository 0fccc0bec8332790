"""Files of records: NDJSON, Bundles, single resources, and folders of them, checked as they are read.

A flaw is a SenderError whose place is `file:line: element`; for an entry of a Bundle the element names it. Files are
read one at a time, so that the input as a whole may be larger than the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from msgspec import Struct

from fhirbridge.errors import SenderError
from fhirbridge.fhir.instants import flaw_in_instant
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.validation import check
from fhirbridge.simulation.places import line_at, path_of

SUFFIXES = (".json", ".ndjson")
"""Which files of a folder are read."""

_BOM = b"\xef\xbb\xbf"


class Deleted(Struct, frozen=True):
    """A deletion that a history Bundle tells of: `reference` is `Type/id`, `at` a FHIR instant."""

    reference: str
    at: str


class _Spot(Struct, frozen=True):
    """Where a JSON value stands: its file, the text of the value, and the line that text begins on."""

    file: Path
    text: bytes
    line: int

    def refuse(self, error: SenderError, within: tuple[str | int, ...] = ()) -> SenderError:
        """The error, with file and line; `within` is the path to the resource in the value."""
        line = self.line - 1 + line_at(self.text.decode(errors="replace"), (*within, *path_of(error.place)))
        entry = f"Bundle.entry[{within[1]}]: " if within else ""
        return SenderError(error.message, place=f"{self.file}:{line}: {entry}{error.place}", issue=error.issue)


class Piece(Struct, frozen=True):
    """A part of a file that can be read by itself: the lines that begin in it, or the one document that the file is."""

    file: Path
    start: int
    end: int
    whole: bool = False


def read(inputs: Iterable[Path]) -> Iterator[Resource | Deleted]:
    """Every resource version in the files and folders, each checked.

    Raises:
        SenderError: a file cannot be read, or something in it is wrong; names file, line and element.
    """
    for piece in pieces(inputs):
        yield from read_piece(piece)


def pieces(inputs: Iterable[Path], size: int = 8_000_000) -> list[Piece]:
    """The files and folders in pieces of about so many bytes, in order.

    Raises:
        SenderError: a file cannot be read, or a folder holds nothing to read.
    """
    return [piece for given in inputs for file in _files(given) for piece in _pieces(file, size)]


def _pieces(file: Path, size: int) -> list[Piece]:
    try:
        end = file.stat().st_size
        if _is_one_document(file):
            return [Piece(file, 0, end, whole=True)]
    except OSError as error:
        raise SenderError(f"cannot be read: {error.strerror}", place=str(file)) from None
    return [Piece(file, start, min(start + size, end)) for start in range(0, end, size)]


def _files(given: Path) -> list[Path]:
    if not given.is_dir():
        return [given]
    found = sorted(path for path in given.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise SenderError(f"the folder holds no file that ends in {' or '.join(SUFFIXES)}", place=str(given))
    return found


def read_piece(piece: Piece) -> Iterator[Resource | Deleted]:
    """Every resource version in the piece, checked; errors as for `read`."""
    try:
        if piece.whole:
            yield from _of_document(_Spot(piece.file, piece.file.read_bytes().removeprefix(_BOM), 1))
            return
        for number, text in _lines(piece):
            try:
                yield from _of_document(_Spot(piece.file, text, number))
            except SenderError:
                if piece.start == 0:
                    raise
                # Lines are only counted from the start of the file once one of them is wrong.
                yield from _of_document(_Spot(piece.file, text, number + _newlines(piece.file, piece.start)))
    except OSError as error:
        raise SenderError(f"cannot be read: {error.strerror}", place=str(piece.file)) from None


def _lines(piece: Piece) -> Iterator[tuple[int, bytes]]:
    """The lines that begin in the piece; numbered from 1, the line on which it starts."""
    with piece.file.open("rb") as lines:
        number, at = 1, piece.start
        if piece.start:
            lines.seek(piece.start - 1)
            rest = lines.readline()  # what is left of a line that began before
            at += len(rest) - 1
            number = 1 if rest == b"\n" else 2
        while at < piece.end and (line := lines.readline()):
            text = line.removeprefix(_BOM) if at == 0 else line
            if text.strip():
                yield number, text
            number, at = number + 1, at + len(line)


def _newlines(file: Path, before: int) -> int:
    with file.open("rb") as text:
        return sum(text.read(min(1 << 20, before - at)).count(b"\n") for at in range(0, before, 1 << 20))


def _is_one_document(file: Path) -> bool:
    """Whether the whole file is one JSON value; what is not called `.ndjson` is looked at."""
    if file.suffix.lower() == ".ndjson":
        return False
    with file.open("rb") as lines:
        first = lines.readline().removeprefix(_BOM)
        try:
            orjson.loads(first)
        except orjson.JSONDecodeError:
            return True
        return not any(line.strip() for line in lines)


def _of_document(spot: _Spot) -> Iterator[Resource | Deleted]:
    try:
        value = orjson.loads(spot.text)
    except orjson.JSONDecodeError as error:
        line = spot.line - 1 + max(error.lineno, 1)
        raise SenderError(f"not JSON: {error.msg} (column {error.colno})", place=f"{spot.file}:{line}") from None
    if not isinstance(value, dict):
        raise SenderError("is not a JSON object; give FHIR resources", place=f"{spot.file}:{spot.line}")
    if value.get("resourceType") != "Bundle":
        yield _checked(spot, value, ())
        return
    entries = value.get("entry", [])
    if not isinstance(entries, list):
        raise spot.refuse(SenderError("is not a list", place="Bundle.entry", issue="structure"))
    for index, entry in enumerate(entries):
        found = _of_entry(spot, index, entry)
        if found is not None:
            yield found


def _of_entry(spot: _Spot, index: int, entry: Any) -> Resource | Deleted | None:
    if not isinstance(entry, dict):
        raise spot.refuse(SenderError("is not an object", place=f"Bundle.entry[{index}]", issue="structure"))
    if _part(entry, "search").get("mode") == "outcome":
        return None  # what the server has to say about the search is no record
    if "resource" in entry:
        return _checked(spot, entry["resource"], ("entry", index, "resource"))
    request = _part(entry, "request")
    if request.get("method") != "DELETE":
        place = f"Bundle.entry[{index}].resource"
        raise spot.refuse(SenderError("is missing; only a deletion has none", place=place, issue="required"))
    at = _part(entry, "response").get("lastModified")
    if flaw := flaw_in_instant(at):
        told = f"{flaw}; without it nobody knows when the resource was deleted"
        raise spot.refuse(SenderError(told, place=f"Bundle.entry[{index}].response.lastModified", issue="value"))
    return Deleted("/".join(str(request.get("url", "")).partition("?")[0].rstrip("/").split("/")[-2:]), str(at))


def _part(entry: Resource, name: str) -> Resource:
    part = entry.get(name)
    return part if isinstance(part, dict) else {}


def _checked(spot: _Spot, value: Any, within: tuple[str | int, ...]) -> Resource:
    if not isinstance(value, dict):
        raise spot.refuse(SenderError("is not a JSON object", place="resource", issue="structure"), within)
    try:
        check(value)
    except SenderError as error:
        raise spot.refuse(error, within) from None
    return value
