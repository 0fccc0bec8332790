"""The gate: from what a request shows to who is asking, or nobody."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from msgspec import Struct

from fhirbridge.access.passwords import matches, token_hash
from fhirbridge.access.sections import AccessSettings, ProxyAccess, SystemAccess
from fhirbridge.errors import ConfigurationError

PROXY_SECRET = "X-Fhirbridge-Proxy"  # noqa: S105  # the name of a header
_TRIES = 5
_WAIT = timedelta(minutes=1)
# Nobody's password: trying a name that does not exist takes as long as one that does.
_NOBODY = f"scrypt$131072$8$1${'A' * 22}==${'A' * 43}="


class Viewer(Struct, frozen=True, kw_only=True):
    """Somebody who looks: a system by its name in the settings, or a person. `eprs` they may see; empty is all."""

    kind: Literal["system", "person"]
    id: str
    name: str
    role: str = ""
    eprs: tuple[str, ...] = ()


class Gate:
    """Admits those whom the settings name. Belongs to one process: it counts failed attempts in memory.

    `eprs` are the names of those there are.

    Raises:
        ConfigurationError: the file of a secret cannot be read or is empty, or a system may see an EPR that is none.
    """

    def __init__(self, access: AccessSettings, eprs: Collection[str]) -> None:
        for name, one in access.systems.items():
            if stray := set(one.eprs) - set(eprs):
                raise ConfigurationError(
                    f"{min(stray)!r} is no EPR of the settings; write {', '.join(sorted(eprs)) or 'none'}",
                    place=f"access.systems.{name}.eprs",
                )
        self._people = access.people
        self._systems = {
            _token_of(one, f"access.systems.{name}.token_file"): (name, one) for name, one in access.systems.items()
        }
        self._proxy = access.proxy
        self._proxy_secret = _secret(access.proxy.secret_file, "access.proxy.secret_file") if access.proxy else ""
        self._failed: dict[str, tuple[int, datetime]] = {}

    @property
    def takes_passwords(self) -> bool:
        """Whether anybody can sign in here."""
        return bool(self._people)

    @property
    def open(self) -> bool:
        """Whether there is anybody at all who may use the console."""
        return bool(self._people) or self._proxy is not None

    def system(self, authorization: str) -> Viewer | None:
        """The system whose token this `Authorization` header carries."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        shown = token_hash(token.strip()).encode()
        found = None
        for kept, (name, one) in self._systems.items():
            if hmac.compare_digest(kept.encode(), shown):
                found = Viewer(kind="system", id=name, name=name, eprs=one.eprs)
        return found

    def person(self, name: str, password: str, now: datetime) -> Viewer | None:
        """The person with this name and password; nobody for a minute after five wrong ones."""
        tries, until = self._failed.get(name, (0, now))
        if tries >= _TRIES and now < until:
            return None
        one = self._people.get(name)
        right = matches(password, one.password.get_secret_value() if one else _NOBODY)
        if one is None or not right:
            # Names that do not exist are counted as one, or anybody could fill the memory with them.
            counted = name if one else ""
            self._failed[counted] = (self._failed.get(counted, (0, now))[0] % _TRIES + 1, now + _WAIT)
            return None
        self._failed.pop(name, None)
        return Viewer(kind="person", id=name, name=one.name, role=one.role)

    def known(self, name: str) -> Viewer | None:
        """Whoever has a session under this name, if they may still come in."""
        one = self._people.get(name)
        return Viewer(kind="person", id=name, name=one.name, role=one.role) if one else None

    def by_proxy(self, headers: Mapping[str, str]) -> Viewer | None:
        """Whom the proxy names, where the request comes from it."""
        proxy = self._proxy
        if proxy is None or not hmac.compare_digest(
            headers.get(PROXY_SECRET, "").encode(), self._proxy_secret.encode()
        ):
            return None
        return _told_by(proxy, headers)


def _told_by(proxy: ProxyAccess, headers: Mapping[str, str]) -> Viewer | None:
    name = headers.get(proxy.user, "").strip()[:120]
    if not name:
        return None
    shown, role = headers.get(proxy.name, "").strip(), headers.get(proxy.role, "").strip()
    return Viewer(kind="person", id=name, name=shown[:120] or name, role=role[:120])


def _token_of(one: SystemAccess, place: str) -> str:
    return one.token_sha256 or token_hash(_secret(one.token_file or Path(), place))


def _secret(file: Path, place: str) -> str:
    try:
        secret = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read as ASCII text", place=place) from error
    if not secret or len(secret.split()) != 1:
        raise ConfigurationError(f"{file} holds no secret; write it alone, in one line", place=place)
    return secret
