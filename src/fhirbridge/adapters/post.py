"""Print and post: a spool folder that hybrid mail empties.

A letter is a folder of its own under `outgoing`, named after the dispatch's key, with the documents and a manifest. It
is put together under `staging` and moved over in one step, so that whoever picks up never finds half of one. Before
that step a note is left under `handed`: if the service dies and sends again, the note and the folder's place tell
whether the step was taken, and no letter is posted twice. The channel ends at the pickup: a folder that has left
`outgoing` was collected. Notes are empty files, and stay.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import orjson

from fhirbridge.channels import Dispatch, Sent, Told
from fhirbridge.core.deliveries import Report, Stage
from fhirbridge.errors import ChannelRefused, ChannelUnavailable, ConfigurationError
from fhirbridge.fhir.r4 import Resource
from fhirbridge.letters.people import address_of, name_of
from fhirbridge.ports import Clock

OUTGOING, STAGING, HANDED = "outgoing", "staging", "handed"
MANIFEST = "manifest.json"

_SUFFIXES = {"application/pdf": "pdf", "text/plain": "txt"}


class PostChannel:
    """The channel to a spool folder, made where it is missing. Everything in it is for its owner alone.

    Raises:
        ConfigurationError: the folder cannot be made, or not be written.
    """

    name = "post"
    awaits = Stage.COLLECTED

    def __init__(self, folder: Path, clock: Clock, *, every: timedelta = timedelta(minutes=1)) -> None:
        self.every = every
        self._folder = folder
        self._clock = clock
        try:
            for each in (OUTGOING, STAGING, HANDED):
                (folder / each).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{folder} cannot be used: {error.strerror}", place="post.folder") from None
        if not os.access(folder / OUTGOING, os.W_OK | os.X_OK):
            raise ConfigurationError(
                f"{folder} cannot be written; let the service's user write it", place="post.folder"
            )

    def destination(self, dispatch: Dispatch) -> str:
        """The folder: it is there or not, whoever the letter is for."""
        return str(self._folder)

    async def send(self, dispatch: Dispatch) -> tuple[str, Sequence[Told]]:
        """Put the letter where it is picked up.

        Raises:
            ChannelRefused: there is no address.
            ChannelUnavailable: the folder cannot be written now.
        """
        address = dispatch.recipient.address or address_of(dispatch.person)
        if not address:
            raise ChannelRefused("there is no postal address; enter it in the record or the directory, and post it")
        try:
            await asyncio.to_thread(self._hand_over, dispatch, address)
        except OSError as error:
            raise ChannelUnavailable(f"the spool folder cannot be written: {error.strerror}") from None
        return dispatch.key, ()

    async def learn(self, awaiting: Sequence[Sent]) -> Sequence[Told]:
        """What has been picked up.

        Raises:
            ChannelUnavailable: the folder cannot be read now.
        """
        now = self._clock.now()
        try:
            gone = await asyncio.to_thread(self._picked_up, [each.key for each in awaiting])
        except OSError as error:
            raise ChannelUnavailable(f"the spool folder cannot be read: {error.strerror}") from None
        return [Told(about=key, report=Report.COLLECTED, happened=now) for key in gone]

    async def learnt(self, told: Sequence[Told]) -> None:
        """Nothing is kept of it."""

    def _hand_over(self, dispatch: Dispatch, address: Sequence[str]) -> None:
        staged, note = self._folder / STAGING / dispatch.key, self._folder / HANDED / dispatch.key
        if not note.exists():
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir(mode=0o700)
            documents = [_write(staged, *each) for each in _documents(dispatch.communication)]
            manifest = _manifest(dispatch, address, documents)
            _write(staged, MANIFEST, "application/json", orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
            _sync(staged)
            note.touch(mode=0o600)
            _sync(note.parent)
        if staged.exists():
            staged.rename(self._folder / OUTGOING / dispatch.key)
            _sync(self._folder / OUTGOING)

    def _picked_up(self, keys: Iterable[str]) -> list[str]:
        there = {each.name for name in (OUTGOING, STAGING) for each in (self._folder / name).iterdir()}
        handed = {each.name for each in (self._folder / HANDED).iterdir()}
        return [key for key in keys if key in handed and key not in there]


def _documents(communication: Resource) -> list[tuple[str, str, bytes]]:
    """Name, content type and bytes of what has to be printed: the attachments, else the words."""
    payload = communication.get("payload", [])
    attached = [each["contentAttachment"] for each in payload if "data" in each.get("contentAttachment", {})]
    found = []
    for number, each in enumerate(attached, start=1):
        kind = str(each.get("contentType", ""))
        if kind not in _SUFFIXES:
            raise ChannelRefused(f"{kind or 'an attachment without a content type'} cannot be printed; attach a PDF")
        try:
            found.append((f"letter-{number}.{_SUFFIXES[kind]}", kind, b64decode(each["data"], validate=True)))
        except (NotBase64, ValueError):
            raise ChannelRefused("an attachment is not base64; report it") from None
    words = "\n\n".join(str(each["contentString"]) for each in payload if "contentString" in each)
    return found or [("letter-1.txt", "text/plain", f"{words}\n".encode())]


def _manifest(dispatch: Dispatch, address: Sequence[str], documents: list[Resource]) -> Resource:
    communication = dispatch.communication
    kinds = [coding["code"] for each in communication.get("category", []) for coding in each.get("coding", [])]
    return {
        "key": dispatch.key,
        "kind": kinds[0] if kinds else "",
        "priority": communication.get("priority", "routine"),
        "recipient": {"name": _addressee(dispatch), "address": list(address)},
        "documents": documents,
    }


def _addressee(dispatch: Dispatch) -> str:
    about_them = dispatch.recipient.role == "patient"
    return (name_of(dispatch.person) if about_them else "") or dispatch.recipient.shown


def _write(folder: Path, name: str, kind: str, content: bytes) -> Resource:
    descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return {"file": name, "contentType": kind, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
