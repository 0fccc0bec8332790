"""Records of any size, a patient at a time, on all cores: spread by patient on disk first, then worked through.

1. The input is cut into pieces; each is read, checked and mapped, and the facts are laid into parts by a hash of their
   patient. JSON is parsed once, and what is kept of it is small.
2. Each part is read back and worked through, patient by patient. What comes of it is sorted within the part.
3. The parts are merged in the order of their keys.

What comes out depends on neither the number of processes nor of parts, nor on the order and repetition of the input.
The memory needed is that of a part in each process. The parts lie in a folder that only this user can read, and are
gone when the work is done or has failed.
"""

from __future__ import annotations

import gc
import heapq
import multiprocessing
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zlib import crc32

import msgspec
from msgspec import Struct

from fhirbridge.core.facts import Unmapped
from fhirbridge.core.history import BEGINNING
from fhirbridge.core.merging import Link, groups
from fhirbridge.errors import FhirbridgeError
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.simulation.collecting import Patient, Sieve, Version, sort_out
from fhirbridge.simulation.reading import Deleted, Piece, pieces, read_piece

Item = TypeVar("Item")

_PART = 64_000_000
"""Bytes of input for which a part is made: its facts take a few hundred megabytes in memory at most."""
_SMALL = 4_000_000
"""Bytes of input below which starting processes takes longer than the work."""
_BUFFER = 256 * 1024


class Line(Struct, frozen=True, order=True, array_like=True):
    """One line of the result; lines come out in the order of `at`, then `patient`, then `order`."""

    at: datetime
    patient: str
    order: int
    data: bytes


class Yield(Struct, frozen=True):
    """What came of one patient: lines, and numbers that are added up over all patients."""

    lines: list[Line]
    counts: dict[str, int] = {}


Work = Callable[[Patient, datetime], Yield]
"""What is done with one patient, up to an instant; a function of nothing else."""


class Counts(Struct, frozen=True, kw_only=True):
    """What was read, as in `Collected`, and the numbers that the work on the patients gave.

    `until` is the instant up to which it was worked through, `first_unmapped` an example of what could not be mapped.
    """

    until: datetime
    patients: int
    versions: int
    later: int
    without_use: dict[str, int]
    unmapped: int
    first_unmapped: Unmapped | None
    of_work: dict[str, int]


class Watch(Protocol):
    """Shows how far the work has come."""

    def __call__(self, items: Iterable[Item], what: str, total: int) -> Iterable[Item]:
        """The items, of which there will be `total`."""
        ...


class _Job(Struct):
    """What every process works with; forked processes have it without being sent it."""

    mapping: Mapping
    until: datetime | None
    work: Work
    folder: Path
    parts: int
    deletions: tuple[Deleted, ...] = ()
    linked: dict[str, str] = {}
    """Patients whose records were linked, with the names of their groups: they are worked through after all others."""


class _Laid(Struct):
    """What reading one piece came to, beside the parts."""

    later: int
    without_use: Counter[str]
    deletions: set[Deleted]
    links: set[Link]
    latest: datetime


class _Worked(Struct):
    """What working through one part came to, beside its lines."""

    part: int
    patients: int
    versions: int
    unmapped: tuple[Unmapped, ...]
    counts: Counter[str]


def unwatched(items: Iterable[Item], what: str, total: int) -> Iterable[Item]:
    """The items; nobody looks."""
    return items


