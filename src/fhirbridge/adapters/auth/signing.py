"""Private keys, and the assertions that are signed with them (RFC 7523; `private_key_jwt`).

A key is read once from a file of the machine and never leaves the process: no message, log or `repr` shows it. What an
assertion has to hold is the same in SMART Backend Services (https://hl7.org/fhir/smart-app-launch/backend-services.html)
and in the signed JWTs of the NHS API platform; the two differ in the algorithm.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from fhirbridge.errors import ConfigurationError

Algorithm = Literal["RS384", "ES384", "RS512"]

LIFETIME = timedelta(minutes=4)
"""An authorisation server takes no more than five minutes from now, by its own clock; one of them is for the clocks."""

_SMALLEST_RSA = 2048


class SigningKey:
    """A private key with the algorithm that it signs with and the `kid` by which its public part is registered."""

    def __init__(self, key: RSAKey | ECKey, algorithm: Algorithm, kid: str) -> None:
        self._key = key
        self.algorithm = algorithm
        self.kid = kid

    @classmethod
    def read(cls, file: Path, kid: str = "", *, rsa: Algorithm, ec: Algorithm | None, place: str) -> SigningKey:
        """The key in a file, as PEM or as a JWK in JSON.

        `rsa` and `ec` are the algorithms for keys of these kinds; None where the kind cannot be used. Without a `kid`
        it is that of the JWK, else the thumbprint (RFC 7638). `place` is the setting that names the file.

        Raises:
            ConfigurationError: there is no usable private key in the file.
        """
        key = _imported(file, place)
        if not key.is_private:
            raise ConfigurationError(f"{file} holds a public key; the private one is needed to sign", place=place)
        kid = kid or key.kid or key.thumbprint()
        if isinstance(key, RSAKey):
            if (bits := key.raw_value.key_size) < _SMALLEST_RSA:
                raise ConfigurationError(f"{file} has {bits} bits; make a key of {_SMALLEST_RSA} or more", place=place)
            return cls(key, rsa, kid)
        if ec is None:
            raise ConfigurationError(f"{file} holds an EC key, {rsa} needs an RSA key; make one", place=place)
        if key.curve_name != "P-384":
            raise ConfigurationError(f"{file} is on curve {key.curve_name}; {ec} needs P-384", place=place)
        return cls(key, ec, kid)

    def assertion(self, client_id: str, audience: str, now: datetime) -> str:
        """A signed statement that this client asks that token endpoint, good for once and for four minutes."""
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": str(uuid4()),
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
        }
        header = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT"}
        return jwt.encode(header, claims, self._key, algorithms=[self.algorithm])

    def public(self) -> dict[str, Any]:
        """The public part as a JWK, for registration."""
        public = self._key.as_dict(private=False)
        return {**public, "kid": self.kid, "use": "sig", "alg": self.algorithm}


def _imported(file: Path, place: str) -> RSAKey | ECKey:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}", place=place) from None
    # Whatever the libraries say of a key they could not read may quote it.
    for kind in (RSAKey, ECKey):
        try:
            if content.lstrip().startswith(b"{"):
                return kind.import_key(_without_use(json.loads(content)))
            return kind.import_key(content)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue
    raise ConfigurationError(
        f"{file} holds no RSA or EC key; write an unencrypted PEM (PKCS 8) or a private JWK", place=place
    )


def _without_use(key: dict[str, Any]) -> dict[str, Any]:
    """A JWK may be bound to another algorithm or use by those who made it; what counts here is the key."""
    return {name: value for name, value in key.items() if name not in ("alg", "use", "key_ops")}
