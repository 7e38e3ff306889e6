"""Files over HTTP: uploads as they come, ranges, and headers that let nothing act (X1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import trio

from tests.brokers import Broker
from tests.contract.documents import Json
from tests.transports.clients import Party, checked

PHOTO = {"type": "object", "properties": {"photo": {"type": "string", "format": "pxbox-file"}}}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


async def signed(asker: Party, ana: Party, **about: Any) -> Json:
    id = await asker.ask(ana.entity_id, schema=PHOTO)
    about = {"name": "a.png", "contentType": "image/png", "size": len(PNG), **about}
    return {**await ana.done("signFile", requestId=id, **about), "requestId": id}


async def test_a_file_goes_up_and_comes_down_without_a_token(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana, name="ü\"; x='.png")
    async with checked(shared_broker) as client:
        assert (await client.get(file["getUrl"])).status_code == 404
        up = await client.put(file["putUrl"], content=PNG)
        assert up.status_code == 200
        payload = {"photo": file["fileId"]}
        answer = await ana.done("postResponse", id=file["requestId"], payload=payload)
        assert answer["files"][0]["sha256"] == up.json()["sha256"]
        read = await asker.done("getResponse", id=file["requestId"])
        async with asker.socket() as socket:
            by_socket = await socket.command("getFile", {"id": file["fileId"]})
        by_rest = await asker.done("getFile", id=file["fileId"])
        for one in (by_socket, by_rest, *read["files"]):
            url = one.pop("url")
            one["url"] = url.partition("?")[0]
        assert by_socket == by_rest == read["files"][0]
        read["files"][0]["url"] = url
    async with shared_broker.rest() as client:
        down = await client.get(read["files"][0]["url"])
        assert (down.status_code, down.content) == (200, PNG)
        assert down.headers["content-type"] == "image/png"
        disposition = (
            "attachment; filename=\"___ x__.png\"; filename*=UTF-8''%C3%BC%22%3B%20x%3D%27.png"
        )
        assert down.headers["content-disposition"] == disposition
        assert down.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in down.headers["content-security-policy"]
        assert down.headers["cache-control"] == "private, no-store"
        head = await client.head(read["files"][0]["url"])
        assert (head.content, head.headers["content-length"]) == (b"", str(len(PNG)))


@pytest.mark.parametrize(
    "mime", ["text/html", "image/svg+xml", "application/pdf", "text/javascript"]
)
async def test_what_a_browser_might_run_comes_as_bytes(
    shared_broker: Broker, asker: Party, ana: Party, mime: str
) -> None:
    data = b"%PDF-1.7\n" if mime.endswith("pdf") else b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    data = b"alert(1)" if mime.endswith("script") else data
    file = await signed(asker, ana, contentType=mime, size=len(data))
    async with shared_broker.rest() as client:
        assert (await client.put(file["putUrl"], content=data)).status_code == 200
        down = await client.get(file["getUrl"])
    assert down.headers["content-type"] == "application/octet-stream"
    assert down.headers["content-disposition"].startswith("attachment; ")


@pytest.mark.parametrize(
    ("range", "status", "start", "end"),
    [
        ("bytes=0-0", 206, 0, 1), ("bytes=8-", 206, 8, None), ("bytes=-5", 206, -5, None),
        ("bytes=5-99999999", 206, 5, None), ("bytes=-99999999", 206, 0, None),
        ("bytes=99999999-", 416, 0, 0), ("bytes=-0", 416, 0, 0),
        ("bytes=5-1", 200, 0, None), ("bytes=0-1,3-4", 200, 0, None), ("bytes=-", 200, 0, None),
        ("lines=1-2", 200, 0, None), ("bytes=" + "9" * 400 + "-", 200, 0, None),
    ],
)  # fmt: skip
async def test_a_single_range_is_heeded(
    shared_broker: Broker, uploaded: str, range: str, status: int, start: int, end: int | None
) -> None:
    async with shared_broker.rest() as client:
        down = await client.get(uploaded, headers={"range": range})
        assert (down.status_code, down.content) == (status, PNG[start:end])
        if status == 206:
            first = start % len(PNG)
            said = f"bytes {first}-{first + len(down.content) - 1}/{len(PNG)}"
            assert down.headers["content-range"] == said
        etag = down.headers["etag"]
        other = await client.get(uploaded, headers={"range": range, "if-range": '"other"'})
        assert (other.status_code, other.content) == (200, PNG)
        known = await client.get(uploaded, headers={"if-none-match": f'"x", {etag}'})
        assert (known.status_code, known.content) == (304, b"")


@pytest.fixture
async def uploaded(shared_broker: Broker, asker: Party, ana: Party) -> str:
    """Where a file can be downloaded."""
    file = await signed(asker, ana)
    async with shared_broker.rest() as client:
        assert (await client.put(file["putUrl"], content=PNG)).status_code == 200
    return str(file["getUrl"])


async def test_urls_that_were_tampered_with_are_refused(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file, other = await signed(asker, ana), await signed(asker, ana)
    put, get = file["putUrl"], file["getUrl"]
    async with checked(shared_broker) as client:
        for url in (
            get, put[:-1], put + "0", put.replace(file["fileId"], other["fileId"]),
            put.replace("expires=", "expires=9"), put + "&purpose=put", put.partition("?")[0],
            put.replace(file["fileId"], "x"), put.replace(file["fileId"], quote("../" * 9, "")),
            put.replace(file["fileId"], "%00"),
        ):  # fmt: skip
            refused = await client.put(url, content=PNG)
            assert (refused.status_code, refused.json()["code"]) == (403, "file_url_refused"), url
        assert (await client.get(put)).json()["code"] == "file_url_refused"
        for method in ("POST", "DELETE", "PATCH", "OPTIONS"):
            refused = await client.request(method, put)
            assert refused.json()["code"] == "method_not_allowed"
            assert refused.headers["allow"] == "GET, HEAD, PUT"
        for path in (
            "/v1/files/../../etc/passwd",
            "/v1/files/a%2Fb/content/x",
            "/v1/files//content",
        ):
            assert (await client.get(path)).status_code == 404
        assert (await client.get(get)).status_code == 404
        assert (await client.put(put, content=PNG)).status_code == 200


async def test_an_upload_that_lies_is_refused_before_all_of_it_came(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana, size=20_000_000)
    where = urlsplit(shared_broker.url)
    stream = await trio.open_tcp_stream(where.hostname or "", where.port or 0)
    async with stream:
        head = f"PUT {file['putUrl']} HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n"
        await stream.send_all(head.encode() + b"<html>".ljust(100_000))
        with trio.fail_after(5):
            answer = await stream.receive_some()
    assert answer.startswith(b"HTTP/1.1 422"), "nineteen million bytes were not waited for"


async def test_an_upload_that_is_cut_leaves_nothing_to_download(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana)
    where = urlsplit(shared_broker.url)
    stream = await trio.open_tcp_stream(where.hostname or "", where.port or 0)
    async with stream:
        head = f"PUT {file['putUrl']} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(PNG)}\r\n\r\n"
        await stream.send_all(head.encode() + PNG[:5000])
    async with checked(shared_broker) as client:
        assert (await client.get(file["getUrl"])).status_code == 404
        assert (await client.put(file["putUrl"], content=PNG)).status_code == 200
        assert (await client.put(file["putUrl"], content=PNG)).status_code == 200
        other = await client.put(file["putUrl"], content=PNG[:-1] + b"!")
        assert other.json()["code"] == "file_exists"


async def test_a_large_file_goes_through_in_little_memory(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    """64 MiB here; what is held at a time does not depend on the size."""
    size = 64 * 2**20
    policy = {"maxFileMB": 64, "maxTotalMB": 64}
    id = await asker.ask(ana.entity_id, schema=PHOTO, filesPolicy=policy)
    about = {"name": "a.bin", "contentType": "application/octet-stream", "size": size}
    file = await ana.done("signFile", requestId=id, **about)

    async def content() -> Any:
        for n in range(64):
            yield bytes([n]) * 2**20

    before = peak_memory(shared_broker)
    async with shared_broker.rest() as client:
        length = {"content-length": str(size)}
        up = await client.put(file["putUrl"], content=content(), headers=length, timeout=60)
        assert up.json()["size"] == size
        async with client.stream("GET", file["getUrl"], timeout=60) as down:
            got = [len(piece) async for piece in down.aiter_raw()]
    assert sum(got) == size
    assert peak_memory(shared_broker) - before < 24 * 2**20


def peak_memory(broker: Broker) -> int:
    """The most that the broker's process has had in memory, in bytes."""
    status = Path(f"/proc/{broker.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