@contextmanager
def spread(
    inputs: Iterable[Path],
    mapping: Mapping,
    until: datetime | None,
    work: Work,
    *,
    watch: Watch = unwatched,
    processes: int | None = None,
) -> Iterator[tuple[Counts, Iterator[bytes]]]:
    """Work through every patient of the files and folders; the counts, and the lines of all in order.

    Versions that became known after `until` are ignored; None stands for when the last of them became known. The
    lines can be read once, inside the block. `processes` is the number of cores, but one for what is small.

    Raises:
        SenderError: a file cannot be read, or something in it is wrong; the first flaw in the order of the input.
        FhirbridgeError: a process was ended from outside.
    """
    cut = pieces(inputs)
    size = sum(piece.end - piece.start for piece in cut)
    many = (os.cpu_count() or 1) if processes is None and size > _SMALL else processes or 1
    parts = 1 if many == 1 and size <= _PART else max(4 * many, size // _PART)
    with tempfile.TemporaryDirectory(prefix="fhirbridge-") as name:
        job = _Job(mapping, until, work, Path(name), parts)
        laid = list(watch(_on_all(_lay, cut, job, many), "Reading", len(cut)))
        job.deletions = tuple(
            sorted({gone for one in laid for gone in one.deletions}, key=lambda gone: (gone.reference, gone.at))
        )
        job.until = until or max((one.latest for one in laid), default=BEGINNING)
        job.linked = groups({link for one in laid for link in one.links})
        worked = list(watch(_on_all(_work, range(parts), job, many), "Patients", parts))
        worked.append(_work(job, parts))
        yield (
            _counted(laid, worked, job.until),
            (line.data for line in heapq.merge(*(_lines(job, part) for part in range(parts + 1)))),
        )


def _counted(laid: Iterable[_Laid], worked: list[_Worked], until: datetime) -> Counts:
    without_use: Counter[str] = Counter()
    later = 0
    for one in laid:
        without_use += one.without_use
        later += one.later
    unmapped = [fact for one in worked for fact in one.unmapped]
    return Counts(
        until=until,
        patients=sum(one.patients for one in worked),
        versions=sum(one.versions for one in worked),
        later=later,
        without_use=dict(sorted(without_use.items())),
        unmapped=len(unmapped),
        first_unmapped=min(unmapped, key=lambda fact: (fact.source, fact.known), default=None),
        of_work=dict(sum((one.counts for one in worked), Counter())),
    )


# --- processes ----------------------------------------------------------------------------------

_job: _Job | None = None


def _on_all(step: Callable[[_Job, Any], Item], items: Iterable[Any], job: _Job, processes: int) -> Iterator[Item]:
    """The step's answer for each item, in order; of several errors the first in that order is raised."""
    if processes == 1:
        yield from (step(job, item) for item in items)
        return
    global _job  # noqa: PLW0603  # what cannot be pickled (compiled paths) reaches a forked process this way alone
    _job = job
    try:
        # What is under way when one step fails is waited for: a process that is ended at it may hold what others need.
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _settle_in) as pool:
            yield from pool.map(_Step(step), items)
    except BrokenProcessPool:
        lost = "a process of the dry run was ended from outside, most likely for want of memory"
        raise FhirbridgeError(f"{lost}; free some, or work through fewer files at a time") from None
    finally:
        _job = None


class _Step(Struct):
    """A step as it is sent to another process: by name."""

    step: Callable[[_Job, Any], Any]

    def __call__(self, item: Any) -> Any:
        if _job is None:
            raise RuntimeError("a step runs in a forked process only")
        return self.step(_job, item)


def _settle_in() -> None:
    """Most of what is made here lives long or dies at once: look for cycles seldom, and never in what was there.

    Who interrupts the command ends every process of it at once, and without a word from each.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


# --- the two steps ------------------------------------------------------------------------------


def _lay(job: _Job, piece: Piece) -> _Laid:
    """Read a piece, and lay its facts into the parts of their patients."""
    sieve = Sieve(job.mapping, job.until)
    buffers: dict[int, list[Version]] = {}
    for version in sieve.versions(read_piece(piece)):
        part = crc32(version.fact.patient.encode()) % job.parts
        buffers.setdefault(part, []).append(version)
    for part, versions in buffers.items():
        _put(job, part, versions)
    return _Laid(sieve.later, sieve.without_use, sieve.deletions, sieve.links, sieve.latest)


def _put(job: _Job, part: int, versions: list[Version]) -> None:
    data = msgspec.msgpack.encode(versions)
    with (job.folder / f"{part}-{os.getpid()}.in").open("ab") as out:
        out.write(len(data).to_bytes(8, "big") + data)


def _work(job: _Job, part: int) -> _Worked:
    """Work through the patients of a part, and put down their lines in order; linked ones go into the last part."""
    until = job.until or BEGINNING
    decoder = msgspec.msgpack.Decoder(list[Version])
    files = sorted(job.folder.glob(f"{part}-*.in"))
    found: Iterator[Version] = (
        version for file in files for block in _blocks(file) for version in decoder.decode(block)
    )
    if job.linked and part < job.parts:
        found, together = _apart(found, job.linked)
        _put(job, job.parts, together)
    patients, unmapped, versions = sort_out(found, job.deletions, until, job.linked if part == job.parts else {})
    for file in files:
        file.unlink()
    counts: Counter[str] = Counter()
    lines: list[Line] = []
    for patient in patients:
        made = job.work(patient, until)
        lines += made.lines
        counts.update(made.counts)
    encoder = msgspec.msgpack.Encoder()
    with (job.folder / f"{part}.out").open("wb", _BUFFER) as out:
        for line in sorted(lines):
            data = encoder.encode(line)
            out.write(len(data).to_bytes(8, "big") + data)
    return _Worked(part, len(patients), versions, unmapped, counts)


def _apart(found: Iterable[Version], linked: dict[str, str]) -> tuple[Iterator[Version], list[Version]]:
    """The versions about patients by themselves, and those about patients who were linked to others."""
    alone: list[Version] = []
    together: list[Version] = []
    for version in found:
        (together if version.fact.patient in linked else alone).append(version)
    return iter(alone), together


def _lines(job: _Job, part: int) -> Iterator[Line]:
    decoder = msgspec.msgpack.Decoder(Line)
    for block in _blocks(job.folder / f"{part}.out"):
        yield decoder.decode(block)


def _blocks(file: Path) -> Iterator[bytes]:
    """What was written there, each with its length before it."""
    with file.open("rb", _BUFFER) as blocks:
        while head := blocks.read(8):
            yield blocks.read(int.from_bytes(head, "big"))
