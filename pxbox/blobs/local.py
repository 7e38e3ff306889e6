"""Files on a disk: drafts that become visible whole, under names that the broker makes."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

from pxbox.blobs.links import Links
from pxbox.blobs.storage import FileGone, Received, Stat, UploadUrl
from pxbox.domain.files import Arrival
from pxbox.model.errors import StorageFull

PIECE_BYTES = 512 * 1024
"""Written and read at a time: what one upload or download takes of memory, about twice."""

_KEY = re.compile(r"[0-9A-Z]{26}\.[0-9a-f]{32}", re.ASCII)
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where there is no room for more."""
_DISK_THREADS = 16

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class LocalStorage:
    """A directory of files. Several processes, and hosts that share it, may use one.

    `kept/` has what is whole, by key; `drafts` what is coming in. Every touch of the disk is a
    thread's.
    """

    piece_bytes = PIECE_BYTES
    origin = None

    def __init__(self, directory: Path, links: Links) -> None:
        self.links = links
        self._kept = directory / "kept"
        self.drafts = directory / "drafts"
        self._threads = trio.CapacityLimiter(_DISK_THREADS)

    def open(self) -> None:
        """Make the directories, for their owner alone. Raises OSError."""
        for folder in (self._kept, self.drafts):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def presign_put(self, file_id: str, until: datetime) -> UploadUrl:
        return UploadUrl(self.links.sign("put", file_id, until))

    def presign_get(self, file_id: str, until: datetime) -> str:
        return self.links.sign("get", file_id, until)

    async def receive(self, file_id: str, data: AsyncIterator[bytes], arrival: Arrival) -> Received:
        draft = await self.on_disk(_Draft, self.drafts)
        try:
            # A thread for each packet would cost more than the disk does.
            waiting: list[bytes] = []
            size = 0
            async for piece in data:
                arrival.take(piece)
                waiting.append(piece)
                size += len(piece)
                if size >= PIECE_BYTES:
                    await self.on_disk(draft.write, b"".join(waiting))
                    waiting, size = [], 0
            arrival.finish()
            await self.on_disk(draft.write, b"".join(waiting))
            key = f"{file_id}.{secrets.token_hex(16)}"
            await self.on_disk(draft.keep, self.path_of(key))
            return Received(key, draft.size, draft.digest.hexdigest())
        except OSError as error:
            if error.errno in FULL:
                raise StorageFull("there is no room for this file; try again later") from None
            raise
        finally:
            with trio.CancelScope(shield=True):
                await self.on_disk(draft.close)

    async def admit(self, file_id: str, arrival: Arrival) -> Received | None:
        """None: every upload passes the broker."""
        return None

    async def waiting(self) -> Mapping[str, datetime]:
        return {}

    async def dismiss(self, file_id: str) -> None:
        """Nothing: every upload passes the broker."""

    async def stat(self, key: str) -> Stat | None:
        path = self.path_of(key)
        try:
            found = await self.on_disk(path.stat)
        except FileNotFoundError:
            return None
        return Stat(found.st_size)

    async def delete(self, key: str) -> None:
        await self.on_disk(lambda: self.path_of(key).unlink(missing_ok=True))

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        path = self.path_of(key)
        try:
            file = await self.on_disk(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise FileGone(key) from None
        try:
            while start < end:
                piece = await self.on_disk(os.pread, file, min(PIECE_BYTES, end - start), start)
                if not piece:
                    raise FileGone(key)
                start += len(piece)
                yield piece
        finally:
            os.close(file)

    async def lying(self, older: timedelta, after: str, most: int) -> list[str]:
        found = await self.on_disk(self._list_old, time.time() - older.total_seconds())
        return [key for key in found if key > after][:most]

    async def drop_drafts(self, older: timedelta) -> None:
        await self.on_disk(self._drop_old, time.time() - older.total_seconds())

    def _drop_old(self, before: float) -> None:
        for draft in _older(self.drafts, before):
            draft.unlink(missing_ok=True)

    def _list_old(self, before: float) -> list[str]:
        shards = [shard for shard in self._kept.iterdir() if shard.is_dir()]
        found = (path.name for shard in shards for path in _older(shard, before))
        return sorted(name for name in found if _KEY.fullmatch(name))

    def path_of(self, key: str) -> Path:
        """Where it lies, or would."""
        assert _KEY.fullmatch(key), "keys are made here"
        return self._kept / key[-2:] / key

    async def on_disk(self, call: Callable[[*Ts], T], *arguments: *Ts) -> T:
        return await trio.to_thread.run_sync(call, *arguments, limiter=self._threads)


class _Draft:
    """A file that is coming in. Its methods block."""

    def __init__(self, folder: Path) -> None:
        self._path: Path | None = folder / secrets.token_hex(16)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)
        write_all(self._file, data)

    def keep(self, path: Path) -> None:
        """Make it visible there, whole: after a crash too."""
        assert self._path is not None
        os.fsync(self._file)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._path.rename(path)
        self._path = None
        for folder in (path.parent, path.parent.parent):
            sync_folder(folder)

    def close(self) -> None:
        """Let go of it; what was not kept is gone."""
        os.close(self._file)
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def write_all(file: int, data: bytes) -> None:
    """Where this raises, some of it may be written."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def sync_folder(folder: Path) -> None:
    """Have what was named there stay named, after a crash too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _older(folder: Path, before: float) -> Iterator[Path]:
    for path in folder.iterdir():
        try:
            if path.stat().st_mtime < before:
                yield path
        except FileNotFoundError:
            continue
