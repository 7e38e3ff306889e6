"""Files in an object store: uploads go there without passing the broker, and are judged here.

A presigned PUT binds neither size nor type, and counts until it expires, however often. So it leads
to `incoming/`, where nothing is ever served from; what is admitted is read from there once, judged
as it comes, and written to a key under `kept/` that no URL was given out for.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

import obstore
import trio
from obstore.exceptions import BaseError, PreconditionError

from pxbox.blobs.buckets import Bucket, why_unusable
from pxbox.blobs.links import Links
from pxbox.blobs.storage import FileGone, Received, Stat, UploadUrl
from pxbox.domain.files import Arrival, refused
from pxbox.model.errors import Unavailable

if TYPE_CHECKING:
    from obstore import GetOptions

PIECE_BYTES = 1024 * 1024
"""Read for a download at a time: a request each, so that no slow reader holds one open."""
PART_BYTES = 12 * 1024 * 1024
"""Read from an upload and written at a time. S3 takes 10,000 parts of an object: with these, more
than the largest `--max-file-mb`."""

_KEY = re.compile(r"[0-9A-Z]{26}\.[0-9a-f]{32}", re.ASCII)
_ID = re.compile(r"[0-9A-Z]{26}", re.ASCII)
_THREADS = 32
# The first is for what moves no contents. The store's own time-out and its repeats come to more
# than either: these say how long somebody waits here.
_SHORT_SECONDS = 10.0
_LONG_SECONDS = 60.0
_LISTED_AT_ONCE = 1_000
_TROUBLE_SECONDS = 5.0
# Of what lies there, whoever reads it past the broker: nothing that a browser would run.
_INERT = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ObjectStorage:
    """A bucket, or a prefix in one. Any number of brokers may use it.

    Every call of the store is a thread's, and is waited for a bounded time; then, and where the
    store fails, it is Unavailable, and `on_trouble` is told why, once in a while.
    """

    piece_bytes = PIECE_BYTES

    def __init__(self, bucket: Bucket, links: Links, on_trouble: Callable[[str], None]) -> None:
        self.links = links
        self.origin = bucket.origin
        self._bucket = bucket
        self._on_trouble = on_trouble
        self._threads = trio.CapacityLimiter(_THREADS)
        self._troubled = -math.inf

    async def presign_put(self, file_id: str, until: datetime) -> UploadUrl:
        seconds = max(1, round((until - datetime.now(UTC)).total_seconds()))
        # May ask the cloud for credentials.
        url = await self._in_store(
            _SHORT_SECONDS, obstore.sign, self._bucket.store, "PUT", _incoming(file_id),
            timedelta(seconds=seconds),
        )  # fmt: skip
        return UploadUrl(url, self._bucket.put_headers)

    def presign_get(self, file_id: str, until: datetime) -> str:
        """A URL of the broker's. One of the store's own could not be made to count for a name and
        a type, and browsers would be told neither to sandbox it nor to leave its type alone."""
        return self.links.sign("get", file_id, until)

    async def receive(self, file_id: str, data: AsyncIterator[bytes], arrival: Arrival) -> Received:
        key = f"{file_id}.{secrets.token_hex(16)}"
        copy = await self._in_store(_SHORT_SECONDS, _Copy, self._bucket, key)
        waiting: list[bytes] = []
        size = 0
        async for piece in data:
            arrival.take(piece)
            waiting.append(piece)
            size += len(piece)
            if size >= PART_BYTES:
                await self._in_store(_LONG_SECONDS, copy.write, b"".join(waiting))
                waiting, size = [], 0
        arrival.finish()
        await self._in_store(_LONG_SECONDS, copy.write, b"".join(waiting))
        # Nothing is visible before this; parts that were written without it are the bucket's
        # lifecycle rule's to delete.
        await self._in_store(_LONG_SECONDS, copy.finish)
        return Received(key, copy.size, copy.digest.hexdigest())

    async def admit(self, file_id: str, arrival: Arrival) -> Received | None:
        path = _incoming(file_id)
        try:
            found = await self._in_store(_SHORT_SECONDS, obstore.head, self._bucket.store, path)
            if found["size"] != arrival.size:
                came = f"{found['size']} bytes came, and {arrival.size} were announced"
                raise refused("/size", came, "size")
            pieces = self._pieces(path, 0, found["size"], PART_BYTES, found["e_tag"])
            async with aclosing(pieces) as data:
                return await self.receive(file_id, data, arrival)
        except (FileNotFoundError, FileGone):
            return None

    async def waiting(self) -> Mapping[str, datetime]:
        return await self._in_store(_LONG_SECONDS, self._list_waiting)

    async def dismiss(self, file_id: str) -> None:
        await self._delete(_incoming(file_id))

    async def stat(self, key: str) -> Stat | None:
        try:
            found = await self._in_store(
                _SHORT_SECONDS, obstore.head, self._bucket.store, _kept(key)
            )
        except FileNotFoundError:
            return None
        return Stat(found["size"])

    async def delete(self, key: str) -> None:
        await self._delete(_kept(key))

    async def _delete(self, path: str) -> None:
        try:
            await self._in_store(_SHORT_SECONDS, obstore.delete, self._bucket.store, path)
        except FileNotFoundError:
            # Only some stores mind.
            return

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._pieces(_kept(key), start, end, PIECE_BYTES, None)) as pieces:
            async for piece in pieces:
                yield piece

    async def _pieces(
        self, path: str, start: int, end: int, step: int, tag: str | None
    ) -> AsyncGenerator[bytes, None]:
        """Its bytes, of the version with this ETag. Raises FileGone, and Unavailable where it was
        written anew meanwhile."""
        while start < end:
            wanted = start, min(start + step, end)
            try:
                piece = await self._in_store(_LONG_SECONDS, self._get, path, wanted, tag)
            except FileNotFoundError:
                raise FileGone(path) from None
            except PreconditionError:
                raise Unavailable("the file was uploaded anew meanwhile; try again") from None
            if len(piece) != wanted[1] - start:
                raise FileGone(path)
            start = wanted[1]
            yield piece

    def _get(self, path: str, wanted: tuple[int, int], tag: str | None) -> bytes:
        options: GetOptions = {"range": wanted}
        if tag is not None:
            options["if_match"] = tag
        result = obstore.get(self._bucket.store, path, options=options)
        return bytes(result.bytes())

    async def lying(self, older: timedelta, after: str, most: int) -> list[str]:
        before = datetime.now(UTC) - older
        return await self._in_store(_LONG_SECONDS, self._list_kept, before, after, most)

    async def drop_drafts(self, older: timedelta) -> None:
        """Nothing: what is not whole is no object, and not listed."""

    def _list_kept(self, before: datetime, after: str, most: int) -> list[str]:
        found: list[str] = []
        offset = _kept(after) if after else None
        chunks = obstore.list(
            self._bucket.store, "kept/", offset=offset, chunk_size=_LISTED_AT_ONCE
        )
        for chunk in chunks:
            for one in chunk:
                key = one["path"].removeprefix("kept/")
                if _KEY.fullmatch(key) and one["last_modified"] < before:
                    found.append(key)
            if len(found) >= most:
                break
        return found[:most]

    def _list_waiting(self) -> dict[str, datetime]:
        chunks = obstore.list(self._bucket.store, "incoming/", chunk_size=_LISTED_AT_ONCE)
        found = {
            one["path"].removeprefix("incoming/"): one["last_modified"]
            for chunk in chunks
            for one in chunk
        }
        return {id: since for id, since in found.items() if _ID.fullmatch(id)}

    async def _in_store(self, seconds: float, call: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Call the store in a thread. Raises Unavailable, FileNotFoundError, PreconditionError."""
        try:
            with trio.fail_after(seconds):
                # One that hangs is left to its own time-out; its thread stays taken until then.
                return await trio.to_thread.run_sync(
                    lambda: _contained(call, *arguments),
                    limiter=self._threads,
                    abandon_on_cancel=True,
                )
        except trio.TooSlowError:
            reason = f"no answer in {seconds:g} s"
        except _Panic:
            reason = "a fault of the library that speaks to it"
        except PreconditionError:
            raise
        except BaseError as error:
            reason = why_unusable(error)
        if trio.current_time() - self._troubled >= _TROUBLE_SECONDS:
            self._troubled = trio.current_time()
            self._on_trouble(reason)
        raise Unavailable("the storage of files cannot be reached; try again")


class _Panic(Exception):
    """The library has found itself in the wrong."""


def _contained(call: Callable[[*Ts], T], *arguments: *Ts) -> T:
    try:
        return call(*arguments)
    except Exception:
        raise
    except BaseException as error:
        # What its Rust raises is no Exception: nobody above would stop it from ending the broker.
        raise _Panic from error


class _Copy:
    """An object that is being written. Its methods block."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._writer = obstore.open_writer(
            bucket.store, _kept(key), attributes=_INERT, buffer_size=PART_BYTES, max_concurrency=1
        )
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)
        self._writer.write(data)

    def finish(self) -> None:
        """Make it visible, whole."""
        self._writer.close()


def _incoming(file_id: str) -> str:
    assert _ID.fullmatch(file_id), "ids are made here"
    return f"incoming/{file_id}"


def _kept(key: str) -> str:
    assert _KEY.fullmatch(key), "keys are made here"
    return f"kept/{key}"
