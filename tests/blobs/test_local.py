"""Files on a disk: whole or not there, whatever the disk does."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest

from pxbox.blobs.links import Links
from pxbox.blobs.local import PIECE_BYTES, LocalStorage
from pxbox.blobs.storage import Storage
from pxbox.domain.files import Arrival
from pxbox.model.errors import StorageFull
from tests.suites.storage import StorageSuite

ID = "01JZQ8A6P9Y5V4X3W2S1RQNMKF"


def opened(directory: Path) -> LocalStorage:
    made = LocalStorage(directory, Links(b"key"))
    made.open()
    return made


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return opened(tmp_path)


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """The kernel writes no file of this process any further."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def pieces(size: int) -> AsyncGenerator[bytes, None]:
    for _ in range(0, size, 16_384):
        yield b"x" * 16_384


async def _receive(storage: LocalStorage, size: int) -> None:
    async with aclosing(pieces(size)) as data:
        await storage.receive(ID, data, Arrival(size, "application/octet-stream"))


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


class TestLocalStorage(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return opened(tmp_path)


async def test_a_full_disk_is_said_and_leaves_nothing(
    storage: LocalStorage, tmp_path: Path
) -> None:
    size = 4 * PIECE_BYTES
    with pytest.raises(StorageFull), no_file_beyond(PIECE_BYTES + 7):
        await _receive(storage, size)
    assert files(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_disk_that_is_full_at_the_last_moment_leaves_nothing(
    storage: LocalStorage, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(number, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        await _receive(storage, 16_384)
    assert files(tmp_path) == []


async def test_files_are_their_owners_alone(storage: LocalStorage, tmp_path: Path) -> None:
    await _receive(storage, 16_384)
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
