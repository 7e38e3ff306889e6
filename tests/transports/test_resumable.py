"""Uploads by the tus protocol: cut off, gone on with, and never seen before they are whole."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import trio

from tests.brokers import NO_TLS, Broker, Brokers
from tests.contract.documents import Json
from tests.transports.clients import Party, checked
from tests.transports.test_rest_files import PNG, signed

TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = "application/offset+octet-stream"
BYTES = "application/octet-stream"


def at(offset: int) -> dict[str, str]:
    return {**TUS, "Upload-Offset": str(offset), "Content-Type": CHUNK}


async def stands(client: httpx.AsyncClient, url: str) -> int:
    """Where the upload stands, by the broker's word."""
    head = await client.head(url, headers=TUS)
    assert head.status_code == 200
    assert head.headers["cache-control"] == "no-store"
    return int(head.headers["upload-offset"])


@asynccontextmanager
async def patching(
    broker: Broker, url: str, size: int, offset: int = 0
) -> AsyncIterator[trio.SocketStream]:
    """A connection on which a PATCH of that size was begun; leaving the block cuts it."""
    where = urlsplit(broker.url)
    stream = await trio.open_tcp_stream(where.hostname or "", where.port or 0)
    async with stream:
        lines = [f"PATCH {url} HTTP/1.1", "Host: x", f"Content-Length: {size}"]
        lines += [f"{name}: {value}" for name, value in at(offset).items()]
        await stream.send_all("\r\n".join([*lines, "", ""]).encode())
        yield stream


async def content(client: httpx.AsyncClient, file: Json) -> bytes:
    """The file as it is downloaded."""
    async with httpx.AsyncClient(base_url=client.base_url, verify=NO_TLS) as plain:
        return (await plain.get(file["getUrl"])).content


async def until_stands(client: httpx.AsyncClient, url: str, wanted: int) -> None:
    with trio.fail_after(20):
        while await stands(client, url) < wanted:
            await trio.lowlevel.checkpoint()


async def test_an_upload_that_is_cut_goes_on_where_it_stands(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana)
    url = file["resumeUrl"]
    async with checked(shared_broker) as client:
        assert await stands(client, url) == 0
        async with patching(shared_broker, url, len(PNG)) as stream:
            await stream.send_all(PNG[:5000])
        await until_stands(client, url, 5000)
        assert (await client.get(file["getUrl"])).status_code == 404, "nothing of it is visible"
        rest = await client.patch(url, headers=at(5000), content=PNG[5000:])
        assert (rest.status_code, rest.headers["upload-offset"]) == (204, str(len(PNG)))
        digest = b64decode(rest.headers["repr-digest"].removeprefix("sha-256=").strip(":"))
        assert digest == hashlib.sha256(PNG).digest()
        assert await stands(client, url) == len(PNG)
        again = await client.patch(url, headers=at(len(PNG)), content=b"")
        assert again.status_code == 204
        assert await content(client, file) == PNG
        await ana.done("postResponse", id=file["requestId"], payload={"photo": file["fileId"]})


async def test_clients_that_create_uploads_are_told_where_theirs_is(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana)
    url = file["resumeUrl"]
    length = {**TUS, "Upload-Length": str(len(PNG)), "Upload-Metadata": "filename YS5wbmc="}
    async with checked(shared_broker) as client:
        told = await client.options(url.partition("?")[0])
        assert told.headers["tus-version"] == "1.0.0"
        assert "creation-with-upload" in told.headers["tus-extension"].split(",")
        made = await client.post(url, headers=length)
        assert (made.status_code, made.headers["location"]) == (201, url)
        assert made.headers["upload-offset"] == "0"
        body = await client.post(url, headers={**length, "Content-Type": CHUNK}, content=PNG[:99])
        assert (body.status_code, body.headers["upload-offset"]) == (201, "99")
        over = {**at(99), "X-HTTP-Method-Override": "PATCH"}
        rest = await client.post(url, headers=over, content=PNG[99:])
        assert rest.headers["upload-offset"] == str(len(PNG))
        assert await content(client, file) == PNG


