"""Passwords and tokens as they are kept: hashed.

A password goes through scrypt (RFC 7914) with the cost that OWASP recommends for it: 128 MiB of memory for each try. A
token is 256 random bits, which nobody can guess, so SHA-256 does for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Final

_N: Final = 2**17
_R: Final = 8
_P: Final = 1
_MEMORY: Final = 256 * 1024 * 1024
_KEPT = re.compile(r"scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([\w+/=]{16,64})\$([\w+/=]{44,88})")


def is_hash(kept: str) -> bool:
    """Whether it looks like what is kept of a password: `scrypt$N$r$p$salt$hash`, the last two in Base64."""
    return _KEPT.fullmatch(kept) is not None


def hashed(password: str, salt: bytes, *, n: int = _N) -> str:
    """What to keep of a password; `salt` are at least 16 random bytes."""
    key = _scrypt(password, salt, n, _R, _P)
    return f"scrypt${n}${_R}${_P}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def matches(password: str, kept: str) -> bool:
    """Whether this is the password that was kept."""
    parts = _KEPT.fullmatch(kept)
    if parts is None:
        return False
    n, r, p, salt, key = parts.groups()
    made = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(made, base64.b64decode(key))


def token_hash(token: str) -> str:
    """What to keep of a token: its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(token.encode()).hexdigest()


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)
