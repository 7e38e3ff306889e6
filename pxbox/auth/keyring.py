"""The keys that tokens are verified with: each has one algorithm, fixed when it is loaded (X1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pxbox.auth.keys import KeyFileError
from pxbox.settings import OperatorError

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Checking one signature of a longer key would hold the event loop."""
MOST_KEYS = 100
_HMAC = "HS256"
_ISSUERS = frozenset({"RS256", "ES256", "EdDSA"})

KeySet = list[tuple[str | None, "VerifyingKey"]]
"""The keys of an issuer, each with its `kid`."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key and the only algorithm that it is ever used with."""

    algorithm: str
    key: PublicKey | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyring:
    """What may have signed a token.

    `named` are keys that a token must name by `kid`. `unnamed` have no name, and a token's `kid`
    says nothing about them: at most one per algorithm. `sole` is the only key of a key set, for
    tokens without a `kid`.
    """

    unnamed: dict[str, VerifyingKey]
    named: dict[str, VerifyingKey]
    sole: VerifyingKey | None = None

    def find(self, algorithm: str, kid: str | None) -> VerifyingKey | None:
        """The one key that a token of this header can have been signed with, if any.

        The header only chooses among pairs of key and algorithm: no key is ever used with another
        algorithm than its own.
        """
        if kid is not None and kid in self.named:
            key = self.named[kid]
            return key if key.algorithm == algorithm else None
        if kid is None and self.sole is not None and self.sole.algorithm == algorithm:
            return self.sole
        return self.unnamed.get(algorithm)

    def could_learn(self, algorithm: str, kid: str | None) -> bool:
        """Whether another key set of the issuer may have the key that is missing here."""
        return algorithm in _ISSUERS and kid not in self.named

    def with_key_set(self, keys: KeySet) -> Keyring:
        """The same with this key set in place of the one it has."""
        sole = keys[0][1] if len(keys) == 1 else None
        return Keyring(self.unnamed, {kid: key for kid, key in keys if kid is not None}, sole)


def load_keyring(secret: str, key_file: Path | None, jwks_file: Path | None) -> Keyring:
    """The broker's own secret, and the keys of an issuer if one is configured.

    Raises OperatorError if one of them cannot be used.
    """
    unnamed = {_HMAC: hmac_key(secret)}
    if key_file is not None:
        key = load_pem(key_file)
        unnamed[key.algorithm] = key
    own = Keyring(unnamed, {})
    return own if jwks_file is None else own.with_key_set(load_key_set(jwks_file))


def hmac_key(secret: str) -> VerifyingKey:
    """The shared secret as a key. Raises OperatorError if it looks like a public key, which
    anybody may know."""
    try:
        checked = jwt.get_algorithm_by_name(_HMAC).prepare_key(secret.encode())
    except jwt.InvalidKeyError:
        raise OperatorError(
            "The secret is a public key, a certificate or a JWK: those are not secrets. Public "
            "keys go into --jwt-key-file or --jwks-file."
        ) from None
    return VerifyingKey(_HMAC, checked)


def load_pem(path: Path) -> VerifyingKey:
    """The public key in a PEM file (SubjectPublicKeyInfo). Raises KeyFileError."""
    data = _read(path)
    if b"PRIVATE KEY" in data:
        raise KeyFileError(
            f"{path} holds a private key, which the broker must not have: give it the public one "
            "(openssl pkey -pubout)."
        )
    try:
        return _with_its_algorithm(load_pem_public_key(data))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path} is not a PEM public key that works here: {error}.") from None


def load_key_set(path: Path) -> KeySet:
    """The usable keys of the JSON Web Key Set in a file: see `read_key_set`."""
    return read_key_set(_read(path), str(path))


def read_key_set(data: bytes, source: str) -> KeySet:
    """The usable keys of a JSON Web Key Set (RFC 7517), with their `kid`.

    Keys for encryption, of other algorithms, or symmetric are passed over, as RFC 7517, 5 asks.
    Raises KeyFileError, which names `source`, if that leaves none, or if the set is ambiguous,
    has more than MOST_KEYS or gives away a private key.
    """
    keys = list(_usable(source, _entries(data, source)))
    kids = [kid for kid, _ in keys]
    if not keys:
        raise KeyFileError(f"{source} has no key for RS256, ES256 or EdDSA signatures.")
    if len(set(kids)) < len(kids):
        raise KeyFileError(f"{source} has several keys with one `kid`, or without any.")
    if len(kids) > 1 and None in kids:
        raise KeyFileError(f"{source} has several keys and one of them lacks a `kid`.")
    return keys


class _KeySetDocument(msgspec.Struct):
    keys: list[dict[str, Any]]


def _entries(data: bytes, source: str) -> list[dict[str, Any]]:
    try:
        entries = msgspec.json.decode(data, type=_KeySetDocument).keys
    except (msgspec.DecodeError, RecursionError):
        raise KeyFileError(f'{source} is not a JSON Web Key Set: {{"keys": [...]}}.') from None
    if len(entries) > MOST_KEYS:
        raise KeyFileError(f"{source} has more than {MOST_KEYS} keys.")
    return entries


def _usable(
    source: str, entries: list[dict[str, Any]]
) -> Iterator[tuple[str | None, VerifyingKey]]:
    for entry in entries:
        if entry.get("kty") in ("RSA", "EC", "OKP") and "d" in entry:
            raise KeyFileError(f"{source} holds a private key, which the broker must not have.")
        key = _public_key(entry)
        kid = entry.get("kid")
        if key is not None and (kid is None or isinstance(kid, str)):
            yield kid, key


def _public_key(entry: dict[str, Any]) -> VerifyingKey | None:
    """The key of one JWK, or None if it is not one that verifies tokens here."""
    try:
        if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
            return None
        key = _with_its_algorithm(jwt.PyJWK(entry).key)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    return key if entry.get("alg", key.algorithm) == key.algorithm else None


def _with_its_algorithm(key: object) -> VerifyingKey:
    """One algorithm follows from the kind of key alone. Raises ValueError for all others."""
    match key:
        case RSAPublicKey():
            if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                raise ValueError(f"an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits here")
            return VerifyingKey("RS256", key)
        case EllipticCurvePublicKey(curve=SECP256R1()):
            return VerifyingKey("ES256", key)
        case Ed25519PublicKey():
            return VerifyingKey("EdDSA", key)
        case _:
            raise ValueError("it is not an RSA, P-256 or Ed25519 key")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"Cannot read the key file {path}: {error.strerror}.") from None
