"""Schemas with all that they refer to: fetched within bounds, from allowed places alone (X3)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import trio

from pxbox.domain.allowlist import parse_allowlist
from pxbox.domain.schema import compile_schema
from pxbox.domain.schema_document import read_schema
from pxbox.model.errors import PxError, RefUnavailable
from pxbox.model.schema_errors import SchemaTooLarge, UnresolvableRef
from pxbox.references import fetcher, library
from pxbox.references.fetcher import Fetcher, Resolve, resolve_by_system
from pxbox.references.library import Library
from tests.references.hosts import Host, Stream, http, open_host, redirect

DRAFT7 = "http://json-schema.org/draft-07/schema#"
MEGABYTE = b" " * 1_048_576


def loopback(host: Host, resolve: Resolve = resolve_by_system, also: str = "") -> Library:
    """A library that may fetch from this host, which an entry with a range allows."""
    entries = f"http://127.0.0.1:{host.port}@127.0.0.0/8,http://schemas.example:{host.port}{also}"
    return Library(Fetcher(parse_allowlist(entries), resolve))


async def bundled(using: Library, schema: object) -> Any:
    return json.loads(await using.bundle(json.dumps(schema).encode()))


async def refusal(using: Library, schema: object) -> str:
    """Why the schema is not bundled: the sentence about the reference."""
    with pytest.raises(PxError) as refused:
        await bundled(using, schema)
    error = refused.value
    assert isinstance(error, UnresolvableRef | RefUnavailable)
    return error.errors[0].message if error.errors else error.detail


def valid(schema: object, value: object) -> bool:
    """By the validator that answers are held to, which is offline."""
    compiled = compile_schema(read_schema(schema))
    assert compiled.validator is not None
    return compiled.validator.is_valid(value)


def at(*addresses: Sequence[str]) -> Resolve:
    """A resolver that says these, one after another."""
    left = list(addresses)

    async def resolve(host: str, port: int) -> Sequence[str]:
        assert host == "schemas.example"
        return left.pop(0)

    return resolve


# ---- what works


async def test_a_reference_to_a_whole_document_becomes_that_document() -> None:
    async with open_host() as host:
        host.pages["/city.json"] = {"title": "City", "type": "string", "minLength": 2}
        found = await bundled(loopback(host), {"$ref": host.url("/city.json"), "title": "Where"})
        assert found == {
            "$id": host.url("/city.json"), "title": "Where", "type": "string", "minLength": 2,
        }  # fmt: skip
        assert valid(found, "Graz")
        assert not valid(found, "G")


async def test_nested_references_are_bundled_each_document_once() -> None:
    async with open_host() as host:
        host.pages["/order.json"] = {
            "type": "object",
            "properties": {"to": {"$ref": "parts/address.json"},
                           "from": {"$ref": "/parts/address.json#"}},
        }  # fmt: skip
        host.pages["/parts/address.json"] = {
            "properties": {"zip": {"$ref": "zip.json#/$defs/zip"}}, "required": ["zip"],
        }  # fmt: skip
        host.pages["/parts/zip.json"] = {
            "$defs": {"zip": {"type": "string", "pattern": "^[0-9]+$"}}
        }
        schema = {"type": "array", "items": {"$ref": host.url("/order.json")}}
        found = await bundled(loopback(host), schema)
        assert found["$defs"].keys() == {
            host.url("/order.json"), host.url("/parts/address.json"), host.url("/parts/zip.json"),
        }  # fmt: skip
        assert sorted(host.asked) == ["/order.json", "/parts/address.json", "/parts/zip.json"]
        assert valid(found, [{"to": {"zip": "8010"}, "from": {"zip": "1"}}])
        assert not valid(found, [{"to": {"zip": "8010"}, "from": {"zip": "x"}}])
        assert not valid(found, [{"to": {}}])


async def test_loops_end_and_are_recursion() -> None:
    async with open_host() as host:
        host.pages["/a.json"] = {"type": "object", "properties": {"b": {"$ref": "b.json"}}}
        host.pages["/b.json"] = {"type": "object", "properties": {"a": {"$ref": "a.json"}}}
        found = await bundled(loopback(host), {"$ref": host.url("/a.json")})
        assert host.asked == ["/a.json", "/b.json"]
        assert valid(found, {"b": {"a": {"b": {}}}})
        assert not valid(found, {"b": {"a": {"b": 1}}})


async def test_what_names_itself_is_found_by_either_name() -> None:
    async with open_host() as host:
        host.pages["/v1.json"] = {
            "$id": "https://names.example/thing", "$ref": "#/$defs/t",
            "$defs": {"t": {"$anchor": "t", "type": "integer"}},
        }  # fmt: skip
        schema = {"allOf": [{"$ref": host.url("/v1.json")}, {"$ref": host.url("/v1.json#t")}]}
        found = await bundled(loopback(host), schema)
        assert valid(found, 1)
        assert not valid(found, "1")


async def test_draft_7_and_places_that_only_a_reference_makes_schemas() -> None:
    async with open_host() as host:
        host.pages["/api.json"] = {
            "$schema": DRAFT7,
            "components": {"A": {"properties": {"b": {"$ref": "#/components/B"}}},
                           "B": {"$ref": "b.json"}},
            "dependencies": {"x": ["y"], "z": {"type": "object"}},
        }  # fmt: skip
        host.pages["/b.json"] = {"$schema": DRAFT7, "$ref": "#/definitions/n",
                                 "definitions": {"n": {"type": "number"}}}  # fmt: skip
        found = await bundled(loopback(host), {"$ref": host.url("/api.json#/components/A")})
        assert found["$schema"] == DRAFT7
        assert valid(found, {"b": 1})
        assert not valid(found, {"b": "1"})


async def test_what_is_complete_in_itself_is_not_changed_and_nothing_is_fetched() -> None:
    async with open_host() as host:
        schema = {
            "$ref": "#/$defs/a",
            "$defs": {"a": {"$id": "urn:a", "const": {"$ref": host.url("/")}}},
        }
        assert await bundled(loopback(host), schema) == schema
        meta = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
        assert await bundled(loopback(host), meta) == meta
        assert host.heads == []


async def test_redirects_within_what_is_allowed_are_followed() -> None:
    async with open_host() as host:
        host.pages["/latest"] = redirect("/v2/a.json")
        host.pages["/v2/a.json"] = {"properties": {"b": {"$ref": "b.json"}}}
        host.pages["/v2/b.json"] = {"type": "null"}
        found = await bundled(loopback(host), {"$ref": host.url("/latest")})
        assert found["$id"] == host.url("/v2/a.json")
        assert not valid(found, {"b": 1})


async def test_a_document_is_kept_and_then_asked_for_by_its_etag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_host() as host:
        host.pages["/a.json"] = http(b'{"type": "null"}', 'ETag: "one"')
        using, schema = loopback(host), {"$ref": host.url("/a.json")}
        first = await bundled(using, schema)
        assert await bundled(using, schema) == first
        assert len(host.heads) == 1
        monkeypatch.setattr(library, "FRESH_SECONDS", 0.0)
        host.pages["/a.json"] = http(b"", 'ETag: "one"', status="304 Not Modified")
        assert await bundled(using, schema) == first
        assert b'if-none-match: "one"' in host.heads[1].lower()
        host.pages["/a.json"] = {"type": "string"}
        assert (await bundled(using, schema))["type"] == "string"


async def test_nothing_of_ours_is_sent_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment stands between the check of an address and its use."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with open_host() as host:
        host.pages["/a.json"] = True
        await bundled(loopback(host), {"$ref": host.url("/a.json")})
        head = host.heads[0].lower()
        assert f"host: 127.0.0.1:{host.port}".encode() in head
        assert b"cookie" not in head
        assert b"authorization" not in head


# ---- what is refused


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd", "http://127.0.0.1/", "http://127.0.0.1:1/a.json", "http://[::1]/",
        "http://2130706433/", "http://0x7f000001/", "http://127.1/", "http://0177.0.0.1/",
        "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/latest/meta-data/",
        "http://localhost/", "https://example.org/a.json", "ftp://example.org/a.json", "other.json",
        "urn:example:a", "http://[", "https://user:pass@example.org/", "http://127.0.0.1\\@b/",
    ],
)  # fmt: skip
async def test_other_places_are_refused_and_not_asked(uri: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise AssertionError(f"{host} was looked up")

    async with open_host() as host:
        host.pages["/a.json"] = {"properties": {"deep": {"$ref": uri}}}
        using = loopback(host, resolve)
        with pytest.raises(UnresolvableRef):
            await bundled(using, {"items": {"$ref": uri}})
        # Nested all the same; a relative one is this host's own.
        if uri != "other.json":
            await refusal(using, {"$ref": host.url("/a.json")})
        assert set(host.asked) <= {"/a.json", "/other.json"}


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["10.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"],
     ["93.184.215.14", "127.0.0.1"], ["fe80::1%lo"]],
    ids=str,
)  # fmt: skip
async def test_a_name_that_leads_inside_is_refused(addresses: list[str]) -> None:
    """No range was named for it, so no loopback either, however public its other addresses are."""
    async with open_host() as host:
        host.pages["/a.json"] = True
        using = loopback(host, at(addresses))
        why = await refusal(using, {"$ref": host.url("/a.json", "schemas.example")})
        assert "not public" in why
        assert host.heads == []


async def test_a_name_is_looked_up_once_and_what_was_checked_is_used() -> None:
    """A resolver that says a public address first and loopback then gets no second chance; nor has
    the one that is allowed to be on loopback a second look-up."""
    async with open_host() as host:
        host.pages["/a.json"] = {"type": "null"}
        entry = f"http://schemas.example:{host.port}@127.0.0.1/32"
        using = Library(Fetcher(parse_allowlist(entry), at(["127.0.0.1"])))
        found = await bundled(using, {"$ref": host.url("/a.json", "schemas.example")})
        assert found["type"] == "null"
        assert f"host: schemas.example:{host.port}".encode() in host.heads[0].lower()
        rebinding = Library(Fetcher(parse_allowlist(entry), at(["127.0.0.1"], ["127.0.0.2"])))
        host.pages["/a.json"] = redirect("/b.json")
        why = await refusal(rebinding, {"$ref": host.url("/a.json", "schemas.example")})
        assert "not public" in why
        assert host.asked == ["/a.json", "/a.json"]


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/", "file:///etc/passwd", "http://127.0.0.1:1/", "http://[::1]/",
     "//2130706433/", "http://schemas.example:{port}/", "https://127.0.0.1:{port}/"],
)  # fmt: skip
async def test_a_redirect_leads_nowhere_else(location: str) -> None:
    async with open_host() as host:
        host.pages["/a.json"] = redirect(location.format(port=host.port))
        await refusal(loopback(host, at(["192.168.0.1"])), {"$ref": host.url("/a.json")})
        assert host.asked == ["/a.json"]


async def test_redirects_end() -> None:
    async with open_host() as host:
        host.pages["/a.json"] = redirect("/a.json")
        assert "redirected more" in await refusal(loopback(host), {"$ref": host.url("/a.json")})
        assert len(host.heads) == fetcher.MOST_REDIRECTS + 1


async def test_a_body_without_end_is_cut_off() -> None:
    sent = 0

    async def pour(stream: Stream) -> None:
        nonlocal sent
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(1_024):
            await stream.send_all(MEGABYTE)
            sent += 1

    async with open_host() as host:
        host.pages["/a.json"] = pour
        assert "larger than 256 KiB" in await refusal(loopback(host), {"$ref": host.url("/a.json")})
        assert sent < 64


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"HTTP/1.1 200 OK\r\nX: ", b""]
)
async def test_what_drips_is_given_up(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "FETCH_SECONDS", 0.3)

    async def drip(stream: Stream) -> None:
        await stream.send_all(start or b"H")
        while True:
            await trio.sleep(0.02)
            await stream.send_all(b" ")

    async with open_host() as host:
        host.pages["/a.json"] = drip
        with trio.fail_after(5):
            why = await refusal(loopback(host), {"$ref": host.url("/a.json")})
        assert "did not arrive" in why


async def test_a_resolver_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "FETCH_SECONDS", 0.1)

    async def resolve(host: str, port: int) -> Sequence[str]:
        await trio.sleep_forever()
        raise AssertionError

    async with open_host() as host:
        schema = {"$ref": host.url("/a.json", "schemas.example")}
        assert "did not arrive" in await refusal(loopback(host, resolve), schema)


async def test_chains_and_crowds_of_documents_end() -> None:
    async with open_host() as host:
        for n in range(50):
            host.pages[f"/{n}.json"] = {"items": {"$ref": f"{n + 1}.json"}}
        why = await refusal(loopback(host), {"$ref": host.url("/0.json")})
        assert "more than 8 documents away" in why
        assert len(host.heads) == 8
        crowd = {"anyOf": [{"$ref": host.url(f"/{n}.json")} for n in range(50)]}
        for n in range(50):
            host.pages[f"/{n}.json"] = True
        assert "more than 32" in await refusal(loopback(host), crowd)


async def test_together_they_are_no_larger_than_a_schema() -> None:
    async with open_host() as host:
        for name in "ab":
            host.pages[f"/{name}"] = {"description": "x" * 40_000}
        schema = {"anyOf": [{"$ref": host.url("/a")}, {"$ref": host.url("/b")}]}
        with pytest.raises(SchemaTooLarge):
            await bundled(loopback(host), schema)


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (http(b"{"), "is no schema"),
        (http(b"3"), "is no schema"),
        (http(b'{"a":' * 40 + b"1" + b"}" * 40), "is no schema"),
        (http(b"{}", "Content-Encoding: gzip"), "packed"),
        (http(b"", status="404 Not Found"), "answered with 404"),
        (http(b"", status="304 Not Modified"), "304"),
        (http(b"", status="500 Oops"), "answered with 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "could not be fetched"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "could not be fetched"),
        (b"", "could not be fetched"),
    ],
)
async def test_what_is_no_document_is_told(page: bytes, why: str) -> None:
    async with open_host() as host:
        host.pages["/a.json"] = page
        assert why in await refusal(loopback(host), {"$ref": host.url("/a.json")})


async def test_the_place_of_a_bad_reference_is_told() -> None:
    async with open_host() as host:
        host.pages["/a.json"] = {"properties": {"x/y": {"$ref": "https://elsewhere.example/"}}}
        with pytest.raises(UnresolvableRef) as refused:
            await bundled(loopback(host), {"items": {"$ref": host.url("/a.json")}})
        assert refused.value.errors[0].pointer == f"{host.url('/a.json')}#/properties/x~1y/$ref"
        with pytest.raises(UnresolvableRef) as refused:
            await bundled(loopback(host), {"items": {"$ref": "https://elsewhere.example/"}})
        assert refused.value.errors[0].pointer == "/items/$ref"


async def test_long_identifiers_are_refused_and_never_hold_the_event_loop() -> None:
    """X4: what joins each of many references to one long identifier takes seconds."""
    long = {"$id": "https://h.example/" + "a/" * 8_000, "anyOf": [{"$ref": "../x#"}] * 2_200}
    async with open_host() as host:
        host.pages["/a.json"] = {"$defs": {"a": {"$id": "b/" * 2_000}}}
        assert "too long" in await refusal(loopback(host), long)
        assert "too long" in await refusal(loopback(host), {"$ref": host.url("/a.json")})
