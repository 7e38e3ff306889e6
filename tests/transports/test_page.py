"""The page through a running broker: at its paths, and nowhere else."""

from __future__ import annotations

import gzip

import httpx

from pxbox.model.ids import is_ulid
from pxbox.web import read_site
from tests.brokers import Broker

HTML = {"accept": "text/html"}


def index() -> bytes:
    reply = read_site().reply("/", {})
    assert reply is not None
    return reply.body


async def test_the_page_is_at_the_root_without_a_token(shared_broker: Broker) -> None:
    async with shared_broker.rest() as nobody:
        reply = await nobody.get("/")
        assert (reply.status_code, reply.content) == (200, index())
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert reply.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert is_ulid(reply.headers["x-request-id"])
        head = await nobody.head("/")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == reply.headers["content-length"]
        same = await nobody.get("/", headers={"if-none-match": reply.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")


async def test_it_comes_compressed_and_the_connection_goes_on(shared_broker: Broker) -> None:
    async with shared_broker.rest() as nobody:
        for _ in range(3):
            async with nobody.stream("GET", "/", headers={"accept-encoding": "gzip"}) as reply:
                raw = b"".join([part async for part in reply.aiter_raw()])
            zipped = reply.headers.get("content-encoding") == "gzip"
            assert (gzip.decompress(raw) if zipped else raw) == index()
        wanted = await nobody.request("GET", "/", content=b"x" * 300_000)
        assert wanted.status_code == 200
        assert (await nobody.get("/healthz")).status_code == 200


async def test_addresses_of_the_page_lead_to_it_and_others_stay_problems(
    shared_broker: Broker,
) -> None:
    async with shared_broker.rest() as nobody:
        for path in ("/requests/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/sign-in?x=1"):
            assert (await nobody.get(path, headers=HTML)).content == index()
            assert problem(await nobody.get(path)) == (404, "not_found")
        for path in ("/assets/x.js", "/assets/..%2f..%2fsite.py", "/v1/nothing", "/index.html/"):
            assert problem(await nobody.get(path)) == (404, "not_found")
        assert problem(await nobody.post("/", headers=HTML)) == (405, "method_not_allowed")
        assert "PxBox" in (await nobody.get("/docs", headers=HTML)).text


def problem(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]