async def test_what_does_not_fit_the_upload_leaves_it_as_it_was(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana)
    url = file["resumeUrl"]
    wrong: list[tuple[str, dict[str, str], bytes, str]] = [
        ("PATCH", at(7), PNG[7:], "offset_conflict"),
        ("PATCH", at(0), PNG[:10], "offset_conflict"),
        ("PATCH", at(4), PNG[5:], "offset_conflict"),
        ("PATCH", at(5), PNG[5:] + b"!", "file_refused"),
        ("PATCH", at(10**15), b"", "file_refused"),
        ("PATCH", {**at(5), "Content-Type": BYTES}, PNG[5:], "unsupported_media_type"),
        ("PATCH", {**at(5), "Upload-Offset": "-5"}, PNG[5:], "invalid_request"),
        ("PATCH", {**at(5), "Upload-Offset": "5" * 400}, PNG[5:], "invalid_request"),
        ("PATCH", {"Upload-Offset": "5", "Content-Type": CHUNK}, b"", "unsupported_version"),
        ("PATCH", {**at(5), "Tus-Resumable": "0.2.2"}, PNG[5:], "unsupported_version"),
        ("POST", TUS, b"", "invalid_request"),
        ("POST", {**TUS, "Upload-Defer-Length": "1"}, b"", "invalid_request"),
        ("POST", {**TUS, "Upload-Length": "5"}, b"", "file_refused"),
        ("POST", {**TUS, "Upload-Length": str(2**50)}, b"", "payload_too_large"),
        ("PUT", TUS, b"", "method_not_allowed"),
        ("GET", TUS, b"", "method_not_allowed"),
    ]
    async with checked(shared_broker) as client:
        await client.patch(url, headers=at(0), content=PNG[:5])
        for method, headers, content, code in wrong:
            refused = await client.request(method, url, headers=headers, content=content)
            assert refused.json()["code"] == code, (method, headers)
            assert refused.headers["tus-resumable"] == "1.0.0"
            assert await stands(client, url) == 5
        assert (await client.patch(url, headers=at(5), content=PNG[5:])).status_code == 204


