"""Who asks for bounds at once shares a query, and never one that began before they asked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from pxbox.model.channel import Bounds
from pxbox.postgres.bounds import BoundsReader


class Counters:
    """Channels that count; a query takes a second and sees what was so when it began."""

    def __init__(self) -> None:
        self.heads = {"a": 1, "b": 2}
        self.queries: list[set[str]] = []
        self.up = True
        self.reader = BoundsReader(self._read)
        self.told: dict[int, Bounds | str] = {}

    async def _read(self, channels: Sequence[str]) -> dict[str, Bounds]:
        self.queries.append(set(channels))
        seen = {name: Bounds(0, self.heads[name]) for name in channels if name in self.heads}
        await trio.sleep(1)
        if not self.up:
            raise ConnectionError("away")
        return seen

    async def ask(self, number: int, channel: str) -> None:
        try:
            self.told[number] = await self.reader.bounds(channel)
        except ConnectionError as error:
            self.told[number] = str(error)


async def test_a_storm_is_two_queries(autojump_clock: trio.testing.MockClock) -> None:
    counters = Counters()
    async with trio.open_nursery() as nursery:
        for number in range(1_000):
            nursery.start_soon(counters.ask, number, "abc"[number % 3])
    assert len(counters.queries) <= 2
    assert counters.told == {
        number: (Bounds(0, 1), Bounds(0, 2), Bounds(0, 0))[number % 3] for number in range(1_000)
    }


async def test_an_answer_is_not_older_than_its_question(
    autojump_clock: trio.testing.MockClock,
) -> None:
    counters = Counters()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(counters.ask, 1, "a")
        await trio.sleep(0.5)
        counters.heads["a"] = 7
        nursery.start_soon(counters.ask, 2, "a")
        nursery.start_soon(counters.ask, 3, "a")
    assert counters.told == {1: Bounds(0, 1), 2: Bounds(0, 7), 3: Bounds(0, 7)}
    assert counters.queries == [{"a"}, {"a"}]


@pytest.mark.parametrize("after", [0.5, 1.5])
async def test_who_leaves_takes_nobody_along(
    autojump_clock: trio.testing.MockClock, after: float
) -> None:
    """Whether it leaves while it reads for others, or while it waits to."""
    counters = Counters()
    async with trio.open_nursery() as nursery:
        if after > 1:
            nursery.start_soon(counters.ask, 0, "b")
            await trio.sleep(0.9)
        leaving = trio.CancelScope()

        async def leave() -> None:
            with leaving:
                await counters.ask(1, "a")

        nursery.start_soon(leave)
        await trio.sleep(0)
        nursery.start_soon(counters.ask, 2, "a")
        await trio.sleep(0.05)
        leaving.cancel()
    assert counters.told[2] == Bounds(0, 1)
    assert 1 not in counters.told


async def test_a_failure_is_told_to_all_who_asked_and_is_over_then(
    autojump_clock: trio.testing.MockClock,
) -> None:
    counters = Counters()
    counters.up = False
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(counters.ask, number, "a")
    assert set(counters.told.values()) == {"away"}
    assert len(counters.queries) <= 2
    counters.up = True
    assert await counters.reader.bounds("a") == Bounds(0, 1)
