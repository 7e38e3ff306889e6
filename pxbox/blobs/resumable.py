"""Uploads to a disk that may be cut off and gone on with, after restarts and by any process.

A draft per file, under the file's id. Its length is how far the upload has come: nothing else has
to be kept, and nothing can disagree with it. Whoever adds to it holds its lock, which the kernel
takes from a process that dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import trio

from pxbox.blobs.local import FULL, PIECE_BYTES, LocalStorage, sync_folder, write_all
from pxbox.blobs.storage import Received
from pxbox.domain.files import Arrival
from pxbox.domain.sniffing import HEAD_BYTES
from pxbox.model.errors import FileRefused, StorageFull, UploadLocked

_READ_BYTES = 16 * PIECE_BYTES


class Drafts:
    """The uploads that are under way in a storage's directory, which several processes may share.

    File ids are the broker's own. Every touch of the disk is a thread's.
    """

    def __init__(self, storage: LocalStorage) -> None:
        self._storage = storage
        self.links = storage.links

    async def size(self, file_id: str) -> int:
        """How many bytes have come, and are on the disk to stay; 0 where none have."""
        return await self._storage.on_disk(_synced_size, self._storage.drafts / file_id)

    @asynccontextmanager
    async def hold(self, file_id: str) -> AsyncGenerator[Draft, None]:
        """The draft of a file, empty where nothing has come, for nobody else to add to meanwhile.

        Raises UploadLocked where somebody does, and StorageFull.
        """
        with _fullness():
            file = await self._storage.on_disk(_Locked, self._storage.drafts / file_id)
        try:
            yield Draft(file_id, file, self._storage)
        finally:
            with trio.CancelScope(shield=True):
                await self._storage.on_disk(file.close)


class Draft:
    """What has come of one file; only while it is held."""

    def __init__(self, file_id: str, file: _Locked, storage: LocalStorage) -> None:
        self._file_id = file_id
        self._file = file
        self._storage = storage

    @property
    def size(self) -> int:
        return self._file.size

    async def append(self, data: AsyncIterator[bytes], arrival: Arrival) -> None:
        """Add what comes; however it ends, what had come by then is on the disk to stay.

        Raises what `data` raises, StorageFull, and FileRefused by `arrival`: then nothing stays.
        """
        with _fullness():
            arrival.resume(self.size, await self._storage.on_disk(self._file.read, HEAD_BYTES, 0))
            waiting: list[bytes] = []
            size = 0
            try:
                async for piece in data:
                    arrival.take(piece)
                    waiting.append(piece)
                    size += len(piece)
                    if size >= PIECE_BYTES:
                        # Let go of first: what fails half-way is not to be written twice.
                        whole, waiting, size = b"".join(waiting), [], 0
                        await self._storage.on_disk(self._file.write, whole)
            except FileRefused:
                waiting = []
                await self._storage.on_disk(self._file.clear)
                raise
            finally:
                with trio.CancelScope(shield=True):
                    await self._storage.on_disk(self._file.write, b"".join(waiting))
                    await self._storage.on_disk(self._file.sync)

    async def keep(self) -> Received:
        """Make it visible as it is, under a key of its own. The draft stays until it is dropped:
        whoever dies before the file is known as kept leaves an upload that is whole."""
        with _fullness():
            digest = await self._sha256()
            key = f"{self._file_id}.{secrets.token_hex(16)}"
            await self._storage.on_disk(self._file.keep, self._storage.path_of(key))
        return Received(key, self.size, digest)

    async def drop(self) -> None:
        """Forget what has come."""
        await self._storage.on_disk(self._file.remove)

    async def _sha256(self) -> str:
        """Of all of it: read again where it did not come in one piece, in this process."""
        digest = self._file.digest
        if digest is None:
            digest = hashlib.sha256()
            for start in range(0, self.size, _READ_BYTES):
                # A thread for each, so that a broker that ends does not wait for gigabytes.
                await self._storage.on_disk(self._file.digest_into, digest, start, _READ_BYTES)
        return digest.hexdigest()


class _Locked:
    """A draft's file and the lock on it. Its methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open_locked(path)
        self._came = self.size = os.fstat(self._file).st_size
        self.digest = None if self.size else hashlib.sha256()
        os.lseek(self._file, 0, os.SEEK_END)

    def read(self, most: int, start: int) -> bytes:
        return os.pread(self._file, most, start)

    def write(self, data: bytes) -> None:
        if self.digest is not None:
            self.digest.update(data)
        try:
            write_all(self._file, data)
        finally:
            self._look(self.size + len(data))

    def sync(self) -> None:
        try:
            os.fsync(self._file)
            self._came = self.size
        except OSError:
            # What the disk has of it nobody knows; what it had before was synced then.
            os.ftruncate(self._file, self._came)
            self._look(-1)
            raise

    def clear(self) -> None:
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._came = self.size = 0
        self.digest = hashlib.sha256()

    def keep(self, path: Path) -> None:
        os.fsync(self._file)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            os.link(self._path, path)
        except OSError as error:
            if error.errno in FULL:
                raise
            # Where there are no hard links, whoever dies now has to upload it once more.
            self._path.rename(path)
        for folder in (path.parent, path.parent.parent):
            sync_folder(folder)

    def digest_into(self, digest: hashlib._Hash, start: int, size: int) -> None:
        for at in range(start, start + size, PIECE_BYTES):
            digest.update(os.pread(self._file, PIECE_BYTES, at))

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()

    def close(self) -> None:
        """Let go of it; an empty one is none. Before the lock goes: later it may be another's."""
        if self.size == 0:
            self.remove()
        os.close(self._file)

    def _look(self, expected: int) -> None:
        """Note how long it is; another length than was expected ends the hash that goes along."""
        self.size = os.fstat(self._file).st_size
        if self.size != expected:
            self.digest = None


def _open_locked(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, path):
                return file
        except BlockingIOError:
            os.close(file)
            raise UploadLocked("this file is being uploaded just now; try again soon") from None
        except BaseException:
            os.close(file)
            raise
        # Whoever held it has dropped it meanwhile.
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _synced_size(path: Path) -> int:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        size = os.fstat(file).st_size
        os.fsync(file)
        return size
    finally:
        os.close(file)


@contextmanager
def _fullness() -> Iterator[None]:
    """An OSError of a full disk as StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull("there is no room for this file; try again later") from None
        raise
