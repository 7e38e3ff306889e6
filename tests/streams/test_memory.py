"""The windows of one process do what all do, and do not grow without bound."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from pxbox.ports import Append
from pxbox.streams.memory import MemoryStreams
from tests.suites.streams import RunWithSides, Side, StreamsSuite, Wakes, append, entries


def opened(most_idle: int = 10_000) -> Side:
    streams, wakes = MemoryStreams("epoch", most_idle), Wakes()
    streams.open(None, wakes.note)
    return Side(streams, wakes, tells_to_look=False)


class TestMemoryStreams(StreamsSuite):
    @pytest.fixture
    def here(self) -> Side:
        return opened()

    @pytest.fixture
    def there(self, here: Side) -> Side:
        # Nobody else can share what is in this process alone.
        return here

    @pytest.fixture
    def run_with_sides(self) -> RunWithSides:
        def run(task: Callable[[Side, Side], Awaitable[None]]) -> None:
            side = opened()
            trio.run(task, side, side)

        return run


async def absent(side: Side, names: str) -> str:
    return "".join([name for name in names if await side.streams.read(name, 0, 1) is None])


async def test_of_idle_channels_the_least_recently_used_go() -> None:
    side = opened(most_idle=3)
    for name in "abc":
        await append(side.streams, name, 1, 1)
    await side.streams.read("a", 0, 1)
    await append(side.streams, "d", 1, 1)
    assert await absent(side, "abcd") == "b"


async def test_watched_channels_stay() -> None:
    side = opened(most_idle=2)
    side.streams.watch("a")
    await side.streams.append([Append(name, entries(1, 1)) for name in "abcdef"])
    assert await absent(side, "abcdef") == "bcd"


async def test_a_channel_that_is_no_longer_watched_is_the_last_of_the_idle() -> None:
    side = opened(most_idle=2)
    side.streams.watch("a")
    await side.streams.append([Append(name, entries(1, 1)) for name in "abc"])
    side.streams.unwatch("a")
    assert await absent(side, "abc") == "b"


async def test_nothing_is_kept_of_a_channel_that_was_only_watched() -> None:
    side = opened(most_idle=1)
    for name in "abc":
        side.streams.watch(name)
        side.streams.unwatch(name)
    await append(side.streams, "d", 1, 1)
    assert await absent(side, "abcd") == "abc"
