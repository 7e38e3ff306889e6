"""Files in an object store: uploaded past the broker, looked at when an answer refers to them.

The store is moto's server: a real one was not tried.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import obstore
import pytest
import trio

from pxbox.blobs.buckets import Bucket
from pxbox.blobs.links import Links
from pxbox.blobs.objects import ObjectStorage
from pxbox.model.errors import (
    FileRefused,
    FileUrlRefused,
    InvalidAnswer,
    NotFound,
    Unavailable,
    WrongStatus,
)
from pxbox.service import adopting
from pxbox.service.collecting import Collector, find_orphans
from tests.brokers import NO_TLS
from tests.client.proxy import Proxy, open_proxy
from tests.object_store import ObjectStore, bucket_at
from tests.service.brokers import Broker, Client, open_broker
from tests.service.test_files import PHOTO, PNG, asked, read, sign, upload

NOW = timedelta(0)


@dataclass
class Site:
    """A broker whose files lie in a bucket, and the way there, which can be cut.

    `troubles` are what operators are told.
    """

    broker: Broker
    bucket: Bucket
    way: Proxy
    troubles: list[str]
    url: str

    def listed(self, folder: str = "") -> list[str]:
        """What lies there, by whatever way."""
        found = [one["path"] for chunk in obstore.list(self.bucket.store) for one in chunk]
        return [path for path in found if path.startswith(folder)]

    def away(self) -> None:
        """From now on nobody answers there."""
        self.way.accepting = False
        self.way.cut()


@pytest.fixture
async def site(database_url: str, object_store: ObjectStore) -> AsyncIterator[Site]:
    name, troubles = object_store.make_bucket(), list[str]()
    async with AsyncExitStack() as stack:
        way = await stack.enter_async_context(open_proxy(object_store.url))
        storage = ObjectStorage(bucket_at(way.url, name), Links(b"key"), troubles.append)
        broker = await stack.enter_async_context(open_broker(database_url, storage))
        yield Site(broker, bucket_at(object_store.url, name), way, troubles, database_url)


async def put(signed: Any, data: bytes = PNG) -> None:
    """As an uploader does, past the broker."""
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        done = await client.put(signed["putUrl"], content=data, headers=signed["putHeaders"])
        assert done.status_code == 200


async def answered(client: Client, id: str, signed: Any, key: str | None = None) -> Any:
    return await client.call("postResponse", key, id=id, payload={"photo": signed["fileId"]})


async def test_a_file_goes_past_the_broker_and_is_looked_at_when_an_answer_refers_to_it(
    site: Site,
) -> None:
    mine, id = await asked(site.broker)
    signed = await sign(mine, id)
    assert urlsplit(signed["putUrl"]).netloc == urlsplit(site.way.url).netloc
    assert signed["getUrl"].startswith("/v1/files/")
    await put(signed)
    assert site.listed() == [f"incoming/{signed['fileId']}"]
    reply = await answered(mine, id, signed, "key")
    assert len(site.listed("kept/")) == len(site.listed()) == 1
    told = await site.broker.asker().call("getResponse", id=id)
    for response in (reply, told):
        (file,) = response["files"]
        assert await read(site.broker, file.pop("url")) == PNG
        assert file.pop("sha256")
        assert file == {
            "id": signed["fileId"], "name": "a.png", "size": len(PNG), "mime": "image/png",
        }  # fmt: skip


async def test_its_uploader_reads_it_before_the_answer_and_that_is_the_file(site: Site) -> None:
    mine, id = await asked(site.broker)
    signed = await sign(mine, id)
    with pytest.raises(NotFound):
        await read(site.broker, signed["getUrl"])
    await put(signed)
    assert await read(site.broker, signed["getUrl"]) == PNG
    other = PNG[:-1] + b"!"
    await put(signed, other)
    await answered(mine, id, signed)
    assert await read(site.broker, signed["getUrl"]) == PNG


async def test_what_was_uploaded_last_before_the_answer_is_the_file(site: Site) -> None:
    mine, id = await asked(site.broker)
    signed = await sign(mine, id)
    other = PNG[:-1] + b"!"
    await put(signed)
    await put(signed, other)
    (file,) = (await answered(mine, id, signed))["files"]
    await put(signed)
    assert await read(site.broker, file["url"]) == other
    await Collector(site.broker.parts.files, NOW).collect(100)
    assert len(site.listed()) == 1, "what came too late is collected"


@pytest.mark.parametrize(
    ("data", "keyword"),
    [
        (PNG[:-1], "size"),
        (PNG + b"!", "size"),
        (bytes(2**20 + 1), "size"),
        (b"", "size"),
        (b"<html><script>alert(1)</script>".ljust(len(PNG)), "mime"),
        (b"MZ".ljust(len(PNG), b"\0"), "mime"),
    ],
)
async def test_an_upload_that_is_not_what_was_signed_is_refused_with_the_answer(
    site: Site, data: bytes, keyword: str
) -> None:
    mine, id = await asked(site.broker)
    signed = await sign(mine, id)
    await put(signed, data)
    with pytest.raises(FileRefused) as refusal:
        await answered(mine, id, signed)
    (error,) = refusal.value.errors
    assert (error.pointer, error.keyword) == ("/photo", keyword)
    assert site.listed("kept/") == []
    assert (await mine.call("getRequest", id=id))["status"] == "PENDING"
    await put(signed)
    await answered(mine, id, signed)


async def test_edges_of_the_policy_are_admitted(site: Site) -> None:
    mine, id = await asked(site.broker)
    whole = PNG + bytes(2**20 - len(PNG))
    large, empty = await sign(mine, id, size=len(whole)), await sign(mine, id, size=0)
    await put(large, whole)
    await put(empty, b"")
    files = [large["fileId"], empty["fileId"]]
    reply = await mine.call("postResponse", id=id, payload={}, files=files)
    assert [file["size"] for file in reply["files"]] == [2**20, 0]
    for file, data in zip(reply["files"], (whole, b""), strict=True):
        assert await read(site.broker, file["url"]) == data


async def test_what_is_too_much_together_is_refused_before_anything_is_read(site: Site) -> None:
    mine, id = await asked(site.broker)
    whole = PNG + bytes(2**20 - len(PNG))
    signed = [await sign(mine, id, size=len(whole)), await sign(mine, id)]
    for one, data in zip(signed, (whole, PNG), strict=True):
        await put(one, data)
    with pytest.raises(FileRefused) as refusal:
        await mine.call("postResponse", id=id, payload={}, files=[one["fileId"] for one in signed])
    assert [error.keyword for error in refusal.value.errors] == ["maxTotalMB"]
    assert site.listed("kept/") == []


async def test_files_that_are_not_there_are_named_by_their_places(site: Site) -> None:
    mine, id = await asked(site.broker)
    missing, gone, there = [await sign(mine, id, name=f"{n}.png") for n in range(3)]
    await put(gone)
    await put(there)
    await read(site.broker, gone["getUrl"])
    (kept,) = site.listed("kept/")
    obstore.delete(site.bucket.store, kept)
    with pytest.raises(NotFound):
        await read(site.broker, gone["getUrl"])
    ids = [there["fileId"], gone["fileId"]]
    with pytest.raises(InvalidAnswer) as refusal:
        await mine.call("postResponse", id=id, payload={"photo": missing["fileId"]}, files=ids[1:])
    assert [error.pointer for error in refusal.value.errors] == ["/photo", "/files/0"]
    await mine.call("postResponse", id=id, payload={}, files=ids[:1])


async def test_an_answer_that_is_wrong_otherwise_has_no_file_read(site: Site) -> None:
    mine, id = await asked(site.broker, schema={**PHOTO, "required": ["photo", "city"]})
    signed = await sign(mine, id)
    await put(signed)
    with pytest.raises(InvalidAnswer):
        await answered(mine, id, signed)
    other = site.broker.responder(await site.broker.user())
    with pytest.raises(NotFound):
        await answered(other, id, signed)
    assert site.listed() == [f"incoming/{signed['fileId']}"]


async def test_no_url_of_the_broker_uploads_there(site: Site) -> None:
    mine, id = await asked(site.broker)
    signed = await sign(mine, id)
    with pytest.raises(FileUrlRefused):
        await upload(site.broker, signed["getUrl"])


async def test_while_the_store_is_away_all_else_goes_on(site: Site) -> None:
    mine, id = await asked(site.broker)
    signed = await sign(mine, id)
    await put(signed)
    site.away()
    with pytest.raises(Unavailable):
        await answered(mine, id, signed, "key")
    with pytest.raises(Unavailable):
        await read(site.broker, signed["getUrl"])
    assert site.troubles == ["nothing answers there"], "said once, not for every call"
    # A URL is made without asking the store; an answer without files needs none.
    await sign(mine, id)
    assert (await mine.call("claimRequest", id=id))["status"] == "CLAIMED"
    site.way.accepting = True
    reply = await answered(mine, id, signed, "key")
    site.away()
    again = await answered(mine, id, signed, "key")
    assert again["id"] == reply["id"], "what was answered is told without the store"


async def test_a_slow_store_holds_up_nobody_and_the_file_is_read_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look goes on when its caller was told to come again; who comes joins it."""
    monkeypatch.setattr(adopting, "WAIT_SECONDS", 0.2)
    ada, bob = await site.broker.user(), await site.broker.user()
    id = (await site.broker.asker().ask([ada, bob], schema=PHOTO))["id"]
    mine, other = site.broker.responder(ada), site.broker.responder(bob)
    signed = await sign(mine, id)
    await put(signed)
    site.way.silence()
    with pytest.raises(Unavailable, match="repeat"):
        await answered(mine, id, signed)
    with trio.fail_after(5):
        await other.call("claimRequest", id=id)
        await other.call("releaseRequest", id=id)
    with pytest.raises(Unavailable, match="repeat"):
        await answered(mine, id, signed)
    monkeypatch.setattr(adopting, "WAIT_SECONDS", 20.0)
    site.way.resound()
    await answered(mine, id, signed)
    assert len(site.listed("kept/")) == 1


