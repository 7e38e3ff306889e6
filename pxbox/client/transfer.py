"""The two ends of a file's way that are ours: where it is read from, and where it is written to.

Every touch of the disk is a thread's; a file of any size takes the memory of a piece.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import anyio
from anyio import to_thread

PIECE_BYTES = 512 * 1024

Progress = Callable[[int, int], Any]
"""Called with how many bytes have gone, and how many there are. It must not take long."""


class Source:
    """A file that is sent, from any place of it. `size` is how long it is from where it began."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = file.tell()
        self.size = file.seek(0, os.SEEK_END) - self._start
        self._digest = hashlib.sha256()
        self._digested = 0

    async def read(self, at: int) -> bytes:
        """What comes there, of the file as long as it was at first; empty at its end."""
        return await to_thread.run_sync(self._read, at)

    @property
    def sha256(self) -> str:
        """Of all that was read: what was read twice counts as it was the first time."""
        return self._digest.hexdigest()

    def _read(self, at: int) -> bytes:
        self._file.seek(self._start + at)
        piece = self._file.read(min(PIECE_BYTES, self.size - at))
        if at <= self._digested < at + len(piece):
            self._digest.update(memoryview(piece)[self._digested - at :])
            self._digested = at + len(piece)
        return piece


@asynccontextmanager
async def open_source(given: str | os.PathLike[str] | BinaryIO) -> AsyncIterator[Source]:
    """A path, or a stream of bytes from where it stands. One that cannot be sought in is written to
    a temporary file first. Raises OSError, and TypeError for a stream of text."""
    with ExitStack() as stack:
        yield await to_thread.run_sync(_opened, given, stack)


def _opened(given: str | os.PathLike[str] | BinaryIO, stack: ExitStack) -> Source:
    if isinstance(given, str | os.PathLike):
        file: BinaryIO = stack.enter_context(Path(given).open("rb"))  # noqa: SIM115
    else:
        file = given
    if not isinstance(file.read(0), bytes):
        raise TypeError("a stream of bytes is wanted, not one of text: open it with mode 'rb'")
    if file.seekable():
        return Source(file)
    spooled = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    shutil.copyfileobj(file, spooled, PIECE_BYTES)
    spooled.seek(0)
    return Source(spooled)


class Sink:
    """Where a file is written to, from its beginning to its end; `done` is how far that is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._digest = hashlib.sha256()
        self.done = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    async def take(self, data: bytes) -> None:
        """Write what comes next, now or with more of it."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self.done += len(data)
        if self._waiting_bytes >= PIECE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        whole, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
        await to_thread.run_sync(self._write, whole)

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        # A raw stream may take less than it is given.
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]


@asynccontextmanager
async def open_sink(given: str | os.PathLike[str] | BinaryIO) -> AsyncIterator[Sink]:
    """A path, at which nothing is seen before the block has ended well; or a stream of bytes."""
    if not isinstance(given, str | os.PathLike):
        yield Sink(given)
        return
    path = Path(given)
    draft = path.parent / f".{path.name[:100]}.{secrets.token_hex(8)}"
    try:
        with await to_thread.run_sync(draft.open, "xb") as file:
            yield Sink(file)
        await to_thread.run_sync(draft.replace, path)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(lambda: draft.unlink(missing_ok=True))
