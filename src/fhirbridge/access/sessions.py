"""Sessions of people at the console: a signed cookie, and nothing kept about it.

It ends half an hour after the last page, and in any case after twelve hours. Forms carry a token that is derived from
the session, so that no other site can have a signed-in person's browser send one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

IDLE: Final = timedelta(minutes=30)
LONGEST: Final = timedelta(hours=12)


class Session(Struct, frozen=True, kw_only=True, array_like=True):
    """One person's session: the name they signed in by, a random name of the session, and its times (UTC)."""

    person: str
    nonce: str
    began: datetime
    seen: datetime


_ENCODE: Final = msgspec.json.Encoder()
_DECODE: Final = msgspec.json.Decoder(Session)


class Sessions:
    """Signs and reads the cookie, and makes the tokens of forms; `key` are at least 32 random bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def cookie(self, session: Session) -> str:
        """What the browser keeps."""
        told = base64.urlsafe_b64encode(_ENCODE.encode(session)).decode()
        return f"{told}.{self._signed('session', told)}"

    def read(self, cookie: str, now: datetime) -> Session | None:
        """The session of a cookie, as seen now; None when it is over, or the cookie is none of ours."""
        told, _, signature = cookie.partition(".")
        if not hmac.compare_digest(self._signed("session", told).encode(), signature.encode()):
            return None
        session = _DECODE.decode(base64.urlsafe_b64decode(told))
        if now - session.seen > IDLE or now - session.began > LONGEST:
            return None
        return replace(session, seen=now)

    def form_token(self, whose: str) -> str:
        """What a form of this session carries; `whose` is its nonce, or the name that a proxy gave."""
        return self._signed("form", whose)

    def is_form_token(self, token: str, whose: str) -> bool:
        """Whether a form came from a page of this session."""
        return hmac.compare_digest(self.form_token(whose).encode(), token.encode())

    def _signed(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}\n{text}".encode(), hashlib.sha256).hexdigest()
