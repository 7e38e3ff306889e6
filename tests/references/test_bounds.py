"""References never cost more than was given for them, nor get a second chance (X3, X4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import trio

from pxbox.domain.allowlist import parse_allowlist
from pxbox.domain.schema import compile_schema
from pxbox.domain.schema_document import read_schema
from pxbox.model.schema_errors import InvalidSchema, SchemaTooCostly
from pxbox.references import library
from pxbox.references.fetcher import Fetcher
from pxbox.references.library import Library
from tests.references.hosts import Host, Stream, http, open_host
from tests.references.test_library import MEGABYTE, at, bundled, loopback, refusal

CHUNK = b"100000\r\n" + MEGABYTE + b"\r\n"


async def test_a_name_whose_address_does_not_answer_is_not_looked_up_again() -> None:
    """What rebinds says an address that is allowed, on which nobody listens, and then another."""
    lookups: list[str] = []
    answers = at(["127.0.0.2"], ["127.0.0.1"])

    async def resolve(host: str, port: int) -> Sequence[str]:
        lookups.append(host)
        return await answers(host, port)

    async with open_host() as host:
        host.pages["/a.json"] = True
        entry = f"http://schemas.example:{host.port}@127.0.0.0/8"
        using = Library(Fetcher(parse_allowlist(entry), resolve))
        why = await refusal(using, {"$ref": host.url("/a.json", "schemas.example")})
        assert "could not be fetched" in why
        assert (lookups, host.heads) == (["schemas.example"], [])


async def test_a_name_that_is_bound_anew_between_two_documents_leads_nowhere() -> None:
    """Each fetch judges the addresses of its own look-up, of a host that was fine before too."""
    async with open_host() as host:
        host.pages["/a.json"] = {"items": {"$ref": "b.json"}}
        host.pages["/b.json"] = True
        entry = f"http://schemas.example:{host.port}@127.0.0.1/32"
        for later in (["10.0.0.1"], ["169.254.169.254"], ["127.0.0.1", "::1"], ["127.0.0.2"]):
            using = Library(Fetcher(parse_allowlist(entry), at(["127.0.0.1"], later)))
            why = await refusal(using, {"$ref": host.url("/a.json", "schemas.example")})
            assert "not public" in why
        assert set(host.asked) == {"/a.json"}


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNK),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", MEGABYTE),
        (b"HTTP/1.1 200 OK\r\nX: ", MEGABYTE),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100_000),
        (b"", MEGABYTE),
        (b"HTTP/1.1 302 Found\r\nLocation: /", b"a" * 1_000_000),
    ],
    ids=["chunks", "no length", "a header", "headers", "no head", "a redirect"],
)
async def test_what_has_no_end_is_cut_off(start: bytes, more: bytes) -> None:
    """A gigabyte of it would be sent."""
    sent = 0

    async def pour(stream: Stream) -> None:
        nonlocal sent
        await stream.send_all(start)
        for _ in range(1_024):
            await stream.send_all(more)
            sent += 1

    async with open_host() as host:
        host.pages["/a.json"] = pour
        with trio.fail_after(5):
            await refusal(loopback(host), {"$ref": host.url("/a.json")})
    assert sent < 64


async def test_all_documents_together_arrive_in_time_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is quick enough for itself."""
    monkeypatch.setattr(library, "BUNDLE_SECONDS", 0.4)

    def slowly(n: int) -> Callable[[Stream], object]:
        async def answer(stream: Stream) -> None:
            await trio.sleep(0.15)
            await stream.send_all(http(b'{"items": {"$ref": "%d.json"}}' % (n + 1)))

        return answer

    async with open_host() as host:
        for n in range(8):
            host.pages[f"/{n}.json"] = slowly(n)
        with trio.fail_after(5):
            why = await refusal(loopback(host), {"$ref": host.url("/0.json")})
        assert "did not arrive within" in why
        assert len(host.heads) < 8


async def _compiled(host: Host, path: str) -> None:
    compile_schema(read_schema(await bundled(loopback(host), {"$ref": host.url(path)})))


async def test_documents_that_double_each_other_are_too_costly() -> None:
    """Seven documents of four doublings each: a quarter of a billion ways to the last."""
    async with open_host() as host:
        for n in range(7):
            last = f"{n + 1}.json" if n < 6 else "#/$defs/end"
            twice = {f"t{i}": _twice(f"#/$defs/t{i + 1}") for i in range(3)}
            host.pages[f"/{n}.json"] = {
                **_twice("#/$defs/t0"),
                "$defs": {**twice, "t3": _twice(last), "end": True},
            }
        with pytest.raises(SchemaTooCostly):
            await _compiled(host, "/0.json")


def _twice(reference: str) -> dict[str, object]:
    return {"allOf": [{"$ref": reference}, {"$ref": reference}]}


async def test_documents_that_are_each_other_and_nothing_else_are_refused() -> None:
    """Recursion that takes nothing off the value would never end."""
    async with open_host() as host:
        host.pages["/a.json"] = {"allOf": [{"$ref": "b.json"}]}
        host.pages["/b.json"] = {"anyOf": [{"$ref": "a.json"}]}
        with pytest.raises(InvalidSchema):
            await _compiled(host, "/a.json")