async def test_answers_at_once_with_one_file_are_one_answer_with_one_file(site: Site) -> None:
    mine, id = await asked(site.broker)
    signed = await sign(mine, id)
    await put(signed)
    replies: list[Any] = []

    async def answer() -> None:
        replies.append(await answered(mine, id, signed))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(answer)
    assert len({reply["id"] for reply in replies}) == 1
    assert len(site.listed()) == 1


async def test_of_two_answers_with_files_one_wins(site: Site) -> None:
    ada, bob = await site.broker.user(), await site.broker.user()
    id = (await site.broker.asker().ask([ada, bob], schema=PHOTO, filesPolicy={}))["id"]
    won: list[Any] = []
    lost: list[WrongStatus] = []

    async def answer(entity: str) -> None:
        mine = site.broker.responder(entity)
        signed = await sign(mine, id)
        await put(signed)
        try:
            won.append(await answered(mine, id, signed))
        except WrongStatus as error:
            lost.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer, ada)
        nursery.start_soon(answer, bob)
    assert (len(won), len(lost)) == (1, 1)
    told = await site.broker.asker().call("getResponse", id=id)
    assert told["files"][0]["id"] == won[0]["files"][0]["id"]
    assert await Collector(site.broker.parts.files, NOW).collect(100) <= 1
    assert await read(site.broker, told["files"][0]["url"]) == PNG


