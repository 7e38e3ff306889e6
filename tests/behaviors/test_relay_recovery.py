"""Whoever dies, and whatever is away, every event reaches those who live (E3)."""

from __future__ import annotations

import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pxbox.behaviors import relay as module
from tests.behaviors.relayed import (
    CHANNEL,
    E3_SECONDS,
    Line,
    MemoryLog,
    Process,
    Shared,
    Start,
    line_of,
    window,
)


class TestSweeping:
    async def test_what_a_dead_process_committed_reaches_the_others_within_3_seconds(
        self, start: Start, log: MemoryLog, shared: Shared, autojump_clock: trio.testing.MockClock
    ) -> None:
        there = start()
        there.commit(CHANNEL)
        for n in range(2, 20):
            await trio.sleep(0.13 * n)
            committed = trio.current_time()
            log.commit(CHANNEL)
            await there.subscribers.until(CHANNEL, n)
            assert trio.current_time() - committed < E3_SECONDS
        await trio.sleep(1)
        assert await window(shared) == list(range(1, 20))
        assert there.relay.stats().swept == 18

    async def test_windows_that_are_gone_are_made_again(
        self, start: Start, log: MemoryLog, shared: Shared, autojump_clock: trio.testing.MockClock
    ) -> None:
        start()
        for _ in range(1_500):
            log.commit(CHANNEL, "request:1")
        await trio.sleep(E3_SECONDS)
        assert (await window(shared) or [0])[-1] == 1_500
        assert (await window(shared, "request:1") or [0])[-1] == 1_500
        assert log.batches == {}

    async def test_a_window_that_has_it_all_costs_no_entries_of_the_log(
        self, start: Start, log: MemoryLog, shared: Shared, autojump_clock: trio.testing.MockClock
    ) -> None:
        here = start()
        here.commit(CHANNEL)
        await trio.sleep(0.1)
        here.relay.relayed()
        await trio.sleep(E3_SECONDS)
        assert not {"newest", "read"} & set(log.queries)

    async def test_a_channel_without_entries_is_passed_over(
        self, start: Start, log: MemoryLog, autojump_clock: trio.testing.MockClock
    ) -> None:
        start()
        log.commit(CHANNEL)
        log.floors[CHANNEL] = 1
        log.batches[99] = (trio.current_time(), ["never:used"])
        await trio.sleep(E3_SECONDS)
        assert log.batches == {}

    async def test_a_long_list_is_swept_to_its_end(
        self, start: Start, log: MemoryLog, autojump_clock: trio.testing.MockClock
    ) -> None:
        for n in range(3 * module.MOST_SWEPT + 1):
            log.commit(f"request:{n}")
        await trio.sleep(2)
        process = start()
        await trio.sleep(1)
        assert log.batches == {}
        assert process.relay.stats().swept == 3 * module.MOST_SWEPT + 1

    async def test_while_a_long_list_is_swept_watched_channels_do_not_wait_for_its_end(
        self, start: Start, log: MemoryLog, autojump_clock: trio.testing.MockClock
    ) -> None:
        log.query_seconds = 0.05
        for n in range(5 * module.MOST_SWEPT):
            log.commit(f"request:{n}")
        await trio.sleep(2)
        there = start()
        await trio.sleep(1)
        committed = trio.current_time()
        batch, _ = log.commit(CHANNEL)
        await there.subscribers.until(CHANNEL, 1)
        assert trio.current_time() - committed < E3_SECONDS
        assert batch in log.batches
        await trio.sleep(60)
        assert log.batches == {}

    async def test_the_log_being_away_for_a_while_ends_nothing(
        self, start: Start, log: MemoryLog, shared: Shared, autojump_clock: trio.testing.MockClock
    ) -> None:
        there = start()
        there.commit(CHANNEL)
        log.commit(CHANNEL)
        log.up = False
        await trio.sleep(60)
        log.up = True
        back = trio.current_time()
        await there.subscribers.until(CHANNEL, 2)
        assert trio.current_time() - back < E3_SECONDS
        await trio.sleep(E3_SECONDS)
        assert log.batches == {}

    async def test_the_log_being_away_is_not_asked_without_pause(
        self, start: Start, log: MemoryLog, autojump_clock: trio.testing.MockClock
    ) -> None:
        there = start()
        there.commit(CHANNEL)
        log.up = False
        line_of(there).up = False
        await trio.sleep(10)
        line_of(there).up = True
        await trio.sleep(10)
        assert len(log.queries) < 100


