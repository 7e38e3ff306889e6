"""Files in an object store: what was uploaded past the broker is judged, and kept as judged.

The store is moto's server. What it does not check, signatures and expiry, is checked here.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx
import obstore
import pytest
import trio

from pxbox.blobs import objects
from pxbox.blobs.buckets import Bucket, open_bucket
from pxbox.blobs.links import Links
from pxbox.blobs.objects import PART_BYTES, ObjectStorage
from pxbox.blobs.storage import Storage
from pxbox.domain.files import Arrival
from pxbox.model.errors import FileRefused, Unavailable
from pxbox.model.ids import new_ulid
from tests.brokers import NO_TLS
from tests.client.proxy import open_proxy
from tests.object_store import ACCESS_KEY, REGION, SECRET_KEY, ObjectStore, bucket_at
from tests.presigned import period_of, signature_of
from tests.suites.storage import BYTES, StorageSuite, read

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
HOUR = timedelta(hours=1)


@pytest.fixture
def bucket(object_store: ObjectStore) -> Bucket:
    return bucket_at(object_store.url, object_store.make_bucket())


@pytest.fixture
def troubles() -> list[str]:
    return []


@pytest.fixture
def storage(bucket: Bucket, troubles: list[str]) -> ObjectStorage:
    return ObjectStorage(bucket, Links(b"key"), troubles.append)


class TestObjectStorage(StorageSuite):
    @pytest.fixture
    def storage(self, bucket: Bucket) -> Storage:
        return ObjectStorage(bucket, Links(b"key"), refuse_trouble)


def refuse_trouble(why: str) -> None:
    raise AssertionError(why)


async def put_url(storage: ObjectStorage, id: str, valid: timedelta = HOUR) -> str:
    return (await storage.presign_put(id, datetime.now(UTC) + valid)).url


async def upload(storage: ObjectStorage, id: str, data: bytes, mime: str = BYTES) -> None:
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        url = await put_url(storage, id)
        sent = await client.put(url, content=data, headers={"content-type": mime})
        assert sent.status_code == 200


def listed(bucket: Bucket) -> list[str]:
    """Every key under the prefix."""
    return [one["path"] for chunk in obstore.list(bucket.store) for one in chunk]


async def test_a_url_to_upload_by_counts_for_one_key_one_method_one_host_and_its_time(
    storage: ObjectStorage, object_store: ObjectStore
) -> None:
    """X1: the signature is computed again from the standard, over what may not be changed."""
    id = new_ulid()
    url = await put_url(storage, id)
    parts, said = urlsplit(url), dict(parse_qsl(urlsplit(url).query))
    assert parts.path.endswith(f"/some/prefix/incoming/{id}")
    assert f"{parts.scheme}://{parts.netloc}" == object_store.url
    assert said["X-Amz-SignedHeaders"] == "host"
    assert said["X-Amz-Credential"].startswith(f"{ACCESS_KEY}/{said['X-Amz-Date'][:8]}/{REGION}/")
    since, lasts = period_of(url)
    assert abs(datetime.now(UTC) - since) < timedelta(seconds=10)
    assert timedelta(seconds=3590) <= lasts <= HOUR

    def signature(url: str, method: str = "PUT", secret: str = SECRET_KEY) -> str:
        return signature_of(url, method, secret, REGION)

    assert signature(url) == said["X-Amz-Signature"]
    for other in (
        signature(url, "GET"), signature(url, "DELETE"), signature(url, secret="another"),
        signature(url.replace(id, new_ulid())), signature(url.replace("incoming", "kept")),
        signature(url.replace(parts.netloc, "127.0.0.1:1")),
        signature(url.replace(f"Expires={said['X-Amz-Expires']}", "Expires=604800")),
        signature(url.replace(said["X-Amz-Date"], "20200101T000000Z")),
        signature(f"{url}&x-amz-acl=public-read"),
    ):  # fmt: skip
        assert other != said["X-Amz-Signature"]


@pytest.mark.parametrize("seconds", [-5, 0, 1, 60])
async def test_a_url_lasts_until_the_upload_may_begin_at_the_latest(
    storage: ObjectStorage, seconds: int
) -> None:
    url = await put_url(storage, new_ulid(), timedelta(seconds=seconds))
    assert period_of(url)[1] == timedelta(seconds=max(1, seconds))


async def test_what_was_admitted_is_kept_where_no_url_leads(
    storage: ObjectStorage, bucket: Bucket
) -> None:
    """Whatever the uploader said of it, it lies there as bytes to be saved."""
    id = new_ulid()
    await upload(storage, id, PNG, "text/html")
    assert list(await storage.waiting()) == [id]
    received = await storage.admit(id, Arrival(len(PNG), "image/png"))
    assert received is not None
    assert received.sha256 == hashlib.sha256(PNG).hexdigest()
    await upload(storage, id, b"<script>")
    assert await read(storage, received.key, 0, len(PNG)) == PNG
    kept = obstore.get(bucket.store, f"kept/{received.key}")
    said = kept.attributes
    assert said["Content-Type"] == "application/octet-stream"
    assert said["Content-Disposition"] == "attachment"
    await storage.dismiss(id)
    assert listed(bucket) == [f"kept/{received.key}"]


@pytest.mark.parametrize(
    ("data", "size", "mime", "keyword"),
    [
        (PNG, len(PNG) - 1, "image/png", "size"),
        (PNG, len(PNG) + 1, "image/png", "size"),
        (b"<html><script>".ljust(len(PNG)), len(PNG), "image/png", "mime"),
        (b"MZ".ljust(len(PNG), b"\0"), len(PNG), "image/png", "mime"),
    ],
)
async def test_an_upload_that_is_not_what_was_signed_is_not_kept(
    storage: ObjectStorage, bucket: Bucket, data: bytes, size: int, mime: str, keyword: str
) -> None:
    id = new_ulid()
    await upload(storage, id, data, mime)
    with pytest.raises(FileRefused) as refusal:
        await storage.admit(id, Arrival(size, mime))
    assert [error.keyword for error in refusal.value.errors] == [keyword]
    assert listed(bucket) == [f"incoming/{id}"]
    await upload(storage, id, PNG)
    assert await storage.admit(id, Arrival(len(PNG), "image/png"))


class _Swapped(Arrival):
    """Has something else uploaded once the first bytes were judged."""

    def __init__(self, size: int, mime: str, swap: object) -> None:
        super().__init__(size, mime)
        self.swap = swap
        self.taken = 0

    def take(self, data: bytes) -> None:
        super().take(data)
        self.taken += len(data)
        if self.swap is not None:
            swap, self.swap = self.swap, None
            assert callable(swap)
            swap()


async def test_an_upload_that_is_replaced_while_it_is_read_is_not_kept(
    storage: ObjectStorage, bucket: Bucket, troubles: list[str]
) -> None:
    """The uploader's URL counts on: another PUT may come at any moment."""
    id = new_ulid()
    data = bytes(PART_BYTES + 10)
    await upload(storage, id, data)
    url = await put_url(storage, id)

    def swap() -> None:
        with httpx.Client(verify=NO_TLS) as client:
            client.put(url, content=b"!" * len(data)).raise_for_status()

    with pytest.raises(Unavailable, match="anew"):
        await storage.admit(id, _Swapped(len(data), BYTES, swap))
    assert listed(bucket) == [f"incoming/{id}"]
    received = await storage.admit(id, Arrival(len(data), BYTES))
    assert received is not None
    assert received.sha256 == hashlib.sha256(b"!" * len(data)).hexdigest()
    assert troubles == []