async def test_who_is_refused_and_goes_on_sending_is_not_left_waiting(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    """What is refused is read no further, however much of it is on the way."""
    size = 20_000_000
    file = await signed(asker, ana, size=size, contentType=BYTES)
    for _ in range(5):
        async with patching(shared_broker, file["resumeUrl"], size - 7, 7) as stream:
            with trio.fail_after(10), pytest.raises(trio.BrokenResourceError):
                await stream.send_all(bytes(size))


async def test_a_url_counts_for_its_own_upload_alone(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file, other = await signed(asker, ana), await signed(asker, ana)
    url, put = file["resumeUrl"], file["putUrl"]
    async with checked(shared_broker) as client:
        for wrong in (
            url[:-1], url + "0", url + "&purpose=tus", url.partition("?")[0],
            url.replace(file["fileId"], other["fileId"]), url.replace("expires=", "expires=9"),
            put.replace("/content?", "/tus?"), url.replace("purpose=tus", "purpose=put"),
            url.replace(file["fileId"], "..%2F..%2Fetc"), url.replace(file["fileId"], "%00"),
        ):  # fmt: skip
            for method in ("PATCH", "DELETE"):
                refused = await client.request(method, wrong, headers=at(0), content=b"")
                assert refused.json()["code"] == "file_url_refused", wrong
        mixed = await client.put(url.replace("/tus?", "/content?"), content=PNG)
        assert mixed.json()["code"] == "file_url_refused"
        await ana.done("postResponse", id=file["requestId"], payload={})
        late = await client.patch(url, headers=at(0), content=PNG)
        assert late.json()["code"] == "upload_gone"


async def test_what_lies_about_its_type_begins_anew(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana)
    url = file["resumeUrl"]
    lie = b"<html><script>".ljust(len(PNG))
    async with checked(shared_broker) as client:
        assert (await client.patch(url, headers=at(0), content=lie[:700])).status_code == 204
        refused = await client.patch(url, headers=at(700), content=lie[700:])
        assert refused.json()["code"] == "file_refused"
        assert await stands(client, url) == 0
        assert (await client.patch(url, headers=at(0), content=PNG)).status_code == 204


async def test_an_upload_that_is_given_up_is_gone(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file, other = await signed(asker, ana), await signed(asker, ana)
    url = file["resumeUrl"]
    async with checked(shared_broker) as client:
        await client.patch(url, headers=at(0), content=PNG[:5])
        assert (await client.delete(url, headers=TUS)).status_code == 204
        for method, headers in (("PATCH", at(5)), ("DELETE", TUS)):
            gone = await client.request(method, url, headers=headers)
            assert gone.json()["code"] == "not_found"
        assert (await client.put(file["putUrl"], content=PNG)).status_code == 404
        assert (await client.put(other["putUrl"], content=PNG)).status_code == 200
        kept = await client.delete(other["resumeUrl"], headers=TUS)
        assert kept.json()["code"] == "file_exists"
        assert await stands(client, other["resumeUrl"]) == len(PNG), "it came another way"


async def test_the_first_whole_one_of_two_ways_is_the_file(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana)
    url, half = file["resumeUrl"], len(PNG) // 2
    async with checked(shared_broker) as client:
        await client.patch(url, headers=at(0), content=PNG[:half])
        async with patching(shared_broker, url, len(PNG) - half, half) as stream:
            await stream.send_all(PNG[half:-1])
            await until_stands(client, url, half)
            other = await client.put(file["putUrl"], content=PNG[:-1] + b"!")
            assert other.status_code == 200
            await stream.send_all(PNG[-1:])
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 409")
        assert await content(client, file) == PNG[:-1] + b"!"


async def test_one_at_a_time_adds_and_a_silent_one_loses_its_turn(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana, size=2_000_000, contentType=BYTES)
    url = file["resumeUrl"]
    async with checked(shared_broker) as client:
        async with patching(shared_broker, url, 2_000_000) as stream:
            # Enough for some of it to be on the disk while the rest is waited for.
            await stream.send_all(b"x" * 1_500_000)
            await until_stands(client, url, 500_000)
            second = await client.patch(url, headers=at(await stands(client, url)), content=b"y")
            assert second.json()["code"] == "upload_locked"
            assert (await client.delete(url, headers=TUS)).status_code == 423
            with trio.fail_after(20):
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 408")
        assert await stands(client, url) == 1_500_000
        rest = await client.patch(url, headers=at(1_500_000), content=b"y" * 500_000)
        assert rest.status_code == 204
        assert await content(client, file) == b"x" * 1_500_000 + b"y" * 500_000


async def test_an_upload_outlives_the_broker_that_took_it(
    shared_brokers: Brokers, asker: Party, ana: Party, tmp_path: Path
) -> None:
    """Killed by SIGKILL in the middle of a PATCH: what was acknowledged stays, and another broker
    that shares the directory goes on with it."""
    data = hashlib.shake_256(b"seed").digest(6_000_000)
    one, other = [shared_brokers("--files-dir", str(tmp_path)) for _ in range(2)]
    file = await signed(asker, ana, size=len(data), contentType=BYTES)
    url = file["resumeUrl"]
    async with checked(other) as client:
        async with one.rest() as direct:
            first = await direct.patch(url, headers=at(0), content=data[:1_000_000])
            assert first.headers["upload-offset"] == "1000000"
        async with patching(one, url, len(data) - 1_000_000, 1_000_000) as stream:
            await stream.send_all(data[1_000_000:4_000_000])
            await until_stands(client, url, 2_000_000)
            await trio.to_thread.run_sync(one.kill)
        come = await stands(client, url)
        assert 2_000_000 <= come <= 4_000_000
        assert list((tmp_path / "kept").rglob("*.*")) == []
        rest = await client.patch(url, headers=at(come), content=data[come:])
        assert rest.status_code == 204
        assert await content(client, file) == data
        assert list((tmp_path / "drafts").iterdir()) == []
    await trio.to_thread.run_sync(other.stop)