async def test_two_brokers_that_take_in_one_file_keep_it_once(site: Site) -> None:
    storage = ObjectStorage(site.bucket, Links(b"key"), site.troubles.append)
    mine, id = await asked(site.broker)
    signed = await sign(mine, id)
    await put(signed)
    async with open_broker(site.url, storage) as other:
        got: list[bytes] = []

        async def download(broker: Broker) -> None:
            got.append(await read(broker, signed["getUrl"]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(download, site.broker)
            nursery.start_soon(download, other)
    assert got == [PNG, PNG]
    assert len(site.listed("kept/")) == 1


async def test_what_is_uploaded_for_an_open_request_is_kept_however_long_it_waits(
    site: Site,
) -> None:
    mine, id = await asked(site.broker)
    signed, unused = await sign(mine, id), await sign(mine, id)
    await put(signed)
    await site.broker.query("update file set until = clock_timestamp() - interval '9 d'")
    files = site.broker.parts.files
    found = await find_orphans(files, 100, NOW)
    assert ([one.id for one in found.orphans], found.leftovers) == ([unused["fileId"]], [])
    assert await Collector(files, NOW).collect(100) == 1
    await answered(mine, id, signed)


async def test_what_waits_for_a_request_that_was_closed_is_collected(site: Site) -> None:
    mine, id = await asked(site.broker)
    signed, taken_in = await sign(mine, id), await sign(mine, id)
    await put(signed)
    await put(taken_in)
    await read(site.broker, taken_in["getUrl"])
    await put(taken_in)
    await site.broker.asker().call("cancelRequest", id=id)
    await site.broker.query("update file set until = clock_timestamp() - interval '9 d'")
    files = site.broker.parts.files
    found = await find_orphans(files, 100, timedelta(hours=1))
    assert found.leftovers == found.strays == [], "they are too young"
    found = await find_orphans(files, 100, NOW)
    assert {one.id for one in found.orphans} == {signed["fileId"], taken_in["fileId"]}
    assert found.leftovers == [taken_in["fileId"]]
    assert len(site.listed()) == 3, "looking deletes nothing"
    assert await Collector(files, NOW).collect(100) == 2
    assert site.listed() == []


async def test_bytes_that_belong_to_no_file_go(site: Site) -> None:
    """As after a crash between keeping the bytes and saying so."""
    mine, id = await asked(site.broker)
    one, other = await sign(mine, id), await sign(mine, id)
    for signed in (one, other):
        await put(signed)
    await read(site.broker, one["getUrl"])
    await site.broker.query("delete from file where request_id = $1", id)
    found = await find_orphans(site.broker.parts.files, 100, NOW)
    assert [key.partition(".")[0] for key in found.strays] == [one["fileId"]]
    assert found.leftovers == [other["fileId"]]
    await Collector(site.broker.parts.files, NOW).collect(100)
    assert site.listed() == []