async def test_an_upload_that_is_deleted_while_it_is_read_is_not_there(
    storage: ObjectStorage, bucket: Bucket
) -> None:
    id = new_ulid()
    data = bytes(PART_BYTES + 10)
    await upload(storage, id, data)
    gone = _Swapped(len(data), BYTES, lambda: obstore.delete(bucket.store, f"incoming/{id}"))
    assert await storage.admit(id, gone) is None
    assert listed(bucket) == []


async def test_what_is_cut_leaves_nothing_that_is_seen(
    storage: ObjectStorage, bucket: Bucket
) -> None:
    """Parts that were written are no object before the last."""

    class Cut(Exception):
        pass

    async def cut() -> AsyncGenerator[bytes, None]:
        for _ in range(3):
            yield bytes(PART_BYTES)
        raise Cut

    with pytest.raises(Cut):
        async with aclosing(cut()) as data:
            await storage.receive(new_ulid(), data, Arrival(4 * PART_BYTES, BYTES))
    assert listed(bucket) == []


async def test_a_file_of_several_parts_is_kept_whole(storage: ObjectStorage) -> None:
    id = new_ulid()
    data = b"".join(bytes([n]) * (PART_BYTES // 3 + n) for n in range(8))
    await upload(storage, id, data)
    received = await storage.admit(id, Arrival(len(data), BYTES))
    assert received is not None
    assert received.sha256 == hashlib.sha256(data).hexdigest()
    assert (
        await read(storage, received.key, PART_BYTES - 5, PART_BYTES + 5)
        == data[PART_BYTES - 5 : PART_BYTES + 5]
    )


async def test_a_store_that_does_not_answer_is_unavailable_after_a_bounded_time(
    object_store: ObjectStore, troubles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_SHORT_SECONDS", 0.2)
    monkeypatch.setattr(objects, "_LONG_SECONDS", 0.2)
    async with open_proxy(object_store.url) as way:
        storage = ObjectStorage(bucket_at(way.url, "b"), Links(b"key"), troubles.append)
        way.silence()
        for call in (
            storage.stat(f"{new_ulid()}.{'0' * 32}"), storage.admit(new_ulid(), Arrival(1, BYTES)),
            storage.waiting(), storage.lying(HOUR, "", 1), storage.dismiss(new_ulid()),
        ):  # fmt: skip
            with trio.fail_after(5), pytest.raises(Unavailable):
                await call
        assert troubles == ["no answer in 0.2 s"], "said once in a while"
        # Those who were left alone end with their connections.
        way.cut()


async def test_a_panic_of_the_library_is_no_end_of_the_broker(
    storage: ObjectStorage, troubles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "acct")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    panics = open_bucket("az://container").store
    with pytest.raises(Unavailable):
        await storage._in_store(5.0, repr, panics)
    assert troubles == ["a fault of the library that speaks to it"]
