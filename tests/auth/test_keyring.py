"""Which key a token is verified with, and which keys are taken at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pxbox.auth.keyring import load_key_set, load_keyring, load_pem
from pxbox.auth.keys import KeyFileError
from pxbox.auth.tokens import Verifier
from pxbox.model.errors import Unauthenticated
from tests.auth.keypairs import SECRET, jwk, private_pem, public_pem, signed

ISSUERS = ("RS256", "ES256", "EdDSA")


def key_set(folder: Path, *keys: object) -> Path:
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": keys}))
    return path


def pem(folder: Path, data: bytes) -> Path:
    path = folder / "key.pem"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("algorithm", ISSUERS)
def test_a_pem_key_is_accepted_beside_the_secret(tmp_path: Path, algorithm: str) -> None:
    path = pem(tmp_path, public_pem(algorithm))
    verifier = Verifier(load_keyring(SECRET, path, None))
    assert load_pem(path).algorithm == algorithm
    assert verifier.verify(signed(algorithm)).sub == "alice"
    assert verifier.verify(signed(algorithm, kid="any")).sub == "alice"
    assert verifier.verify(signed("HS256")).sub == "alice"
    for other in set(ISSUERS) - {algorithm}:
        with pytest.raises(Unauthenticated):
            verifier.verify(signed(other))


def test_a_key_of_a_set_is_chosen_by_kid(tmp_path: Path) -> None:
    path = key_set(tmp_path, *(jwk(name, kid=f"key-{name}") for name in ISSUERS))
    verifier = Verifier(load_keyring(SECRET, None, path))
    for name in ISSUERS:
        assert verifier.verify(signed(name, kid=f"key-{name}")).sub == "alice"
        for kid in (None, "key-unknown", "", *(f"key-{n}" for n in ISSUERS if n != name)):
            with pytest.raises(Unauthenticated):
                verifier.verify(signed(name, kid=kid))


def test_the_name_of_a_public_key_is_not_lent_to_the_secret(tmp_path: Path) -> None:
    path = key_set(tmp_path, jwk("RS256", kid="theirs"))
    verifier = Verifier(load_keyring(SECRET, None, path))
    assert verifier.verify(signed("HS256", kid="ours")).sub == "alice"
    with pytest.raises(Unauthenticated):
        verifier.verify(signed("HS256", kid="theirs"))


def test_no_header_finds_a_key_of_another_algorithm(tmp_path: Path) -> None:
    named = load_keyring(SECRET, None, key_set(tmp_path, jwk("RS256", kid="one")))
    for algorithm in ("HS256", "HS512", "RS256", "RS512", "ES256", "EdDSA", "none", ""):
        for kid in (None, "one", "two"):
            key = named.find(algorithm, kid)
            assert key is None or key.algorithm == algorithm
    assert named.find("HS256", "one") is None


@pytest.mark.parametrize("members", [{}, {"kid": "one"}])
def test_the_only_key_of_a_set_serves_tokens_without_kid(
    tmp_path: Path, members: dict[str, str]
) -> None:
    verifier = Verifier(load_keyring(SECRET, None, key_set(tmp_path, jwk("ES256", **members))))
    assert verifier.verify(signed("ES256")).sub == "alice"
    assert verifier.verify(signed("HS256")).sub == "alice"
    with pytest.raises(Unauthenticated):
        verifier.verify(signed("ES256", kid="two"))


def test_what_verifies_nothing_here_is_passed_over(tmp_path: Path) -> None:
    others: list[dict[str, Any]] = [
        jwk("RS256", kid="enc", use="enc"),
        jwk("RS256", kid="ps", alg="PS256"),
        jwk("RS256", kid="512", alg="RS512"),
        jwk("ES256", kid="wrap", key_ops=["wrapKey"]),
        jwk("ES256", kid="ops", key_ops=7),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "small"},
        {"kty": "RSA", "n": 7, "kid": "odd"},
        {"kty": "EC", "crv": "P-384", "x": "", "y": "", "kid": "p384"},
        {"kty": "new", "kid": "new"},
        {},
        jwk("EdDSA", kid=7),
    ]
    path = key_set(tmp_path, *others, jwk("EdDSA", kid="good", use="sig", key_ops=["verify"]))
    assert [kid for kid, _ in load_key_set(path)] == ["good"]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ([], "no key"),
        ([{"kty": "oct", "k": "c2VjcmV0"}], "no key"),
        ([jwk("RS256", kid="a"), jwk("ES256", kid="a")], "several"),
        ([jwk("RS256"), jwk("ES256")], "several"),
        ([jwk("RS256", kid="a"), jwk("ES256")], "lacks a `kid`"),
        ([jwk("EdDSA", d="AAAA")], "private"),
    ],
)
def test_a_set_that_leaves_a_doubt_is_refused(
    tmp_path: Path, keys: list[object], reason: str
) -> None:
    with pytest.raises(KeyFileError, match=reason):
        load_key_set(key_set(tmp_path, *keys))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": 1}', '{"keys": [1]}', "[" * 9999])
def test_a_file_that_is_no_key_set_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(text)
    with pytest.raises(KeyFileError, match="not a JSON Web Key Set"):
        load_key_set(path)


def _public(key: Any) -> bytes:
    data: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a key",
        public_pem("RS256")[:200],
        _public(rsa.generate_private_key(65537, 1024)),  # noqa: S505
        _public(ec.generate_private_key(ec.SECP384R1())),
        _public(ed448.Ed448PrivateKey.generate()),
    ],
)
def test_a_pem_file_without_a_key_that_works_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(KeyFileError, match="not a PEM public key that works"):
        load_pem(pem(tmp_path, data))


def test_a_private_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="holds a private key"):
        load_pem(pem(tmp_path, private_pem("RS256")))


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"nowhere\.pem"):
        load_pem(tmp_path / "nowhere.pem")
    with pytest.raises(KeyFileError, match="jwks"):
        load_key_set(tmp_path / "jwks.json")
