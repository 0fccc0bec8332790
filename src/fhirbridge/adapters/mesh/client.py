"""The client of MESH's API: the library's, with the one question that it does not ask, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import requests
from mesh_client import MeshClient, MeshError

from fhirbridge.errors import ChannelRefused, ChannelUnavailable

_TAKEN = frozenset({"accepted", "acknowledged"})
_BUSY = frozenset({408, 425, 429})
_NOT_ALLOWED = frozenset({401, 403})
_NOT_FOUND = frozenset({400, 404, 405, 410})
_SEVERAL = 300
_SERVER = 500


class Post(MeshClient):
    """The library's client, and the one question that it does not ask."""

    def handshake(self) -> None:
        """Ask whether MESH knows us."""
        super().handshake()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Let go of the connection."""
        super().close()  # type: ignore[no-untyped-call]

    def find_sent(self, local_id: str) -> str | None:
        """The id of a message sent from here under this local id, if MESH took all of it; None if there is none."""
        response = self._session.get(f"{self.mailbox_url}/outbox/tracking/{local_id}", timeout=self._timeout)
        if response.status_code in _NOT_FOUND:
            return None
        if response.status_code == _SEVERAL:
            return local_id
        response.raise_for_status()
        tracked: dict[str, Any] = response.json()
        taken = str(tracked.get("status", "")).lower() in _TAKEN
        return str(tracked.get("dtsId") or tracked.get("message_id") or local_id) if taken else None


class Opening(Protocol):
    """How a client is made; nothing is asked of MESH by it."""

    def __call__(self) -> Post:
        """A new client."""
        ...


@contextmanager
def errors_as_ours() -> Iterator[None]:
    """What the library raises becomes `ChannelUnavailable` or `ChannelRefused`, without what it was asked."""
    try:
        yield
    except MeshError as error:
        raise ChannelRefused(f"MESH refuses it: {_said(error)}") from None
    except requests.HTTPError as error:
        raise _of_status(error) from None
    except requests.RequestException as error:
        raise ChannelUnavailable(f"MESH does not answer: {type(error).__name__}") from None


def _said(error: MeshError) -> str:
    """What MESH says, with its code: `12: Unregistered to address`."""
    says = str(error.args[0])[:200]
    detail = error.args[1].get("detail") if len(error.args) > 1 and isinstance(error.args[1], dict) else None
    code = detail[0].get("code") if isinstance(detail, list) and detail else None
    return f"{code}: {says}" if code else says


def _of_status(error: requests.HTTPError) -> Exception:
    status = error.response.status_code if error.response is not None else 0
    if status in _NOT_ALLOWED:
        return ChannelUnavailable(
            f"MESH does not accept who we are ({status}): look at mailbox, password and shared key"
        )
    if status >= _SERVER or status in _BUSY or status == 0:
        wish = error.response.headers.get("Retry-After", "") if error.response is not None else ""
        retry_after = float(wish) if wish.isdecimal() else None
        return ChannelUnavailable(f"MESH is not able to answer ({status})", retry_after=retry_after)
    return ChannelRefused(f"MESH refuses it ({status})")
