"""Files of a broker with an object store: past the broker up, by it down (X1)."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest
import trio

from tests.brokers import NO_TLS, Broker, Brokers
from tests.client.proxy import open_proxy
from tests.object_store import SECRET_KEY, ObjectStore
from tests.transports.clients import Party, checked

# What is downloaded is the same wherever it lies: these run with the broker of this module.
from tests.transports.test_rest_files import (
    PHOTO,
    PNG,
    peak_memory,
    signed,
)
from tests.transports.test_rest_files import (
    test_a_single_range_is_heeded as test_a_single_range_is_heeded,
)
from tests.transports.test_rest_files import (
    test_what_a_browser_might_run_comes_as_bytes as test_what_a_browser_might_run_comes_as_bytes,
)
from tests.transports.test_rest_files import uploaded as uploaded


@pytest.fixture(scope="module")
def shared_broker(shared_brokers: Brokers, object_store: ObjectStore) -> Broker:
    bucket = f"s3://{object_store.make_bucket()}/files"
    return shared_brokers("--files-url", bucket, environ=object_store.environ)


async def test_a_file_goes_up_past_the_broker_and_comes_down_by_it(
    shared_broker: Broker, object_store: ObjectStore, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana, name="ü.png")
    assert file["putUrl"].startswith(f"{object_store.url}/")
    assert file["putHeaders"] == {}
    async with checked(shared_broker) as client, httpx.AsyncClient(verify=NO_TLS) as past:
        assert (await client.get(file["getUrl"])).status_code == 404
        up = await past.put(file["putUrl"], content=PNG, headers={"content-type": "text/html"})
        assert up.status_code == 200
        payload = {"photo": file["fileId"]}
        answer = await ana.done("postResponse", id=file["requestId"], payload=payload)
        assert answer["files"][0]["size"] == len(PNG)
    read = await asker.done("getResponse", id=file["requestId"])
    async with shared_broker.rest() as client:
        down = await client.get(read["files"][0]["url"])
    assert (down.status_code, down.content) == (200, PNG)
    assert down.headers["content-type"] == "image/png"
    assert down.headers["content-disposition"].endswith("filename*=UTF-8''%C3%BC.png")
    assert down.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in down.headers["content-security-policy"]


async def test_an_upload_that_lies_is_refused_with_the_answer(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana)
    async with httpx.AsyncClient(verify=NO_TLS) as past:
        up = await past.put(file["putUrl"], content=b"<html>".ljust(len(PNG)))
        assert up.status_code == 200, "the store itself takes anything"
    payload = {"photo": file["fileId"]}
    code = await ana.refused("postResponse", id=file["requestId"], payload=payload)
    assert code == "file_refused"


async def test_urls_of_the_broker_admit_no_upload_there(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    file = await signed(asker, ana)
    async with checked(shared_broker) as client:
        for url in (file["getUrl"], file["getUrl"].replace("purpose=get", "purpose=put")):
            refused = await client.put(url, content=PNG)
            assert (refused.status_code, refused.json()["code"]) == (403, "file_url_refused")


async def test_the_page_may_connect_to_the_store_and_nowhere_else(
    shared_broker: Broker, object_store: ObjectStore
) -> None:
    async with shared_broker.rest() as client:
        policy = (await client.get("/")).headers["content-security-policy"]
    where = urlsplit(object_store.url)
    assert f"connect-src 'self' {where.scheme}://{where.netloc};" in policy
    assert policy.count("http") == 1


async def test_a_broker_ends_in_time_while_the_store_is_silent(
    shared_brokers: Brokers, object_store: ObjectStore, ana: Party, asker: Party
) -> None:
    """A6, and X5: what is being read is left alone; nothing that could be used is in the log."""
    bucket = f"s3://{object_store.make_bucket()}"
    async with open_proxy(object_store.url) as way:
        flags = ("--files-url", bucket, "--grace-seconds", "1")
        environ = {**object_store.environ, "AWS_ENDPOINT_URL": way.url}
        broker = await trio.to_thread.run_sync(lambda: shared_brokers(*flags, environ=environ))
        here = Party(broker, ana.sub, "respond")
        here.entity_id = ana.entity_id
        async with here.rest:
            file = await signed(asker, here)
            async with httpx.AsyncClient(verify=NO_TLS) as past:
                assert (await past.put(file["putUrl"], content=PNG)).is_success
            way.silence()
            with trio.move_on_after(0.5) as left:
                payload = {"photo": file["fileId"]}
                await here.done("postResponse", id=file["requestId"], payload=payload)
            assert left.cancelled_caught
        with trio.fail_after(20):
            assert await trio.to_thread.run_sync(broker.stop) == 0
    log = broker.log.read_text()
    assert SECRET_KEY not in log
    assert "Signature" not in log
    assert "Traceback" not in log


async def test_a_large_file_is_taken_in_within_little_memory(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    """Three times the size takes no more; what is held is some parts of 12 MiB."""
    await _take_in(shared_broker, asker, ana, 26)
    before = peak_memory(shared_broker)
    url = await _take_in(shared_broker, asker, ana, 78)
    async with shared_broker.rest() as client:
        down = await client.get(url, headers={"range": "bytes=-3000000"})
    assert down.content == _bytes(78)[-3_000_000:]
    assert peak_memory(shared_broker) - before < 26 * 2**20


def _bytes(megabytes: int) -> bytes:
    return b"".join(bytes([n]) * 2**20 for n in range(megabytes))


async def _take_in(broker: Broker, asker: Party, ana: Party, megabytes: int) -> str:
    """Have so large a file uploaded and referred to; return where it is."""
    policy = {"maxFileMB": 100, "maxTotalMB": 100}
    id = await asker.ask(ana.entity_id, schema=PHOTO, filesPolicy=policy)
    data = _bytes(megabytes)
    about = {"name": "a.bin", "contentType": "application/octet-stream", "size": len(data)}
    file = await ana.done("signFile", requestId=id, **about)
    async with httpx.AsyncClient(verify=NO_TLS, timeout=60) as past:
        assert (await past.put(file["putUrl"], content=data)).is_success
    answer = await ana.done("postResponse", id=id, payload={"photo": file["fileId"]})
    return str(answer["files"][0]["url"])
