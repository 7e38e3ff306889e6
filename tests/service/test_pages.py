"""Pages are read once for all who catch up at the same place, and not kept without bound."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from pxbox.behaviors.channel import PAGE, Events
from pxbox.ports import LogUnavailable
from pxbox.service.pages import Pages
from tests.behaviors.relayed import CHANNEL, Line, MemoryLog, Shared


class Shelf:
    """Pages over a log in memory, without a hot window."""

    def __init__(self, count: int, kept_bytes: int = 1_000_000, query_seconds: float = 0.0) -> None:
        self.log = MemoryLog(query_seconds=query_seconds)
        self.line = Line(Shared())
        self.line.up = False
        events = Events(self.log, self.line, lambda _, entry: b"%d" % entry.seq)
        self.pages = Pages(events, kept_bytes)
        for _ in range(count):
            self.log.commit(CHANNEL)

    async def read(self, after: int, epoch: str = "e") -> list[int]:
        page = await self.pages.read(epoch, CHANNEL, after)
        seqs = [int(frame) for piece in page.pieces for frame in piece.encoded]
        assert seqs == list(range(page.first, page.last + 1))
        return seqs


async def test_a_thousand_who_come_for_the_same_page_cost_one_read(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shelf = Shelf(100, query_seconds=1.0)
    found: list[list[int]] = []

    async def come() -> None:
        found.append(await shelf.read(0))

    async with trio.open_nursery() as nursery:
        for _ in range(1_000):
            nursery.start_soon(come)
    assert found == [list(range(1, 101))] * 1_000
    assert shelf.log.queries == ["read"]
    assert await shelf.read(0) == found[0]
    assert shelf.log.queries == ["read"]


async def test_what_came_after_a_page_was_read_is_on_the_next_one() -> None:
    shelf = Shelf(3)
    assert await shelf.read(0) == [1, 2, 3]
    assert await shelf.read(3) == []
    shelf.log.commit(CHANNEL)
    assert await shelf.read(0) == [1, 2, 3]
    assert await shelf.read(3) == [4]


async def test_a_page_of_another_epoch_is_another_page() -> None:
    shelf = Shelf(3)
    await shelf.read(0)
    await shelf.read(0, "another")
    assert len(shelf.log.queries) == 2


async def test_a_failure_is_for_whoever_asked_and_is_not_kept() -> None:
    shelf = Shelf(3)
    shelf.log.up = False
    failures = 0

    async def come() -> None:
        nonlocal failures
        with pytest.raises(LogUnavailable):
            await shelf.read(0)
        failures += 1

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(come)
    assert failures == 5
    shelf.log.up = True
    assert await shelf.read(0) == [1, 2, 3]


async def test_who_leaves_in_the_middle_takes_nobody_along(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shelf = Shelf(3, query_seconds=1.0)
    found: list[list[int]] = []

    async def come() -> None:
        found.append(await shelf.read(0))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(come)
        with trio.move_on_after(0.5):
            # This one is the first, for the other has not run yet.
            await shelf.read(0)
    assert found == [[1, 2, 3]]


async def test_pages_that_nobody_asked_for_lately_make_room() -> None:
    shelf = Shelf(5 * PAGE, kept_bytes=2 * (PAGE * 75 + 256))
    for after in (0, PAGE, 0, 2 * PAGE):
        assert len(await shelf.read(after)) == PAGE
    reads = len(shelf.log.queries)
    await shelf.read(0)
    assert len(shelf.log.queries) == reads
    await shelf.read(PAGE)
    assert len(shelf.log.queries) == reads + 1
