"""MESH, the message exchange of the NHS, as a channel: documents to GP practices, and what becomes of them.

MESH stores and forwards. A message that it accepted waits in the receiver's mailbox; that it was collected is known by
asking, that it never was by a report in our own mailbox, and what the receiver makes of it by ITK3 responses there.
Whatever is in our mailbox stays there until it is durable here (`learnt`), so a process may die at any time.

The client library is synchronous and its calls are long, so they run in a thread, one at a time. The local id of a
message is the dispatch's key: before sending, MESH is asked whether it has one of that id, so that nothing goes twice.
Sources: MESH API, and GP Connect Messaging, Send Document (NHS England).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from msgspec import Struct

from fhirbridge.adapters.mesh.client import Opening, Post, errors_as_ours
from fhirbridge.channels import Dispatch, Sent, Told
from fhirbridge.core.deliveries import Report, Stage, report_of_code
from fhirbridge.errors import ChannelRefused, Defect, SenderError
from fhirbridge.fhir.directory import NO_PRACTICE
from fhirbridge.fhir.itk3 import Document, Sender, Workflow, document_of, message
from fhirbridge.fhir.itk3_answer import answers
from fhirbridge.fhir.itk3_rules import faults
from fhirbridge.fhir.practice_address import identity_of
from fhirbridge.fhir.stu3 import to_xml
from fhirbridge.ports import Clock

_SHAKES_HANDS = timedelta(hours=24)
_TRACKED_AT_ONCE = 50

Result = TypeVar("Result")
_log = structlog.get_logger(__name__)


class _Incoming(Struct, frozen=True):
    """One message of our mailbox: its headers (lower case, without `mex-`) and its body."""

    id: str
    headers: dict[str, str]
    body: bytes


class MeshChannel:
    """Sends documents by MESH, and learns what became of them. `open_client` makes a client when one is needed."""

    name = "mesh"
    awaits = Stage.RECEIVED

    def __init__(
        self,
        open_client: Opening,
        sender: Sender,
        workflow: Workflow,
        clock: Clock,
        *,
        every: timedelta = timedelta(minutes=5),
    ) -> None:
        self.every = every
        self._open = open_client
        self._sender = sender
        self._workflow = workflow
        self._clock = clock
        self._client: Post | None = None
        self._alone = threading.Lock()
        self._shook_hands: datetime | None = None
        self._mailboxes: dict[str, str] = {}
        self._not_ours: set[str] = set()
        self._collected: set[str] = set()
        self._tracked: set[str] = set()

    def destination(self, dispatch: Dispatch) -> str:
        """MESH as a whole: it takes messages for a practice whether that is open or not."""
        return f"mesh:{self._sender.mailbox}"

    async def send(self, dispatch: Dispatch) -> tuple[str, Sequence[Told]]:
        """Hand it to MESH; the message's id there, and that MESH accepted it.

        Raises:
            ChannelUnavailable: MESH is away, busy, or does not accept who we are.
            ChannelRefused: there is no letter, the patient cannot be identified, or no such mailbox.
        """
        reference = await self._in_thread(lambda post: self._send(post, dispatch))
        return reference, (Told(about=dispatch.key, report=Report.ACCEPTED, happened=self._clock.now()),)

    async def learn(self, awaiting: Sequence[Sent]) -> Sequence[Told]:
        """What is in our mailbox about what was sent, and what has been collected.

        Raises:
            ChannelUnavailable: MESH is away, busy, or does not accept who we are.
        """
        told = await self._in_thread(self._look_into_mailbox)
        asked = self._to_track(awaiting)
        tracked = await self._in_thread(lambda post: list(_collected(post, asked)))
        self._collected.update(each.about for each in tracked)
        return (*told, *tracked)

    async def learnt(self, told: Sequence[Told]) -> None:
        """Take out of the mailbox what is durable now.

        Raises:
            ChannelUnavailable: MESH is away; what was told stays there and is told again.
        """
        tokens = dict.fromkeys(each.token for each in told if each.token)
        await self._in_thread(lambda post: [post.acknowledge_message(token) for token in tokens])

    async def shake_hands(self) -> None:
        """Ask MESH whether it knows us. Raises as `learn`."""
        await self._in_thread(lambda post: post.handshake())

    async def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _in_thread(self, ask: Callable[[Post], Result]) -> Result:
        return await asyncio.to_thread(self._asked, ask)

    def _asked(self, ask: Callable[[Post], Result]) -> Result:
        with self._alone:
            if self._client is None:
                self._client = self._open()
            with errors_as_ours():
                return ask(self._client)

    # --- sending ---------------------------------------------------------------------------------------

    def _send(self, post: Post, dispatch: Dispatch) -> str:
        if sent := post.find_sent(dispatch.key):
            return sent
        try:
            to, receiver = self._address(post, dispatch)
            document = document_of(dispatch.key, dispatch.communication, dispatch.person or {}, receiver)
            bundle = message(document, self._sender, self._workflow)
        except SenderError as error:
            raise ChannelRefused(error.message) from None
        if broken := faults(bundle, self._workflow):
            raise Defect(f"the message breaks the published rules: {'; '.join(broken)}")
        return str(
            post.send_message(
                to,
                to_xml(bundle),
                workflow_id=self._workflow.name,
                local_id=dispatch.key,
                subject=_subject(document, self._sender),
                content_type="application/xml",
            )
        )

    def _address(self, post: Post, dispatch: Dispatch) -> tuple[str, str]:
        """The mailbox, or how MESH finds one by the patient; and the receiver's ODS code where that is known."""
        recipient = dispatch.recipient
        ods = "" if recipient.ods in NO_PRACTICE else recipient.ods
        if recipient.mailbox:
            return recipient.mailbox, ods
        if ods and (mailbox := self._mailbox_of(post, ods)):
            return mailbox, ods
        if recipient.role == "gp":
            return identity_of(dispatch.person or {}).address, ""
        raise ChannelRefused(f"MESH knows no mailbox of {ods or recipient.name} for {self._workflow.name}")

    def _mailbox_of(self, post: Post, ods: str) -> str:
        if ods not in self._mailboxes:
            listed = post.lookup_endpoint(ods, self._workflow.name)["results"]
            if not listed:
                return ""
            self._mailboxes[ods] = str(listed[0]["mailbox_id"])
        return self._mailboxes[ods]

    # --- learning --------------------------------------------------------------------------------------

    def _look_into_mailbox(self, post: Post) -> list[Told]:
        now = self._clock.now()
        if self._shook_hands is None or now - self._shook_hands >= _SHAKES_HANDS:
            post.handshake()
            self._shook_hands = now
        waiting = list(post.iterate_message_ids())
        self._not_ours &= set(waiting)
        return [told for one in waiting if one not in self._not_ours for told in self._told_by(_fetched(post, one))]

    def _told_by(self, incoming: _Incoming) -> Iterator[Told]:
        headers = incoming.headers
        workflow = headers.get("workflowid", "")
        if headers.get("messagetype", "").upper() == "REPORT" and workflow in {self._workflow.name, ""}:
            yield Told(
                about=headers.get("linkedmsgid") or headers.get("localid", ""),
                report=Report.UNDELIVERABLE,
                happened=_instant(headers.get("statustimestamp", ""), self._clock.now()),
                code=headers.get("statuscode", ""),
                says=headers.get("statusdescription", ""),
                token=incoming.id,
            )
        elif workflow == self._workflow.answer:
            yield from self._answered(incoming)
        else:
            self._leave(incoming, "of another workflow")

    def _answered(self, incoming: _Incoming) -> Iterator[Told]:
        try:
            given = answers(incoming.body, "an ITK3 response")
        except SenderError as error:
            self._leave(incoming, error.message)
            return
        for one in given:
            report = report_of_code(one.code)
            if report is None:
                self._leave(incoming, f"its code {one.code[:10]!r} is none of ITK3")
                continue
            yield Told(about=one.about, report=report, happened=one.at, code=one.code, says=one.says, token=incoming.id)

    def _leave(self, incoming: _Incoming, why: str) -> None:
        """It stays in the mailbox for whom it is for, and is not looked at again until the service starts anew."""
        self._not_ours.add(incoming.id)
        _log.warning("a message in the mailbox was left there", message=incoming.id, why=why)

    def _to_track(self, awaiting: Sequence[Sent]) -> list[Sent]:
        """Of what is not known to have been collected a few at a time, each in its turn."""
        keys = {each.key for each in awaiting}
        self._collected &= keys
        self._tracked &= keys
        waiting = [each for each in awaiting if each.key not in self._collected]
        next_ = [each for each in waiting if each.key not in self._tracked]
        if not next_:
            self._tracked.clear()
        chosen = (next_ or waiting)[:_TRACKED_AT_ONCE]
        self._tracked.update(each.key for each in chosen)
        return chosen


