"""Key pairs and tokens for tests; the tokens can be as wrong as wanted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Coroutine
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pxbox.model.principal import Principal

SECRET = "an-example-of-a-secret-that-is-long-enough"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PRIVATE: dict[str, PrivateKey] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
_JWK_ALGORITHM = {"RS256": "RS256", "ES256": "ES256", "EdDSA": "EdDSA"}


def at_once(naming: Coroutine[object, object, Principal]) -> Principal:
    """Who is named at the first step: no key is waited for."""
    try:
        naming.send(None)
    except StopIteration as done:
        found: Principal = done.value
        return found
    raise AssertionError("it waits")


def public_pem(algorithm: str) -> bytes:
    key = PRIVATE[algorithm].public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(algorithm: str) -> bytes:
    return PRIVATE[algorithm].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def jwk(algorithm: str, **members: object) -> dict[str, Any]:
    """The public key as a JWK, with further members."""
    handler: Any = jwt.get_algorithm_by_name(_JWK_ALGORITHM[algorithm])
    made: dict[str, Any] = handler.to_jwk(PRIVATE[algorithm].public_key(), as_dict=True)
    return {name: value for name, value in made.items() if name != "key_ops"} | members


def claims(**members: object) -> dict[str, Any]:
    """Claims that are in order, changed as said; `...` leaves one out."""
    usual = {"sub": "alice", "scope": "request respond", "exp": int(time.time()) + 3600}
    return {name: value for name, value in (usual | members).items() if value is not ...}


def signed(algorithm: str = "HS256", kid: str | None = None, **members: object) -> str:
    """A token that is in order, but for what `members` change."""
    key: Any = SECRET if algorithm == "HS256" else PRIVATE[algorithm]
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(claims(**members), key, algorithm, headers)


def forged(header: object, payload: object, key: bytes = SECRET.encode()) -> str:
    """A token with any JSON at all in it, signed by HMAC with SHA-256."""
    signing_input = f"{part(header)}.{part(payload)}"
    signature = hmac.digest(key, signing_input.encode(), hashlib.sha256)
    return f"{signing_input}.{base64url(signature)}"


def part(value: object) -> str:
    """JSON, or the text itself, as one part of a token."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64url(text.encode())


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
