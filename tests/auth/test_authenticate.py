"""Who is calling, by the headers of a request or of a WebSocket upgrade (X1)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.auth import Authenticator, authenticator
from pxbox.auth.headers import Headers
from pxbox.auth.keyring import load_keyring
from pxbox.auth.keys import data_dir_secret
from pxbox.auth.tokens import Verifier
from pxbox.model.errors import PxError, TokenExpired, Unauthenticated
from pxbox.model.principal import EVERY_WORKER, SCOPES, Principal
from pxbox.settings import Settings
from tests.auth.keypairs import SECRET, at_once, claims, forged, signed

HERE = "127.0.0.1"
VERIFIER = Verifier(load_keyring(SECRET, None, None))
STRICT = Authenticator(VERIFIER)
DEV = Authenticator(VERIFIER, dev=True)
TOKEN = signed()
Pairs = list[tuple[bytes, bytes]]


def named(by: Authenticator, headers: Headers, peer: str) -> Principal:
    return at_once(by.authenticate(headers, peer))


def pairs(*fields: tuple[str, str]) -> Pairs:
    return [(name.encode(), value.encode()) for name, value in fields]


@pytest.mark.parametrize(
    "field",
    [
        ("Authorization", f"Bearer {TOKEN}"),
        ("authorization", f"bearer {TOKEN}"),
        ("AUTHORIZATION", f"  BEARER   {TOKEN}  "),
        ("Sec-WebSocket-Protocol", f"pxbox.v1, pxbox.token.{TOKEN}"),
        ("sec-websocket-protocol", f"pxbox.token.{TOKEN},pxbox.v1"),
    ],
)
def test_a_token_is_found_in_its_header(field: tuple[str, str]) -> None:
    assert named(STRICT, pairs(("Host", "any"), field), "203.0.113.7").sub == "alice"
    assert named(STRICT, {field[0]: field[1]}, "203.0.113.7").sub == "alice"


def test_a_token_is_found_in_the_second_field_of_a_list() -> None:
    headers = pairs(
        ("Sec-WebSocket-Protocol", "pxbox.v1"),
        ("Sec-WebSocket-Protocol", f"chat, pxbox.token.{TOKEN}"),
    )
    assert named(STRICT, headers, HERE).sub == "alice"


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", TOKEN)],
        [("Authorization", f"Basic {TOKEN}")],
        [("Authorization", f"Token {TOKEN}")],
        [("Authorization", f"Bearer {TOKEN}, Bearer {TOKEN}")],
        [("Authorization", f"Bearer {TOKEN} {TOKEN}")],
        [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {TOKEN}")],
        [("Authorization", f"Bearer {TOKEN}"), ("authorization", "")],
        [("Proxy-Authorization", f"Bearer {TOKEN}")],
        [("Cookie", f"token={TOKEN}")],
        [("Sec-WebSocket-Protocol", "pxbox.v1")],
        [("Sec-WebSocket-Protocol", "pxbox.token.")],
        [("Sec-WebSocket-Protocol", f"pxbox.v1.token.{TOKEN}")],
        [("Sec-WebSocket-Protocol", f"pxbox.token.{TOKEN}, pxbox.token.{TOKEN}")],
        [("Sec-WebSocket-Protocol", f"pxbox.token.{TOKEN}"), ("Authorization", f"Bearer {TOKEN}")],
        [("X-Client-ID", "alice"), ("Host", "localhost")],
    ],
)
def test_without_one_clear_token_nobody_is_served(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(Unauthenticated):
        named(STRICT, pairs(*fields), HERE)


def test_an_expired_token_is_told_from_an_invalid_one() -> None:
    expired = signed(exp=1_700_000_000)
    with pytest.raises(TokenExpired):
        named(STRICT, pairs(("Authorization", f"Bearer {expired}")), HERE)


header_names = st.sampled_from(
    [b"authorization", b"sec-websocket-protocol", b"x-entity-id", b"x-client-id", b"origin"]
)
garbage = st.binary(max_size=60) | st.builds(
    lambda prefix, rest: prefix + rest,
    st.sampled_from([b"Bearer ", b"pxbox.token.", TOKEN.encode()]),
    st.binary(max_size=60),
)


@given(st.lists(st.tuples(header_names | st.binary(max_size=20), garbage), max_size=5))
def test_garbage_in_headers_is_refused_in_words(headers: Pairs) -> None:
    with pytest.raises(Unauthenticated):
        named(STRICT, headers, HERE)


@given(st.lists(st.tuples(header_names, garbage), max_size=4), st.text(max_size=20))
def test_garbage_in_development_names_somebody_or_is_refused(headers: Pairs, peer: str) -> None:
    try:
        said = named(DEV, [*headers, (b"host", b"localhost")], peer).sub
    except PxError as error:
        said = error.detail
    assert 1 <= len(said) <= 256


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
def test_text_that_no_header_can_hold_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        named(STRICT, headers, HERE)


def test_a_name_in_utf8_is_read_alike_from_bytes_and_from_a_framework() -> None:
    sent = "Zoë".encode()
    fields = [(b"Host", b"localhost"), (b"X-Client-ID", sent)]
    assert named(DEV, fields, HERE).sub == "Zoë"
    decoded = {"Host": "localhost", "X-Client-ID": sent.decode("latin-1")}
    assert named(DEV, decoded, HERE).sub == "Zoë"


@pytest.mark.parametrize(
    ("fields", "sub", "entity"),
    [
        ({"X-Client-ID": "flow-1"}, "flow-1", None),
        ({"X-Entity-ID": "group:ops"}, "group:ops", "group:ops"),
        ({"x-client-id": "app", "x-entity-id": "alice"}, "app", "alice"),
    ],
)
def test_in_development_headers_name_the_caller(
    fields: dict[str, str], sub: str, entity: str | None
) -> None:
    principal = named(DEV, {"Host": "localhost:8080"} | fields, HERE)
    assert (principal.sub, principal.entity) == (sub, entity)
    assert principal.scopes == SCOPES | {EVERY_WORKER}
    assert principal.expires_at is None


def test_a_token_counts_in_development_too() -> None:
    claimed = [("Host", "localhost"), ("X-Client-ID", "mallory")]
    authorized = pairs(*claimed, ("Authorization", f"Bearer {TOKEN}"))
    assert named(DEV, authorized, HERE).sub == "alice"
    for token in ("", "x.y.z", forged({"alg": "HS256"}, claims(), b"x" * 32)):
        with pytest.raises(Unauthenticated):
            named(DEV, pairs(*claimed, ("Authorization", f"Bearer {token}")), HERE)


@pytest.mark.parametrize(
    ("host", "peer", "origin"),
    [
        ("localhost", "127.0.0.1", None),
        ("LOCALHOST:8080", "127.0.0.1", "http://localhost:8080"),
        ("127.0.0.1", "::1", None),
        ("127.8.9.1:1", "127.0.0.1", "http://127.8.9.1:1"),
        ("[::1]:8080", "::1", "http://[::1]:8080"),
        ("[::1]", "::ffff:127.0.0.1", "https://[::1]"),
    ],
)
def test_development_serves_this_machine(host: str, peer: str, origin: str | None) -> None:
    headers = {"Host": host, "X-Client-ID": "me"} | ({"Origin": origin} if origin else {})
    assert named(DEV, headers, peer).sub == "me"


@pytest.mark.parametrize(
    ("host", "peer", "origin"),
    [
        ("evil.example", HERE, None),
        ("localhost.evil.example", HERE, None),
        ("127.0.0.1.evil.example", HERE, None),
        ("192.168.1.5:8080", HERE, None),
        ("0.0.0.0:8080", HERE, None),
        ("[::]:8080", HERE, None),
        ("", HERE, None),
        ("localhost:80:80", HERE, None),
        ("localhost@evil.example", HERE, None),
        ("[::1", HERE, None),
        ("[::1]x", HERE, None),
        ("localhost", "203.0.113.7", None),
        ("localhost", "", None),
        ("localhost:8080", HERE, "http://evil.example"),
        ("localhost:8080", HERE, "http://localhost:9090"),
        ("localhost:8080", HERE, "http://localhost"),
        ("localhost:8080", HERE, "http://127.0.0.1:8080"),
        ("localhost:8080", HERE, "null"),
        ("localhost:8080", HERE, ""),
        ("localhost:8080", HERE, "http://localhost:8080.evil.example"),
    ],
)
def test_development_refuses_what_comes_from_elsewhere(
    host: str, peer: str, origin: str | None
) -> None:
    headers = {"Host": host, "X-Client-ID": "me"}
    if origin is not None:
        headers["Origin"] = origin
    with pytest.raises(Unauthenticated):
        named(DEV, headers, peer)


@pytest.mark.parametrize("name", ["Host", "Origin", "X-Client-ID", "X-Entity-ID"])
def test_development_refuses_a_header_sent_twice(name: str) -> None:
    usual = [("Host", "localhost"), ("X-Client-ID", "me"), ("Origin", "http://localhost")]
    again = dict(usual).get(name, "me")
    extra = [(name, again)] if name in dict(usual) else [(name, again), (name, again)]
    with pytest.raises(Unauthenticated, match="more than once"):
        named(DEV, pairs(*usual, *extra), HERE)


def test_development_refuses_a_request_without_host() -> None:
    with pytest.raises(Unauthenticated):
        named(DEV, {"X-Client-ID": "me"}, HERE)


@pytest.mark.parametrize("value", ["", "a" * 257, "a\tb", "a\x7f"])
def test_development_refuses_a_name_that_names_nobody(value: str) -> None:
    for name in ("X-Client-ID", "X-Entity-ID"):
        with pytest.raises(Unauthenticated):
            named(DEV, {"Host": "localhost", name: value}, HERE)


def test_a_broker_believes_the_key_of_its_data_directory(tmp_path: Path) -> None:
    made = authenticator(Settings(data_dir=tmp_path))
    assert data_dir_secret(tmp_path)
    with pytest.raises(Unauthenticated):
        at_once(made.verify(TOKEN))


def test_a_broker_believes_its_configured_secret_and_audience(tmp_path: Path) -> None:
    made = authenticator(Settings(data_dir=tmp_path, secret=SECRET, jwt_audience="pxbox"))
    assert at_once(made.verify(signed(aud="pxbox"))).sub == "alice"
    with pytest.raises(Unauthenticated):
        at_once(made.verify(signed(aud="other")))
    with pytest.raises(Unauthenticated):
        named(made, {"Host": "localhost", "X-Client-ID": "me"}, HERE)
