"""Uploads that are cut off, refused and gone on with: what was told stays, whatever comes."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from pxbox.blobs.links import Links
from pxbox.blobs.local import PIECE_BYTES, LocalStorage
from pxbox.blobs.resumable import Drafts
from pxbox.domain.files import Arrival
from pxbox.domain.sniffing import HEAD_BYTES
from pxbox.model.errors import FileRefused, StorageFull, UploadLocked
from tests.blobs.test_local import files, no_file_beyond

ID = "01JZQ8A6P9Y5V4X3W2S1RQNMKF"
BYTES = "application/octet-stream"
DATA = hashlib.shake_256(b"data").digest(3 * PIECE_BYTES)


class Cut(Exception):
    """The line was lost."""


@contextmanager
def opened() -> Iterator[tuple[LocalStorage, Drafts, Path]]:
    """A storage in a folder of its own. Another one there stands for another process."""
    with tempfile.TemporaryDirectory() as folder:
        storage = LocalStorage(Path(folder), Links(b"key"))
        storage.open()
        yield storage, Drafts(storage), Path(folder)


async def came(data: bytes, cut: bool = False) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), 50_000):
        yield data[start : start + 50_000]
    if cut:
        raise Cut


async def append(drafts: Drafts, data: bytes, cut: bool = False, mime: str = BYTES) -> None:
    async with drafts.hold(ID) as draft, aclosing(came(data, cut)) as pieces:
        await draft.append(pieces, Arrival(len(DATA), mime))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["whole", "cut", "refused", "full", "anew"]), st.integers(0, len(DATA))
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_befalls_an_upload_what_was_told_stays_and_nothing_is_seen(
    steps: list[tuple[str, int]],
) -> None:
    trio.run(_befall, steps)


async def _befall(steps: list[tuple[str, int]]) -> None:
    with opened() as (storage, drafts, folder):
        for what, size in steps:
            before = await drafts.size(ID)
            chunk = DATA[before : before + size]
            match what:
                case "whole":
                    await append(drafts, chunk)
                    expected = {before + len(chunk)}
                case "cut":
                    with pytest.raises(Cut):
                        await append(drafts, chunk, cut=True)
                    expected = {before + len(chunk)}
                case "refused":
                    with pytest.raises(FileRefused):
                        await append(drafts, DATA[before:] + b"more")
                    expected = {0}
                case "full":
                    expected = {min(before + len(chunk), max(before, size // 2))}
                    try:
                        with no_file_beyond(size // 2):
                            await append(drafts, chunk)
                    except StorageFull:
                        pass
                    else:
                        expected = {before + len(chunk)}
                case _:
                    storage = LocalStorage(folder, Links(b"key"))
                    drafts = Drafts(storage)
                    expected = {before}
            assert {await drafts.size(ID)} == expected, (what, size)
            assert files(folder / "kept") == []
        async with drafts.hold(ID) as draft:
            pieces = came(DATA[draft.size :])
            async with aclosing(pieces):
                await draft.append(pieces, Arrival(len(DATA), BYTES))
            received = await draft.keep()
            await draft.drop()
        assert (received.size, received.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
        whole = b"".join([piece async for piece in storage.read(received.key, 0, len(DATA))])
        assert whole == DATA
        assert files(folder / "drafts") == []


async def test_one_at_a_time_holds_a_draft_and_another_process_is_told() -> None:
    with opened() as (_, drafts, folder):
        other = Drafts(LocalStorage(folder, Links(b"key")))
        async with drafts.hold(ID):
            for contender in (drafts, other):
                with pytest.raises(UploadLocked):
                    async with contender.hold(ID):
                        raise AssertionError("two at once")
        async with other.hold(ID):
            pass
        assert files(folder) == [], "what is empty is not there"


async def test_who_dies_between_keeping_a_file_and_saying_so_leaves_all_of_it() -> None:
    with opened() as (_, drafts, folder):
        await append(drafts, DATA)
        async with drafts.hold(ID) as draft:
            first = await draft.keep()
        assert await drafts.size(ID) == len(DATA)
        async with drafts.hold(ID) as draft:
            again = await draft.keep()
            await draft.drop()
        assert first.key != again.key
        assert first.sha256 == again.sha256 == hashlib.sha256(DATA).hexdigest()
        assert len(files(folder / "kept")) == 2, "the first is a stray, which is collected"


@pytest.mark.parametrize("split", [0, 1, 3, 7, HEAD_BYTES - 1, HEAD_BYTES])
async def test_a_type_is_judged_by_the_first_bytes_however_they_come(split: int) -> None:
    lie = b"<html>".ljust(3000)
    with opened() as (_, drafts, _folder):

        async def add(data: bytes) -> None:
            async with drafts.hold(ID) as draft, aclosing(came(data)) as pieces:
                await draft.append(pieces, Arrival(len(lie), "image/png"))

        if split < HEAD_BYTES:
            await add(lie[:split])
            assert await drafts.size(ID) == split
        with pytest.raises(FileRefused):
            await add(lie[await drafts.size(ID) :])
        assert await drafts.size(ID) == 0
