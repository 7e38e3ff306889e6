"""The built page as it is served: what is sent, what is cached, and what is never sent."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

import pxbox.web
from pxbox.web import Site, read_site, with_page
from pxbox.web.site import TYPES, SiteReply

INDEX = b"<!doctype html><title>x</title>" + b" " * 500
SCRIPT = b"export const answer = 42;\n" * 50
SITE = Site({
    "/index.html": INDEX,
    "/favicon.svg": b"<svg/>",
    "/assets/page-Ab3_d-9x.js": SCRIPT,
    "/assets/dot-0123abcd.png": b"\x89PNG" * 100,
})  # fmt: skip
DIST = Path(pxbox.web.__file__).parent / "dist"
HTML = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


def got(path: str, **headers: str) -> SiteReply:
    reply = SITE.reply(path, {name.replace("_", "-"): value for name, value in headers.items()})
    assert reply is not None
    return reply


def test_the_policy_lets_nothing_in_but_what_the_page_is_made_of() -> None:
    for path in ("/", "/assets/page-Ab3_d-9x.js", "/favicon.svg"):
        rules = dict(
            rule.split(" ", 1) for rule in got(path).headers["content-security-policy"].split("; ")
        )
        assert rules == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data: blob:",
            "connect-src": "'self'",
            "require-trusted-types-for": "'script'",
            "trusted-types": "'none'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }
        assert got(path).headers["x-content-type-options"] == "nosniff"
        assert got(path).headers["referrer-policy"] == "no-referrer"


def test_what_has_a_hash_in_its_name_is_kept_for_good_and_the_rest_is_asked_for_again() -> None:
    assert "immutable" in got("/assets/page-Ab3_d-9x.js").headers["cache-control"]
    for path in ("/", "/favicon.svg"):
        assert got(path).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip, deflate, br", True), ("GZIP;q=0.5", True), ("*", True),
        ("br;q=1, gzip; q=1.0", True),
        ("", False), ("br", False), ("gzip;q=0", False), ("gzip;q=0.000, *", False),
        ("identity", False), ("*;q=0", False),
    ],
)  # fmt: skip
def test_it_is_sent_compressed_to_who_takes_that(accepted: str, zipped: bool) -> None:
    reply = got("/assets/page-Ab3_d-9x.js", accept_encoding=accepted)
    assert (reply.headers.get("content-encoding") == "gzip") is zipped
    assert (gzip.decompress(reply.body) if zipped else reply.body) == SCRIPT
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.headers["vary"] == "Accept-Encoding"
    assert reply.headers["content-type"] == "text/javascript; charset=utf-8"


def test_what_does_not_shrink_is_sent_as_it_is() -> None:
    for path in ("/favicon.svg", "/assets/dot-0123abcd.png"):
        assert "content-encoding" not in got(path, accept_encoding="gzip").headers


def test_who_has_it_already_is_sent_nothing() -> None:
    plain, zipped = got("/"), got("/", accept_encoding="gzip")
    assert plain.headers["etag"] != zipped.headers["etag"]
    for tag in (
        plain.headers["etag"],
        f"W/{plain.headers['etag']}",
        f'"x", {plain.headers["etag"]}',
    ):
        again = got("/", if_none_match=tag)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == plain.headers["etag"]
        assert not again.headers.keys() & {"content-type", "content-length", "content-encoding"}
    assert got("/", if_none_match=zipped.headers["etag"]).status == 200
    newer = Site({"/index.html": b"other"}).reply("/", {"if-none-match": plain.headers["etag"]})
    assert newer is not None
    assert newer.status == 200


def test_the_pages_own_addresses_get_the_index_where_html_is_wanted() -> None:
    for path in ("/inbox", "/requests/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/sign-in", "/a.b/../c%2Fd"):
        reply = SITE.reply(path, HTML)
        assert reply is not None
        assert reply.body == INDEX
        assert SITE.reply(path, {"accept": "*/*"}) is None
        assert SITE.reply(path, {}) is None


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/requests", "/v2/x", "/docs", "/docs/", "/healthz", "/readyz", "/metrics",
     "/openapi.json", "/asyncapi.json", "/assets", "/assets/", "/assets/gone-00000000.js"],
)  # fmt: skip
def test_what_is_the_brokers_stays_the_brokers(path: str) -> None:
    assert SITE.reply(path, HTML) is None


@pytest.mark.parametrize(
    "path",
    ["/../site.py", "/assets/../../site.py", "/assets/%2e%2e/%2e%2e/site.py", "/index.html",
     "//etc/passwd", "/assets//page-Ab3_d-9x.js", "/assets/page-Ab3_d-9x.js/", "/ASSETS/x", "",
     "assets/page-Ab3_d-9x.js", "/assets/page-Ab3_d-9x.js\x00"],
)  # fmt: skip
def test_nothing_else_is_ever_sent(path: str) -> None:
    assert SITE.reply(path, {}) is None


def test_a_kind_of_file_that_no_page_has_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match=r"/x\.py"):
        Site({"/index.html": b"", "/x.py": b""})


def test_the_package_has_a_page_of_known_kinds_whose_assets_are_named_by_their_hash() -> None:
    files = [path.relative_to(DIST) for path in DIST.rglob("*") if path.is_file()]
    assert Path("index.html") in files
    assert {path.suffix for path in files} <= TYPES.keys()
    for path in files:
        if path.parts[0] == "assets":
            assert re.search(r"-[A-Za-z0-9_-]{8}\.\w+$", path.name), path


def test_only_a_configured_object_store_may_be_connected_to_beside_the_broker() -> None:
    def connects(uploads: str | None) -> str:
        reply = Site({"/index.html": b""}, uploads).reply("/", {})
        assert reply is not None
        rules = reply.headers["content-security-policy"].split("; ")
        (found,) = [rule for rule in rules if rule.startswith("connect-src ")]
        return found

    assert connects(None) == "connect-src 'self'"
    assert connects("https://s3.example:9000") == "connect-src 'self' https://s3.example:9000"


def test_the_index_has_nothing_that_the_policy_forbids() -> None:
    reply = read_site().reply("/", {})
    assert reply is not None
    text = reply.body.decode()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", text)
    for address in re.findall(r"\s(?:src|href)=\"([^\"]*)\"", text):
        assert address.startswith(("/", "./", "data:")), address
        if address.startswith("/assets/"):
            assert read_site().reply(address, {}) is not None


async def test_a_body_that_nobody_wants_is_taken_in_before_the_page_is_sent() -> None:
    told = [{"type": "http.request", "more_body": True}, {"type": "http.request"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return told.pop(0)

    async def send(message: Any) -> None:
        assert told == []
        sent.append(message)

    async def never(*args: Any) -> None:
        raise AssertionError(args)

    scope = {"type": "http", "method": "HEAD", "raw_path": b"/", "headers": []}
    await with_page(SITE, never)(scope, receive, send)
    assert [message["status"] for message in sent if "status" in message] == [200]
    assert sent[-1]["body"] == b""
