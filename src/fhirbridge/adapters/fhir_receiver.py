"""Receivers with a FHIR R4 endpoint: each takes messages at `$process-message`, or a transaction.

Only endpoints that the settings name are ever sent anything: the directory says who is there, the settings with which
token. Redirects are not followed, and of an answer no more is read than a receiver needs to say what is wrong.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import orjson
from msgspec import Struct

from fhirbridge import __version__
from fhirbridge.adapters.auth import usual_trust
from fhirbridge.adapters.retry_after import retry_after
from fhirbridge.channels import Dispatch, Sent, Told
from fhirbridge.core.deliveries import Report, Stage
from fhirbridge.errors import ChannelRefused, ChannelUnavailable
from fhirbridge.fhir import message
from fhirbridge.fhir.message_answer import acknowledged
from fhirbridge.fhir.r4 import FHIR_JSON
from fhirbridge.ports import Clock

TIMEOUT = httpx.Timeout(30.0, connect=5.0, pool=10.0)
LARGEST_ANSWER = 1024 * 1024

_LATER = frozenset({401, 403, 404, 408, 409, 412, 423, 425, 429})
"""Answers below 500 that do not speak of the message: it waits, and the deadline brings it to a person."""


class Receiver(Struct, frozen=True, kw_only=True):
    """One receiver: the base URL, how it takes messages, and the token that it gave us."""

    endpoint: str
    way: Literal["message", "transaction"] = "message"
    token: str = ""


class FhirChannel:
    """The channel to all FHIR receivers. `source` is the URL at which they answer. Use it as a context manager."""

    name = "fhir"
    awaits = Stage.TAKEN_IN
    every = timedelta(days=1)

    def __init__(
        self, receivers: Sequence[Receiver], source: str, clock: Clock, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._receivers: Mapping[str, Receiver] = {each.endpoint.rstrip("/"): each for each in receivers}
        self._source = source
        self._clock = clock
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT,
            verify=tls or usual_trust(),
            follow_redirects=False,
            headers={"Accept": FHIR_JSON, "User-Agent": f"fhirbridge/{__version__}"},
        )

    async def __aenter__(self) -> Self:
        """Ready already."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._client.aclose()

    def destination(self, dispatch: Dispatch) -> str:
        """The receiver's endpoint."""
        return dispatch.recipient.endpoint.rstrip("/")

    async def send(self, dispatch: Dispatch) -> tuple[str, Sequence[Told]]:
        """Send it, and read what the receiver says at once.

        Raises:
            ChannelUnavailable: the receiver does not answer, is busy, or does not know us.
            ChannelRefused: it does not take this message, or is not in the settings.
        """
        receiver = self._receivers.get(self.destination(dispatch))
        if receiver is None:
            raise ChannelRefused("the settings name no such receiver; add it to receivers, and send the letter by hand")
        answer = await self._post(receiver, dispatch)
        now = self._clock.now()
        if receiver.way == "transaction":
            return dispatch.key, (Told(about=dispatch.key, report=Report.INFRASTRUCTURE_GOOD, happened=now),)
        found = acknowledged(answer, dispatch.key)
        if found is None:
            return dispatch.key, ()
        told = Told(about=dispatch.key, report=found.report, happened=now, code=found.code, says=found.says)
        return dispatch.key, (told,)

    async def learn(self, awaiting: Sequence[Sent]) -> Sequence[Told]:
        """Nothing: receivers answer by themselves."""
        return ()

    async def learnt(self, told: Sequence[Told]) -> None:
        """Nothing is kept of it."""

    async def _post(self, receiver: Receiver, dispatch: Dispatch) -> Any:
        url = f"{receiver.endpoint.rstrip('/')}{'/$process-message' if receiver.way == 'message' else ''}"
        headers = {"Content-Type": FHIR_JSON}
        if receiver.token:
            headers["Authorization"] = f"Bearer {receiver.token}"
        body = orjson.dumps(self._message(receiver, dispatch))
        try:
            async with self._client.stream("POST", url, content=body, headers=headers) as response:
                content = await _limited(response)
        except httpx.HTTPError as error:
            raise ChannelUnavailable(f"the receiver cannot be reached ({type(error).__name__})") from None
        answer = _json(content)
        if response.is_success:
            return answer
        status = response.status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER or response.is_redirect:
            raise ChannelUnavailable(f"the receiver answers {status}", retry_after=retry_after(response))
        raise ChannelRefused(f"the receiver refuses it ({status}){_why(answer)}")

    def _message(self, receiver: Receiver, dispatch: Dispatch) -> dict[str, Any]:
        to = {"name": dispatch.recipient.shown, "endpoint": receiver.endpoint, "ods": dispatch.recipient.ods}
        if receiver.way == "transaction":
            return message.transaction(dispatch.key, dispatch.communication, dispatch.person, to)
        return message.message(dispatch.key, dispatch.communication, dispatch.person, to, self._source)


async def _limited(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            return b""
    return bytes(content)


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _why(answer: Any) -> str:
    """What an OperationOutcome says is wrong, in one line."""
    if not isinstance(answer, dict) or answer.get("resourceType") != "OperationOutcome":
        return ""
    issues = [each for each in answer.get("issue") or () if isinstance(each, dict)]
    said = [str(each.get("diagnostics") or "") for each in issues]
    return f": {' '.join(' '.join(said).split())[:300]}" if any(said) else ""
