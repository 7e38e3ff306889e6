"""Which pages may open a WebSocket."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.auth.origins import require_origin
from pxbox.model.errors import OriginRefused, PxError, Unauthenticated

ALLOWED = ("https://app.example", "http://localhost:3000")


def admitted(origin: str | None, host: str | None, allowed: tuple[str, ...] = ()) -> bool:
    sent = {"Origin": origin, "Host": host}
    try:
        require_origin({name: value for name, value in sent.items() if value is not None}, allowed)
    except OriginRefused:
        return False
    return True


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "px.example"),
        (None, None),
        ("https://px.example", "px.example"),
        ("http://px.example", "px.example"),
        ("https://px.example", "PX.example"),
        ("https://px.example", "px.example:443"),
        ("http://px.example", "px.example:80"),
        ("http://px.example:8080", "px.example:8080"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://app.example", "px.example"),
        ("HTTPS://APP.example", "px.example"),
        ("http://localhost:3000", "px.example"),
    ],
)
def test_the_brokers_own_pages_those_allowed_and_programs_may_connect(
    origin: str | None, host: str | None
) -> None:
    assert admitted(origin, host, ALLOWED)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "px.example"),
        ("https://px.example.evil.example", "px.example"),
        ("https://evil.example/px.example", "px.example"),
        ("https://px.example", None),
        ("https://px.example", ""),
        ("https://px.example:8443", "px.example"),
        ("http://px.example", "px.example:443"),
        ("https://px.example", "px.example:80"),
        ("http://px.example:8080", "px.example:8081"),
        ("http://localhost:8080", "127.0.0.1:8080"),
        ("https://me@px.example", "px.example"),
        ("https://px.example@evil.example", "px.example"),
        ("https://px.example/", "px.example"),
        ("https://px.example?", "px.example"),
        ("https://px.example#", "px.example"),
        ("https://px.example:x", "px.example"),
        ("https://px.example:99999", "px.example:99999"),
        ("https://[::1", "[::1"),
        ("ws://px.example", "px.example"),
        ("file://px.example", "px.example"),
        ("//px.example", "px.example"),
        ("px.example", "px.example"),
        ("null", "px.example"),
        ("null", "null"),
        ("", "px.example"),
        ("", ""),
        ("https://", ""),
        ("https://app.example.evil.example", "px.example"),
        ("http://app.example", "px.example"),
        ("https://app.example:444", "px.example"),
        ("https://app.example, https://px.example", "px.example"),
    ],
)
def test_pages_of_other_origins_may_not(origin: str, host: str | None) -> None:
    assert not admitted(origin, host, ALLOWED)


@pytest.mark.parametrize("name", ["Origin", "Host"])
def test_what_two_readers_could_take_for_two_things_is_refused(name: str) -> None:
    fields = [(b"host", b"px.example"), (b"origin", b"https://px.example")]
    again = next(field for field in fields if field[0] == name.lower().encode())
    with pytest.raises(Unauthenticated, match="more than once"):
        require_origin([*fields, again], ())


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_garbage_is_refused_in_words(origin: bytes, host: bytes) -> None:
    with suppress(PxError):
        require_origin([(b"origin", origin), (b"host", host)], ALLOWED)
        assert origin.decode().lower().strip().startswith(("http://", "https://"))