def _collected(post: Post, awaiting: Sequence[Sent]) -> Iterator[Told]:
    for sent in awaiting:
        tracked = post.track_message(sent.reference)
        if str(tracked.get("status", "")).lower() == "acknowledged":
            # MESH does not always say when; the same report has to be the same whenever it is asked for.
            at = _instant(str(tracked.get("status_timestamp") or ""), sent.since)
            yield Told(about=sent.key, report=Report.COLLECTED, happened=at)


def _fetched(post: Post, message_id: str) -> _Incoming:
    one = post.retrieve_message(message_id)
    try:
        headers = {name: str(held) for name, held in one.mex_headers()}  # type: ignore[no-untyped-call]
        return _Incoming(message_id, headers, one.read())
    finally:
        one.close()  # type: ignore[no-untyped-call]


def _subject(document: Document, sender: Sender) -> str:
    """As GPCM-SD-061 and 064 have it; the only header that names the patient."""
    who = identity_of(document.patient)
    name = " ".join((*who.given, who.family))
    said = f"{document.title} for {name}, NHS Number: {who.nhs_number}, seen at {sender.name}, {sender.ods}, Version: 1"
    return said.encode("ascii", "replace").decode()


def _instant(written: str, otherwise: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        return otherwise
    return at if at.tzinfo else at.replace(tzinfo=otherwise.tzinfo)
