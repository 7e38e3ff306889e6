"""The relay brings every event to its subscribers, here and in other processes (E2)."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from pxbox.behaviors import relay as module
from pxbox.behaviors.relay import Pace
from pxbox.ports import Entry
from tests.behaviors.relayed import (
    CHANNEL,
    E3_SECONDS,
    MemoryLog,
    Shared,
    Start,
    line_of,
    window,
)


class TestLive:
    async def test_what_is_committed_here_is_delivered_before_logged_returns(
        self, start: Start, autojump_clock: trio.testing.MockClock
    ) -> None:
        here = start()
        here.commit(CHANNEL, "request:1", CHANNEL)
        assert here.subscribers.delivered == [
            (CHANNEL, [Entry(1, b"1"), Entry(2, b"2")]),
            ("request:1", [Entry(1, b"1")]),
        ]

    async def test_it_is_appended_and_other_processes_are_told_once_it_has_gathered(
        self, start: Start, shared: Shared, autojump_clock: trio.testing.MockClock
    ) -> None:
        here, there = start(), start()
        began = trio.current_time()
        here.commit(CHANNEL)
        await there.subscribers.until(CHANNEL, 1)
        assert trio.current_time() == pytest.approx(began + Pace().gather)
        assert await window(shared) == [1]
        assert there.subscribers.looks == [(CHANNEL, 1)]

    async def test_own_wakes_are_no_news(
        self, start: Start, autojump_clock: trio.testing.MockClock
    ) -> None:
        here = start()
        for _ in range(5):
            here.commit(CHANNEL)
        await trio.sleep(1)
        assert here.subscribers.looks == []

    async def test_batches_that_wait_are_appended_together(
        self, start: Start, autojump_clock: trio.testing.MockClock
    ) -> None:
        here = start()
        for n in range(100):
            here.commit(CHANNEL, f"request:{n % 10}")
        await trio.sleep(1)
        [appends] = line_of(here).appends
        assert {append.channel: len(append.entries) for append in appends} == {
            CHANNEL: 100,
            **{f"request:{n}": 10 for n in range(10)},
        }
        assert here.relay.stats().appended == 200

    async def test_a_gap_left_by_another_process_is_filled_from_the_log(
        self, start: Start, log: MemoryLog, shared: Shared, autojump_clock: trio.testing.MockClock
    ) -> None:
        here, there = start(), start()
        here.commit(CHANNEL)
        await trio.sleep(0.1)
        for _ in range(10):
            log.commit(CHANNEL)
        here.commit(CHANNEL)
        await there.subscribers.until(CHANNEL, 12)
        assert await window(shared) == list(range(1, 13))
        assert here.relay.stats().gaps_filled == 1

    async def test_a_gap_wider_than_the_window_has_it_replaced(
        self, start: Start, log: MemoryLog, shared: Shared, autojump_clock: trio.testing.MockClock
    ) -> None:
        here, there = start(), start()
        here.commit(CHANNEL)
        await trio.sleep(0.1)
        for _ in range(1_500):
            log.commit(CHANNEL)
        here.commit(CHANNEL)
        await there.subscribers.until(CHANNEL, 1_502)
        assert await window(shared) == list(range(503, 1_503))
        assert here.relay.stats().reseeded == 1

    async def test_a_gap_that_retention_has_reached_has_the_window_replaced(
        self, start: Start, log: MemoryLog, shared: Shared, autojump_clock: trio.testing.MockClock
    ) -> None:
        here, there = start(), start()
        here.commit(CHANNEL)
        await trio.sleep(0.1)
        for _ in range(20):
            log.commit(CHANNEL)
        log.floors[CHANNEL] = 15
        here.commit(CHANNEL)
        await there.subscribers.until(CHANNEL, 22)
        assert await window(shared) == list(range(16, 23))

    async def test_who_no_longer_watches_is_told_nothing(
        self, start: Start, autojump_clock: trio.testing.MockClock
    ) -> None:
        here, there = start(), start()
        there.relay.unwatch(CHANNEL)
        here.commit(CHANNEL)
        await trio.sleep(5)
        assert there.subscribers.looks == []


class TestForgetting:
    async def test_relayed_batches_are_handed_to_the_next_commit_once(
        self, start: Start, log: MemoryLog, autojump_clock: trio.testing.MockClock
    ) -> None:
        here = start()
        batches = [here.commit(CHANNEL) for _ in range(3)]
        await trio.sleep(0.1)
        assert here.relay.relayed() == batches
        assert here.relay.relayed() == []
        await trio.sleep(0.7)
        assert log.queries.count("forget") == 0

    async def test_what_no_commit_takes_is_forgotten_after_half_a_second(
        self, start: Start, log: MemoryLog, autojump_clock: trio.testing.MockClock
    ) -> None:
        here = start()
        here.commit(CHANNEL)
        await trio.sleep(0.4)
        assert len(log.batches) == 1
        await trio.sleep(0.2)
        assert log.batches == {}
        assert here.relay.relayed() == []

    async def test_under_steady_commits_nothing_is_left_for_the_sweepers(
        self, start: Start, log: MemoryLog, autojump_clock: trio.testing.MockClock
    ) -> None:
        here = start()
        for _ in range(100):
            await log.forget(here.relay.relayed())
            here.commit(CHANNEL)
            await trio.sleep(0.05)
        await trio.sleep(3)
        assert log.batches == {}
        assert here.relay.stats().swept == 0

    async def test_a_commit_that_fails_with_them_leaves_them_to_the_sweepers(
        self, start: Start, log: MemoryLog, autojump_clock: trio.testing.MockClock
    ) -> None:
        here = start()
        here.commit(CHANNEL)
        await trio.sleep(0.1)
        here.relay.relayed()
        await trio.sleep(E3_SECONDS)
        assert log.batches == {}
        assert here.relay.stats().swept == 1


class TestBounds:
    async def test_what_does_not_fit_into_the_queue_is_left_to_the_sweepers(
        self, join: Start, nursery: trio.Nursery, log: MemoryLog, shared: Shared,
        autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(module, "QUEUE_BYTES", 10 * (module.ENTRY_BYTES + 1))
        here = join()
        for _ in range(15):
            here.commit(CHANNEL)
        assert here.relay.stats().dropped == 6
        assert len(here.subscribers.delivered) == 15
        nursery.start_soon(here.relay.run)
        await trio.sleep(0.1)
        assert await window(shared) == list(range(1, 10))
        await trio.sleep(E3_SECONDS)
        assert await window(shared) == list(range(1, 16))
        assert log.batches == {}

    async def test_a_long_queue_is_appended_in_parts(
        self, join: Start, nursery: trio.Nursery, log: MemoryLog, shared: Shared,
        autojump_clock: trio.testing.MockClock,
    ) -> None:  # fmt: skip
        here = join()
        for n in range(2_000):
            here.commit(f"request:{n}")
        nursery.start_soon(here.relay.run)
        await trio.sleep(0.2)
        calls = line_of(here).appends
        assert [len(appends) for appends in calls] == [module.MOST_APPENDS] * 4
        assert len(here.relay.relayed()) == 2_000

    async def test_the_age_of_what_is_not_relayed_is_known(
        self, start: Start, autojump_clock: trio.testing.MockClock
    ) -> None:
        here = start()
        assert here.relay.stats().oldest_unrelayed_seconds == 0
        line_of(here).up = False
        here.commit(CHANNEL)
        await trio.sleep(4)
        here.commit(CHANNEL)
        await trio.sleep(4)
        assert here.relay.stats().oldest_unrelayed_seconds == pytest.approx(8)
        line_of(here).up = True
        await trio.sleep(E3_SECONDS)
        assert here.relay.stats().oldest_unrelayed_seconds == 0
