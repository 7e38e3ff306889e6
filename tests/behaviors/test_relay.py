"""The relay brings every event to its subscribers, in every process that lives (E2, E3)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pxbox.behaviors import relay as module
from pxbox.behaviors.windows import in_runs
from pxbox.ports import Append, Entry
from tests.behaviors.relayed import Line, MemoryLog, Process, Shared

CHANNEL = "entity:x"
E3_SECONDS = 3.0

Start = Callable[[], Process]


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def shared() -> Shared:
    return Shared()


@pytest.fixture
def join(log: MemoryLog, shared: Shared) -> Start:
    """A function that makes a process with a line of its own; its relay does not run yet."""

    def make() -> Process:
        line = Line(shared)
        process = Process(log, line)
        line.on_wake = process.relay.wake
        return process

    return make


@pytest.fixture
def start(join: Start, nursery: trio.Nursery) -> Start:
    """A function that starts a process which watches the channel."""

    def begin() -> Process:
        process = join()
        process.relay.watch(CHANNEL)
        nursery.start_soon(process.relay.run)
        return process

    return begin


def line_of(process: Process) -> Line:
    assert isinstance(process.streams, Line)
    return process.streams


async def window(shared: Shared, channel: str = CHANNEL) -> list[int] | None:
    """The numbers in the window."""
    for after in range(5_000):
        entries = await shared.windows.read(channel, after, 2_000)
        if entries is not None:
            return [entry.seq for entry in entries]
    return None


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

    async def test_it_is_appended_and_other_processes_are_told_at_once(
        self, start: Start, shared: Shared, autojump_clock: trio.testing.MockClock
    ) -> None:
        here, there = start(), start()
        began = trio.current_time()
        here.commit(CHANNEL)
        await there.subscribers.until(CHANNEL, 1)
        assert trio.current_time() == began
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


class TestRuns:
    @given(
        st.dictionaries(
            st.sampled_from("abc"),
            st.sets(st.integers(1, 40), min_size=1).map(sorted),
            min_size=1,
        ),
        st.randoms(use_true_random=False),
    )
    def test_batches_in_any_order_become_runs_in_order(
        self, wanted: dict[str, list[int]], random: object
    ) -> None:
        singles = [
            Append(channel, (Entry(seq, b""),)) for channel, seqs in wanted.items() for seq in seqs
        ]
        random.shuffle(singles)  # type: ignore[attr-defined]
        runs = in_runs(singles)
        for channel, seqs in wanted.items():
            own = [[e.seq for e in run.entries] for run in runs if run.channel == channel]
            assert [seq for run in own for seq in run] == seqs
            assert all(run == list(range(run[0], run[-1] + 1)) for run in own)
            ends = list(pairwise(own))
            assert all(before[-1] + 1 < after[0] for before, after in ends)


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
