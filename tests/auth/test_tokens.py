"""Which tokens are believed (X1)."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pxbox.auth.keyring import Keyring, VerifyingKey, hmac_key
from pxbox.auth.tokens import LEEWAY, MAX_TOKEN_BYTES, Audience, Grant, Verifier, mint
from pxbox.model.errors import PxError, TokenExpired, Unauthenticated
from pxbox.settings import OperatorError
from tests.auth.keypairs import PRIVATE, SECRET, base64url, claims, forged, part, public_pem, signed

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
HS256 = {"alg": "HS256", "typ": "JWT"}


def keyring() -> Keyring:
    issuers = {name: VerifyingKey(name, PRIVATE[name].public_key()) for name in PRIVATE}
    return Keyring({"HS256": hmac_key(SECRET)} | issuers, {})


VERIFIER = Verifier(keyring())


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_each_kind_names_its_bearer(algorithm: str) -> None:
    exp = int(time.time()) + 60
    token = signed(algorithm, exp=exp, entity="mailto:a@b.c", scope="request worker:x  operate")
    principal = VERIFIER.verify(token)
    assert principal.sub == "alice"
    assert principal.entity == "mailto:a@b.c"
    assert principal.scopes == {"request", "worker:x", "operate"}
    assert principal.expires_at == datetime.fromtimestamp(exp, UTC)
    assert principal.token_id not in token


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(data=st.data())
def test_a_token_with_any_bit_flipped_is_refused(algorithm: str, data: st.DataObject) -> None:
    token = _SIGNED[algorithm]
    at = data.draw(st.integers(0, len(token) - 1))
    bit = data.draw(st.integers(0, 7))
    tampered = token[:at] + chr(ord(token[at]) ^ 1 << bit) + token[at + 1 :]
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(tampered)


_SIGNED = {algorithm: signed(algorithm) for algorithm in ALGORITHMS}


@pytest.mark.parametrize("name", ["none", "None", "NONE", "", "nOnE"])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_an_unsigned_token_is_refused(name: str, signature: str) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(f"{part({'alg': name})}.{part(claims())}.{signature}")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_is_no_secret_of_hs256(algorithm: str) -> None:
    """Algorithm confusion: anybody knows the public key."""
    verifier = Verifier(Keyring({algorithm: keyring().unnamed[algorithm]}, {}))
    for key in (public_pem(algorithm), public_pem(algorithm).strip()):
        with pytest.raises(Unauthenticated):
            verifier.verify(forged(HS256, claims(), key))
        with pytest.raises(Unauthenticated):
            VERIFIER.verify(forged(HS256, claims(), key))
        with pytest.raises(Unauthenticated):
            verifier.verify(forged({"alg": algorithm}, claims(), key))


@pytest.mark.parametrize("name", ["HS384", "HS512", "RS512", "PS256", "ES384", "ES256K", "hs256"])
def test_no_key_is_used_with_another_algorithm_than_its_own(name: str) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(forged({"alg": name}, claims()))


@pytest.mark.parametrize("key", [b"", b"another secret that is long enough for it"])
def test_another_secret_is_refused(key: bytes) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(forged(HS256, claims(), key))


@pytest.mark.parametrize(
    "header",
    [
        {},
        [],
        "null",
        "{",
        {"alg": None},
        {"alg": ["HS256"]},
        {"alg": "HS256", "kid": 1},
        {"alg": "HS256", "crit": ["exp"]},
        {"alg": "HS256", "crit": []},
        {"alg": "HS256", "b64": False, "crit": ["b64"]},
        "[" * 3000,
        '{"alg":"HS256","x":' + "[" * 3000 + "]" * 3000 + "}",
    ],
)
def test_an_odd_header_is_refused(header: object) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(forged(header, claims()))


@pytest.mark.parametrize("exp", [..., None, True, "never", "99999999999", [], -1, math.nan, {}])
def test_a_token_without_a_time_to_end_is_refused(exp: object) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(forged(HS256, claims(exp=exp)))


@pytest.mark.parametrize("text", ["1e400", "-1e400", "Infinity", "1" * 5000, "253402300800"])
def test_a_time_that_no_clock_reaches_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(forged(HS256, f'{{"sub":"a","exp":{text}}}'))


@pytest.mark.parametrize(
    "sub", [..., None, "", 7, ["a"], "a" * 257, "a\x00", "a\nb", "\x7f", "\x9f", "\ud800"]
)
def test_a_sub_that_names_nobody_is_refused(sub: object) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(forged(HS256, claims(sub=sub)))


@pytest.mark.parametrize("entity", ["", 7, ["a"], "a" * 257, "a\x00", "\udfff"])
def test_an_entity_that_is_no_address_is_refused(entity: object) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(forged(HS256, claims(entity=entity)))


@pytest.mark.parametrize("scope", [["request"], 7, None, {}])
def test_a_scope_that_is_not_text_is_refused(scope: object) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(forged(HS256, claims(scope=scope)))


def test_without_a_scope_nothing_is_allowed() -> None:
    assert VERIFIER.verify(signed(scope=...)).scopes == frozenset()


def test_exp_counts_until_the_leeway_is_over() -> None:
    clock = Clock()
    verifier = Verifier(keyring(), clock=clock)
    token = signed(exp=int(clock.now) - 5)
    assert verifier.verify(token).sub == "alice"
    clock.now += LEEWAY.total_seconds()
    with pytest.raises(TokenExpired):
        verifier.verify(token)
    with pytest.raises(TokenExpired):
        Verifier(keyring(), clock=clock).verify(token)


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_from_the_future_is_refused_until_it_comes(name: str) -> None:
    clock = Clock()
    verifier = Verifier(keyring(), clock=clock)
    token = forged(HS256, claims(**{name: int(clock.now) + 60}))
    with pytest.raises(Unauthenticated):
        verifier.verify(token)
    clock.now += 60 - LEEWAY.total_seconds() + 1
    assert verifier.verify(token).sub == "alice"


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("value", ["soon", True, math.nan, None, []])
def test_a_start_that_is_no_time_is_refused(name: str, value: object) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(forged(HS256, claims(**{name: value})))


@pytest.mark.parametrize(
    ("aud", "accepted"),
    [
        ("pxbox", True),
        (["other", "pxbox"], True),
        (["pxbox"], True),
        ("other", False),
        (["other"], False),
        ([], False),
        ("", False),
        ("pxbox other", False),
        (["pxbox", 1], False),
        ({"pxbox": 1}, False),
        (None, False),
        (..., False),
    ],
)
def test_a_configured_audience_must_be_named(aud: object, accepted: bool) -> None:
    verifier = Verifier(keyring(), Audience(audience="pxbox"))
    _judge(verifier, signed(aud=aud), accepted)
    assert VERIFIER.verify(signed(aud=aud)).sub == "alice"


@pytest.mark.parametrize(
    ("iss", "accepted"),
    [("https://id.example", True), ("https://id.example/", False), (None, False), (..., False)],
)
def test_a_configured_issuer_must_be_named(iss: Any, accepted: bool) -> None:
    verifier = Verifier(keyring(), Audience(issuer="https://id.example"))
    _judge(verifier, forged(HS256, claims(iss=iss)), accepted)


def _judge(verifier: Verifier, token: str, accepted: bool) -> None:
    if accepted:
        assert verifier.verify(token).sub == "alice"
    else:
        with pytest.raises(Unauthenticated):
            verifier.verify(token)


def test_a_token_of_8_kib_is_read_and_a_larger_one_is_not() -> None:
    fits = signed(pad="x" * 5900)
    assert MAX_TOKEN_BYTES - 200 < len(fits) <= MAX_TOKEN_BYTES
    assert VERIFIER.verify(fits).sub == "alice"
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(signed(pad="x" * 6200))


@given(st.text() | st.from_regex(r"[A-Za-z0-9_=-]{0,40}(\.[A-Za-z0-9_=-]{0,40}){0,3}"))
@example("")
@example("..")
@example("a.b.c")
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.verify(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
names = st.sampled_from(["sub", "exp", "nbf", "iat", "aud", "iss", "scope", "entity", "jti"])


@given(st.dictionaries(names, json_values))
def test_signed_claims_of_any_kind_give_a_principal_or_a_refusal(odd: dict[str, object]) -> None:
    verifier = Verifier(keyring(), Audience("pxbox", "us"))
    token = forged(HS256, claims(aud="pxbox", iss="us") | odd)
    try:
        said = verifier.verify(token).sub
    except PxError as error:
        said = error.detail
    assert 1 <= len(said) <= 256


@given(st.text(max_size=30) | json_values)
def test_a_payload_that_is_no_object_is_refused(payload: object) -> None:
    if not isinstance(payload, dict):
        with pytest.raises(Unauthenticated):
            VERIFIER.verify(forged(HS256, payload))


@given(st.binary(max_size=200))
def test_a_signature_of_garbage_is_refused(signature: bytes) -> None:
    for algorithm in ALGORITHMS:
        unsigned = f"{part({'alg': algorithm})}.{part(claims())}"
        with pytest.raises(Unauthenticated):
            VERIFIER.verify(f"{unsigned}.{base64url(signature)}")


def test_a_refusal_repeats_nothing_of_the_token() -> None:
    token = forged(HS256, claims(sub="eve"), b"x" * 32)
    with pytest.raises(Unauthenticated) as refusal:
        VERIFIER.verify(token)
    assert "eve" not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_a_token_seen_before_is_not_verified_again() -> None:
    verifier = Verifier(keyring())
    token = signed("RS256")
    assert verifier.verify(token) is verifier.verify(token)


def test_the_memory_of_tokens_is_bounded_and_keeps_the_last_used() -> None:
    verifier = Verifier(keyring(), cache_size=2)
    one, two, three = (signed(sub=sub) for sub in ("one", "two", "three"))
    first, second = verifier.verify(one), verifier.verify(two)
    verifier.verify(one)
    verifier.verify(three)
    assert verifier.verify(one) is first
    assert verifier.verify(two) is not second


def test_a_remembered_token_still_expires() -> None:
    clock = Clock()
    verifier = Verifier(keyring(), clock=clock)
    token = signed(exp=int(clock.now) + 60)
    verifier.verify(token)
    clock.now += 60 + LEEWAY.total_seconds()
    with pytest.raises(TokenExpired):
        verifier.verify(token)


def test_two_tokens_of_one_bearer_can_be_told_apart() -> None:
    one, two = VERIFIER.verify(signed(jti="1")), VERIFIER.verify(signed(jti="2"))
    assert one.token_id != two.token_id


subs = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=256)
scopes = st.frozensets(st.from_regex(r"[a-z:]{1,12}", fullmatch=True))


@given(subs, scopes, st.none() | subs, st.integers(1, 10**7))
def test_a_minted_token_says_what_it_was_minted_for(
    sub: str, granted: frozenset[str], entity: str | None, ttl: int
) -> None:
    audience = Audience("pxbox", "us")
    token = mint(SECRET, Grant(sub, granted, entity), timedelta(seconds=ttl), audience)
    if len(token) <= MAX_TOKEN_BYTES:
        principal = Verifier(keyring(), audience).verify(token)
        assert (principal.sub, principal.scopes, principal.entity) == (sub, granted, entity)
        assert principal.expires_at is not None
        left = principal.expires_at - datetime.now(UTC)
        assert timedelta(seconds=ttl - 30) < left <= timedelta(seconds=ttl)


@pytest.mark.parametrize("grant", [Grant("", frozenset()), Grant("a", frozenset(), "b\n")])
def test_what_no_broker_would_believe_is_not_minted(grant: Grant) -> None:
    with pytest.raises(Unauthenticated):
        mint(SECRET, grant, timedelta(hours=1))


def test_a_public_key_is_refused_as_a_secret() -> None:
    with pytest.raises(OperatorError):
        mint(public_pem("RS256").decode(), Grant("a", frozenset()), timedelta(hours=1))
