"""Links and cookies of browsers, as values (X1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.auth.cookies import SECURE_NAME, login_cookie, login_value, no_cookie
from pxbox.auth.headers import CallerHeaders, caller_headers
from pxbox.auth.links import link_key, make_link, read_link
from pxbox.auth.origins import require_own_page
from pxbox.auth.tokens import Grant
from pxbox.model.errors import OriginRefused, PxError, Unauthenticated

KEY = link_key("a secret that is as long as secrets are")
A, B = "a" * 43, "b" * 43


def sent(*lines: str, host: str = "px.example:8080") -> CallerHeaders:
    cookies = [(b"Cookie", line.encode("latin-1")) for line in lines]
    return caller_headers([(b"Host", host.encode()), *cookies])


@pytest.mark.parametrize(
    ("lines", "host", "found"),
    [
        ([f"pxbox-8080={A}"], "px.example:8080", A),
        ([f"x=y;pxbox-8080={A} ; z"], "px.example:8080", A),
        (["x=y", f"pxbox-8080={A}"], "[::1]:8080", A),
        ([f"pxbox-80={A}"], "px.example", A),
        ([f"pxbox-80={A}; {SECURE_NAME}={B}"], "px.example", B),
        ([f"pxbox-80={A}; pxbox-80={B}"], "px.example", A),
        ([f"pxbox-8080={A}"], "px.example:8081", None),
        ([f"PXBOX-8080={A}"], "px.example:8080", None),
        ([f"pxbox-8080={A}x"], "px.example:8080", None),
        ([f'pxbox-8080="{A}"'], "px.example:8080", None),
        ([], "px.example", None),
    ],
)
def test_a_cookie_is_ours_by_name_port_and_shape(
    lines: list[str], host: str, found: str | None
) -> None:
    assert login_value(sent(*lines, host=host)) == found


@given(st.binary(max_size=200))
def test_no_cookie_is_a_fault(raw: bytes) -> None:
    assert login_value(caller_headers([(b"host", b"h"), (b"cookie", raw)])) is None


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookie_that_is_set_is_the_one_that_is_found(scheme: str) -> None:
    page = caller_headers({"Host": "h:9", "Origin": f"{scheme}://h:9"})
    line = login_cookie(page, A, datetime.now(UTC) + timedelta(hours=1))
    assert login_value(sent(line.partition(";")[0], host="h:9")) == A
    assert line.partition("=")[0] == no_cookie(page).partition("=")[0]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(line.split("; "))
    assert ("Secure" in line.split("; ")) is (scheme == "https")
    assert "Domain" not in line


def test_a_link_says_what_was_signed_and_its_hash_tells_it_from_others() -> None:
    grant = Grant("ana", frozenset(("respond", "admin")), "mailto:ana@example.org")
    texts = [make_link(KEY, grant, timedelta(hours=1)) for _ in range(3)]
    links = [read_link(KEY, text) for text in texts]
    assert [link.grant for link in links] == [grant] * 3
    assert len({link.hash for link in links}) == 3
    with pytest.raises(Unauthenticated):
        read_link(link_key("another secret"), texts[0])


@given(st.text(max_size=100) | st.binary(max_size=60).map(lambda raw: f"a.{raw.hex()}.b"))
def test_what_was_not_signed_is_no_link(text: str) -> None:
    with pytest.raises(Unauthenticated):
        read_link(KEY, text)


OWN = {"Host": "h", "Origin": "https://h", "X-PxBox-Page": "1"}


@pytest.mark.parametrize(
    ("method", "headers", "admitted"),
    [
        ("POST", OWN, True),
        ("POST", {**OWN, "Sec-Fetch-Site": "same-origin"}, True),
        ("POST", {**OWN, "Origin": "https://app.example"}, True),
        ("GET", {"Host": "h"}, True),
        ("HEAD", {"Host": "h", "Sec-Fetch-Site": "none"}, True),
        ("POST", {**OWN, "Sec-Fetch-Site": "same-site"}, False),
        ("POST", {**OWN, "Sec-Fetch-Site": "cross-site"}, False),
        ("POST", {**OWN, "Origin": "https://h:444"}, False),
        ("POST", {**OWN, "Origin": "null"}, False),
        ("POST", {**OWN, "X-PxBox-Page": "2"}, False),
        ("POST", {"Host": "h", "Origin": "https://h"}, False),
        ("POST", {"Host": "h", "X-PxBox-Page": "1"}, False),
        ("PUT", {"Host": "h"}, False),
        ("DELETE", {"Host": "h", "Origin": "https://h"}, False),
        ("GET", {"Host": "h", "Origin": "https://evil.example"}, False),
        ("GET", {"Host": "h", "Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_a_page_acts_by_the_cookie_only_on_its_own_origin(
    method: str, headers: dict[str, str], admitted: bool
) -> None:
    refusal: PxError | None = None
    try:
        require_own_page(headers, ("https://app.example",), method)
    except OriginRefused as error:
        refusal = error
    assert (refusal is None) is admitted