class TestWithoutStreams:
    async def test_news_still_arrives_within_3_seconds_by_one_query_a_second(
        self, start: Start, log: MemoryLog, autojump_clock: trio.testing.MockClock
    ) -> None:
        here, there = start(), start()
        line_of(here).up = line_of(there).up = False
        await trio.sleep(1)
        for n in range(1, 10):
            await trio.sleep(0.13 * n)
            committed = trio.current_time()
            here.commit(CHANNEL)
            await there.subscribers.until(CHANNEL, n)
            assert trio.current_time() - committed < E3_SECONDS
        log.queries.clear()
        await trio.sleep(10)
        assert 2 * 8 <= log.queries.count("heads") <= 2 * 12
        assert set(log.queries) == {"heads"}

    async def test_the_same_head_is_told_once(
        self, start: Start, autojump_clock: trio.testing.MockClock
    ) -> None:
        here, there = start(), start()
        line_of(there).up = False
        here.commit(CHANNEL)
        await trio.sleep(10)
        assert there.subscribers.looks == [(CHANNEL, 1)]

    async def test_what_was_committed_meanwhile_is_in_the_windows_soon_after(
        self, start: Start, log: MemoryLog, shared: Shared, autojump_clock: trio.testing.MockClock
    ) -> None:
        here, there = start(), start()
        line_of(here).up = line_of(there).up = False
        for _ in range(10):
            here.commit(CHANNEL)
        await trio.sleep(5)
        assert await window(shared) is None
        assert here.relay.stats().dropped == 10
        line_of(here).up = line_of(there).up = True
        await trio.sleep(E3_SECONDS)
        assert (await window(shared) or [0])[-1] == 10
        assert log.batches == {}

    async def test_what_was_published_while_a_line_was_cut_is_found_when_it_is_back(
        self, start: Start, autojump_clock: trio.testing.MockClock
    ) -> None:
        here, there = start(), start()
        await trio.sleep(0.5)
        line_of(there).up = False
        await trio.sleep(1.01)
        here.commit(CHANNEL)
        # Back before the next poll was due; its wake is lost.
        await trio.sleep(0.1)
        line_of(there).up = True
        began = trio.current_time()
        await there.subscribers.until(CHANNEL, 1)
        assert trio.current_time() - began < 0.5

    async def test_a_process_that_alone_is_cut_off_has_its_events_swept_by_others(
        self, start: Start, shared: Shared, autojump_clock: trio.testing.MockClock
    ) -> None:
        here, there = start(), start()
        line_of(here).up = False
        committed = trio.current_time()
        here.commit(CHANNEL)
        await there.subscribers.until(CHANNEL, 1)
        assert trio.current_time() - committed < E3_SECONDS
        assert await window(shared) == [1]

    async def test_a_wake_that_says_look_has_the_log_asked_once_for_all(
        self, start: Start, log: MemoryLog, autojump_clock: trio.testing.MockClock
    ) -> None:
        there = start()
        await trio.sleep(1)
        for n in range(50):
            there.relay.watch(f"request:{n}")
            log.commit(f"request:{n}")
            there.relay.wake(f"request:{n}", 0)
        log.queries.clear()
        there.relay.wake("request:unwatched", 0)
        await there.subscribers.until("request:49", 1)
        assert sorted(there.subscribers.looks) == sorted((f"request:{n}", 1) for n in range(50))
        assert log.queries == ["heads"]

    async def test_a_look_that_the_log_refused_is_repeated(
        self, start: Start, log: MemoryLog, autojump_clock: trio.testing.MockClock
    ) -> None:
        there = start()
        await trio.sleep(1)
        log.commit(CHANNEL)
        log.batches.clear()
        log.up = False
        there.relay.wake(CHANNEL, 0)
        await trio.sleep(2)
        log.up = True
        await trio.sleep(1.5)
        assert there.subscribers.looks == [(CHANNEL, 1)]


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["here", "there", "dead", "cut", "mend", "log", "flush"]),
            st.floats(0, 1.5),
        ),
        max_size=25,
    )
)
def test_whatever_happens_everybody_is_told_and_the_window_has_no_gap(
    acts: list[tuple[str, float]],
) -> None:
    trio.run(_live_through, acts, clock=trio.testing.MockClock(autojump_threshold=0))


async def _live_through(acts: list[tuple[str, float]]) -> None:
    log, shared = MemoryLog(), Shared()
    processes = {}
    async with trio.open_nursery() as nursery:
        for name in ("here", "there"):
            line = Line(shared)
            process = processes[name] = Process(log, line)
            line.on_wake = process.relay.wake
            process.relay.watch(CHANNEL)
            nursery.start_soon(process.relay.run)
        for act, pause in acts:
            if act in processes:
                processes[act].commit(CHANNEL)
            elif act == "dead":
                log.commit(CHANNEL)
            elif act == "log":
                log.up = not log.up
            elif act == "flush":
                shared.lose_all()
            else:
                shared.lines[0].up = act == "mend"
            await trio.sleep(pause)
        log.up = shared.lines[0].up = True
        await trio.sleep(E3_SECONDS)
        head = log.head(CHANNEL)
        assert [p.subscribers.head(CHANNEL) for p in processes.values()] == [head, head]
        assert log.batches == {}
        if head:
            seqs = await window(shared) or []
            assert seqs in ([], list(range(seqs[0] if seqs else 0, head + 1)))
        nursery.cancel_scope.cancel()
