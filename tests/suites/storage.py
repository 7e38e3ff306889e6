"""What every storage of files does, whatever it keeps them in."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta

import pytest

from pxbox.blobs.storage import FileGone, Received, Storage
from pxbox.domain.files import Arrival
from pxbox.model.errors import FileRefused
from pxbox.model.ids import new_ulid

AT_ONCE = timedelta(0)
BYTES = "application/octet-stream"


async def pieces(data: bytes, cut: int = 65_536) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), cut):
        yield data[start : start + cut]


async def receive(
    storage: Storage, data: bytes, *, announced: int | None = None, mime: str = BYTES
) -> Received:
    size = len(data) if announced is None else announced
    async with aclosing(pieces(data)) as sent:
        return await storage.receive(new_ulid(), sent, Arrival(size, mime))


async def read(storage: Storage, key: str, start: int, end: int) -> bytes:
    async with aclosing(storage.read(key, start, end)) as got:
        return b"".join([piece async for piece in got])


class StorageSuite:
    """For a storage that is empty at first."""

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    async def test_what_was_received_is_read_in_any_part(self, storage: Storage) -> None:
        data = bytes(range(256)) * (2 * storage.piece_bytes // 256 + 4)
        received = await receive(storage, data)
        assert (received.size, received.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        stat = await storage.stat(received.key)
        assert stat is not None
        assert stat.size == len(data)
        cut = storage.piece_bytes
        for start, end in ((0, len(data)), (1, 2), (cut - 1, cut + 1), (7, 7), (cut, 2 * cut)):
            assert await read(storage, received.key, start, end) == data[start:end]

    async def test_an_empty_file_is_a_file(self, storage: Storage) -> None:
        received = await receive(storage, b"")
        stat = await storage.stat(received.key)
        assert stat is not None
        assert stat.size == 0
        assert await read(storage, received.key, 0, 0) == b""

    async def test_what_was_deleted_is_gone(self, storage: Storage) -> None:
        received = await receive(storage, b"bytes")
        await storage.delete(received.key)
        await storage.delete(received.key)
        assert await storage.stat(received.key) is None
        with pytest.raises(FileGone):
            await read(storage, received.key, 0, 1)

    async def test_more_than_there_is_cannot_be_read(self, storage: Storage) -> None:
        received = await receive(storage, b"bytes")
        with pytest.raises(FileGone):
            await read(storage, received.key, 0, 6)

    @pytest.mark.parametrize(
        ("data", "announced", "mime"),
        [(b"abc", 2, BYTES), (b"abc", 4, BYTES), (b"<html>", 6, "image/png")],
    )
    async def test_what_was_refused_is_not_there(
        self, storage: Storage, data: bytes, announced: int, mime: str
    ) -> None:
        with pytest.raises(FileRefused):
            await receive(storage, data, announced=announced, mime=mime)
        assert await storage.lying(AT_ONCE, "", 10) == []

    async def test_two_uploads_of_one_file_are_two(self, storage: Storage) -> None:
        id = new_ulid()
        keys = set()
        for data in (b"one", b"two"):
            async with aclosing(pieces(data)) as sent:
                keys.add((await storage.receive(id, sent, Arrival(3, BYTES))).key)
        assert len(keys) == 2
        assert set(await storage.lying(AT_ONCE, "", 10)) == keys

    async def test_what_lies_there_is_listed_part_by_part(self, storage: Storage) -> None:
        keys = sorted([(await receive(storage, b"x")).key for _ in range(5)])
        assert await storage.lying(timedelta(hours=1), "", 10) == []
        found: list[str] = []
        while part := await storage.lying(AT_ONCE, found[-1] if found else "", 2):
            found += part
        assert found == keys

    async def test_nothing_was_uploaded_past_the_broker(self, storage: Storage) -> None:
        id = new_ulid()
        assert await storage.admit(id, Arrival(1, BYTES)) is None
        assert await storage.waiting() == {}
        await storage.dismiss(id)
