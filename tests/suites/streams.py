"""What the hot windows of channels do, whatever they are made of (E2).

A test module of an implementation subclasses `StreamsSuite` and gives the fixtures `here` and
`there`, two processes' ways to the same windows where the implementation can have two, and
`run_with_sides`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pxbox.ports import Append, Entry, Streams

WINDOW = 1_000
PATIENCE_SECONDS = 20.0


@dataclass
class Wakes:
    """Records what `on_wake` was called with; `note` is to be given as that."""

    told: list[tuple[str, int]] = field(default_factory=list)
    _more: trio.Event = field(default_factory=trio.Event)

    def note(self, channel: str, head: int) -> None:
        self.told.append((channel, head))
        self._more.set()
        self._more = trio.Event()

    async def until(self, channel: str, head: int) -> None:
        """Wait until the channel was woken with exactly this head."""
        with trio.fail_after(PATIENCE_SECONDS):
            while (channel, head) not in self.told:
                await self._more.wait()


@dataclass
class Side:
    """One process's streams, opened. `tells_to_look`: a subscription's start is a wake with 0."""

    streams: Streams
    wakes: Wakes
    tells_to_look: bool

    async def watch(self, channel: str) -> None:
        """Watch, and return when it is effective."""
        self.streams.watch(channel)
        if self.tells_to_look:
            await self.wakes.until(channel, 0)


RunWithSides = Callable[[Callable[[Side, Side], Awaitable[None]]], None]
"""Runs an async function, with two sides that are opened for it, to its end."""


def entry(seq: int) -> Entry:
    return Entry(seq, b'{"n":%d}' % seq)


def entries(first: int, last: int) -> tuple[Entry, ...]:
    return tuple(entry(seq) for seq in range(first, last + 1))


def a_channel() -> str:
    return f"request:{uuid4()}"


async def append(streams: Streams, channel: str, first: int, last: int) -> int | None:
    """The number after which there is a gap; None where there is none."""
    [reached] = await streams.append([Append(channel, entries(first, last))])
    return reached if reached < last else None


async def window_of(streams: Streams, channel: str, upto: int) -> list[Entry] | None:
    """All that the window holds, found from outside; None where there is no window."""
    for after in range(upto + 1):
        found = await streams.read(channel, after, WINDOW + 1)
        if found is not None:
            return found
    return None


class AppendSuite:
    @pytest.mark.parametrize("first", [1, 7, 10**15])
    async def test_an_absent_window_is_seeded_at_any_number(self, here: Side, first: int) -> None:
        channel = a_channel()
        assert await append(here.streams, channel, first, first + 2) is None
        assert await here.streams.read(channel, first - 1, 10) == list(entries(first, first + 2))

    async def test_what_the_window_has_is_skipped(self, here: Side) -> None:
        channel = a_channel()
        await append(here.streams, channel, 5, 9)
        other = tuple(Entry(seq, b"other") for seq in range(7, 12))
        assert await here.streams.append([Append(channel, other)]) == [11]
        expected = [*entries(5, 9), Entry(10, b"other"), Entry(11, b"other")]
        assert await here.streams.read(channel, 4, 100) == expected

    @pytest.mark.parametrize(("first", "last"), [(3, 4), (3, 9), (5, 5), (9, 9)])
    async def test_what_adds_nothing_changes_nothing(
        self, here: Side, first: int, last: int
    ) -> None:
        channel = a_channel()
        await append(here.streams, channel, 5, 9)
        assert await append(here.streams, channel, first, last) is None
        assert await window_of(here.streams, channel, 20) == list(entries(5, 9))

    async def test_a_gap_is_answered_with_the_last_number_and_changes_nothing(
        self, here: Side
    ) -> None:
        channel = a_channel()
        await append(here.streams, channel, 5, 9)
        assert await append(here.streams, channel, 11, 12) == 9
        assert await here.streams.read(channel, 4, 100) == list(entries(5, 9))

    async def test_each_append_of_a_call_has_its_own_answer(self, here: Side) -> None:
        one, two = a_channel(), a_channel()
        calls = [(one, 1, 2), (two, 5, 5), (one, 4, 4), (one, 3, 3), (two, 9, 9), (one, 4, 5)]
        answers = await here.streams.append([Append(c, entries(a, b)) for c, a, b in calls])
        assert answers == [2, 5, 2, 3, 5, 5]
        assert await here.streams.append([]) == []

    async def test_the_window_keeps_the_newest_1000(self, here: Side) -> None:
        channel = a_channel()
        for first in range(1, 1501, 100):
            assert await append(here.streams, channel, first, first + 99) is None
        assert await here.streams.read(channel, 499, WINDOW) is None
        assert await here.streams.read(channel, 500, WINDOW) == list(entries(501, 1500))

    @pytest.mark.parametrize("before", [0, 1000])
    async def test_of_an_append_larger_than_the_window_the_newest_stay(
        self, here: Side, before: int
    ) -> None:
        channel = a_channel()
        if before:
            await append(here.streams, channel, 1, before)
        assert await append(here.streams, channel, before + 1, before + 1200) is None
        assert await here.streams.read(channel, before + 199, WINDOW) is None
        window = await here.streams.read(channel, before + 200, WINDOW + 1)
        assert window == list(entries(before + 201, before + 1200))

    async def test_data_comes_back_byte_for_byte(self, here: Side) -> None:
        channel = a_channel()
        data = [b"", b"\r\n$1\r\n", bytes(range(256)), b"x" * 100_000]
        kept = tuple(Entry(seq, each) for seq, each in enumerate(data, 1))
        await here.streams.append([Append(channel, kept)])
        assert await here.streams.read(channel, 0, 10) == list(kept)

    async def test_channels_with_strange_names_are_kept_apart(self, here: Side) -> None:
        stem = a_channel()
        names = [stem, stem + "}", stem + "}:x", "{" + stem, stem + " é\r\n", stem + ":1"]
        for first, name in enumerate(names, 1):
            assert await append(here.streams, name, first, first) is None
        for first, name in enumerate(names, 1):
            assert await window_of(here.streams, name, 10) == [entry(first)]


class ReadSuite:
    async def test_an_absent_window_reaches_back_to_nothing(self, here: Side) -> None:
        assert await here.streams.read(a_channel(), 0, 10) is None
        assert await here.streams.read(a_channel(), 5, 10) is None

    async def test_below_the_window_is_not_answered_from_it(self, here: Side) -> None:
        channel = a_channel()
        await append(here.streams, channel, 5, 9)
        assert await here.streams.read(channel, 3, 10) is None
        assert await here.streams.read(channel, 4, 1) == [entry(5)]

    async def test_at_the_end_there_is_nothing_more(self, here: Side) -> None:
        channel = a_channel()
        await append(here.streams, channel, 5, 9)
        assert await here.streams.read(channel, 9, 10) == []
        assert await here.streams.read(channel, 12, 10) == []

    async def test_no_more_than_the_limit_is_read(self, here: Side) -> None:
        channel = a_channel()
        await append(here.streams, channel, 1, 9)
        assert await here.streams.read(channel, 2, 3) == list(entries(3, 5))


class ReseedSuite:
    async def test_an_absent_window_is_made(self, here: Side) -> None:
        channel = a_channel()
        await here.streams.reseed(Append(channel, entries(4, 6)))
        assert await window_of(here.streams, channel, 10) == list(entries(4, 6))

    @pytest.mark.parametrize("size", [1, 500, 1000, 1200])
    async def test_a_window_before_a_gap_is_replaced_as_a_whole(
        self, here: Side, size: int
    ) -> None:
        channel = a_channel()
        await append(here.streams, channel, 1, 900)
        await here.streams.reseed(Append(channel, entries(5001, 5000 + size)))
        first = 5001 + max(0, size - WINDOW)
        assert await here.streams.read(channel, 0, 1) is None
        assert await here.streams.read(channel, first - 2, 1) is None
        window = await here.streams.read(channel, first - 1, WINDOW + 1)
        assert window == list(entries(first, 5000 + size))

    async def test_a_window_that_goes_on_into_it_is_extended(self, here: Side) -> None:
        channel = a_channel()
        await append(here.streams, channel, 1, 6)
        await here.streams.reseed(Append(channel, entries(4, 9)))
        assert await window_of(here.streams, channel, 10) == list(entries(1, 9))

    @pytest.mark.parametrize(("first", "last"), [(1, 3), (5, 8), (5, 9), (9, 9)])
    async def test_a_window_never_goes_back(self, here: Side, first: int, last: int) -> None:
        channel = a_channel()
        await append(here.streams, channel, 5, 9)
        await here.streams.reseed(Append(channel, entries(first, last)))
        assert await window_of(here.streams, channel, 10) == list(entries(5, 9))


class WakeSuite:
    async def test_an_append_anywhere_wakes_who_watches(self, here: Side, there: Side) -> None:
        channel = a_channel()
        await there.watch(channel)
        await append(here.streams, channel, 5, 9)
        await there.wakes.until(channel, 9)
        await append(here.streams, channel, 8, 11)
        await there.wakes.until(channel, 11)

    async def test_a_reseeding_wakes_who_watches(self, here: Side, there: Side) -> None:
        channel = a_channel()
        await append(here.streams, channel, 5, 9)
        await there.watch(channel)
        await here.streams.reseed(Append(channel, entries(20, 30)))
        await there.wakes.until(channel, 30)

    async def test_what_adds_nothing_wakes_nobody(self, here: Side, there: Side) -> None:
        channel, after = a_channel(), a_channel()
        await append(here.streams, channel, 5, 9)
        await there.watch(channel)
        await there.watch(after)
        await append(here.streams, channel, 5, 9)
        assert await append(here.streams, channel, 11, 12) == 9
        await here.streams.reseed(Append(channel, entries(7, 8)))
        await append(here.streams, after, 1, 1)
        await there.wakes.until(after, 1)
        assert [head for name, head in there.wakes.told if name == channel and head] == []

    async def test_who_does_not_watch_is_not_woken(self, here: Side, there: Side) -> None:
        never, no_more, after = a_channel(), a_channel(), a_channel()
        await there.watch(no_more)
        await there.watch(after)
        there.streams.unwatch(no_more)
        for channel in (never, no_more, after):
            await append(here.streams, channel, 1, 1)
        await there.wakes.until(after, 1)
        assert {name for name, head in there.wakes.told if head} == {after}

    async def test_who_watches_again_is_woken_again(self, here: Side, there: Side) -> None:
        channel = a_channel()
        await there.watch(channel)
        there.streams.unwatch(channel)
        there.wakes.told.clear()
        await there.watch(channel)
        await append(here.streams, channel, 1, 1)
        await there.wakes.until(channel, 1)


LOG_END = 30
spans = st.tuples(st.integers(1, LOG_END), st.integers(0, 8)).map(
    lambda span: (span[0], min(span[0] + span[1], LOG_END))
)
relays = st.lists(st.lists(spans, max_size=8), min_size=1, max_size=4)


class RaceSuite:
    @given(work=relays)
    @settings(
        max_examples=60,
        deadline=None,
        # The fixture opens new sides each time; each implementation's class runs the same test.
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
        ],
    )
    def test_relays_that_race_and_repeat_leave_a_window_without_gaps(
        self, run_with_sides: RunWithSides, work: Sequence[list[tuple[int, int]]]
    ) -> None:
        run_with_sides(lambda here, there: self._race(here, there, work))

    async def _race(self, here: Side, there: Side, work: Sequence[list[tuple[int, int]]]) -> None:
        channel, reached = a_channel(), 0

        async def relay(side: Side, own: list[tuple[int, int]]) -> None:
            nonlocal reached
            for first, last in own:
                gap_after = await append(side.streams, channel, first, last)
                if gap_after is not None:
                    assert gap_after < first - 1
                    assert await append(side.streams, channel, gap_after + 1, last) is None
                reached = max(reached, last)

        async with trio.open_nursery() as nursery:
            for n, own in enumerate(work):
                nursery.start_soon(relay, (here, there)[n % 2], own)
        window = await window_of(here.streams, channel, LOG_END) or []
        assert window == list(entries(reached + 1 - len(window), reached))
        assert bool(window) == bool(reached)

    async def test_two_who_append_at_once_lose_nothing(self, here: Side, there: Side) -> None:
        channel = a_channel()
        await append(here.streams, channel, 1, 1)
        async with trio.open_nursery() as nursery:
            for side in (here, there):
                nursery.start_soon(self._append_one_by_one, side.streams, channel)
        assert await here.streams.read(channel, 0, WINDOW) == list(entries(1, 200))

    async def _append_one_by_one(self, streams: Streams, channel: str) -> None:
        for seq in range(2, 201):
            assert await append(streams, channel, seq, seq) is None


class StreamsSuite(AppendSuite, ReadSuite, ReseedSuite, WakeSuite, RaceSuite):
    """All that the streams promise while they are up."""

    @pytest.fixture
    def here(self) -> Side:
        raise NotImplementedError

    @pytest.fixture
    def there(self) -> Side:
        raise NotImplementedError

    @pytest.fixture
    def run_with_sides(self) -> RunWithSides:
        raise NotImplementedError

    async def test_they_are_available(self, here: Side, there: Side) -> None:
        assert here.streams.available
        assert there.streams.available
