"""The relay on a real Valkey: whatever happens to that, events arrive, and the windows recover."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio

from pxbox.behaviors.relay import Pace
from pxbox.jobs import open_residents
from pxbox.streams.redis import RedisStreams
from tests.behaviors.relayed import CHANNEL, E3_SECONDS, MemoryLog, Process
from tests.servers import DisposableServers
from tests.streams.conftest import EPOCH, client, eventually
from tests.suites.streams import WINDOW

BRISK = Pace(forget=0.05, sweep=0.05, poll=0.1, glance=0.02)


class Brokers:
    """Two processes on one log and one Valkey."""

    def __init__(self, here: Process, there: Process) -> None:
        self.here, self.there = here, there
        self.log = here.log

    async def available(self) -> None:
        await eventually(lambda: all(p.streams.available for p in (self.here, self.there)))

    async def unavailable(self) -> None:
        await eventually(lambda: not any(p.streams.available for p in (self.here, self.there)))

    async def told(self, head: int) -> None:
        await self.here.subscribers.until(CHANNEL, head)
        await self.there.subscribers.until(CHANNEL, head)

    async def relayed(self) -> None:
        """Wait until nothing is left to relay; the window then reaches the head, without gap."""
        await eventually(lambda: not self.log.batches)
        head = self.log.head(CHANNEL)
        assert await self.here.streams.read(CHANNEL, head - 1, 1)
        for after in range(head):
            window = await self.there.streams.read(CHANNEL, after, WINDOW)
            if window is not None:
                assert window == self.log.above(CHANNEL, after)
                return


Begin = Callable[[Pace | None], Awaitable[Brokers]]


@pytest.fixture
async def begin(valkey: DisposableServers) -> AsyncIterator[Begin]:
    """A function that starts two processes at this pace (None: the product's)."""
    async with open_residents() as residents, trio.open_nursery() as nursery:

        async def start_both(pace: Pace | None) -> Brokers:
            log = MemoryLog(old_after=0.2 if pace else 1.0)
            brokers = Brokers(*[start(log, pace) for _ in range(2)])
            await brokers.available()
            return brokers

        def start(log: MemoryLog, pace: Pace | None) -> Process:
            streams = RedisStreams(valkey.redis_url, EPOCH)
            process = Process(log, streams, pace)
            streams.open(residents, process.relay.wake)
            process.relay.watch(CHANNEL)
            nursery.start_soon(process.relay.run)
            return process

        yield start_both
        nursery.cancel_scope.cancel()


async def in_thread(act: Callable[[], None]) -> None:
    await trio.to_thread.run_sync(act)


async def test_what_one_commits_the_other_is_told(begin: Begin) -> None:
    brokers = await begin(BRISK)
    for n in range(1, 50):
        (brokers.here if n % 3 else brokers.there).commit(CHANNEL, f"request:{n}")
        await brokers.told(n)
    await brokers.relayed()


async def test_both_at_once_leave_a_window_without_gaps(begin: Begin) -> None:
    brokers = await begin(BRISK)
    for _ in range(100):
        for process in (brokers.here, brokers.there):
            for _ in range(5):
                process.commit(CHANNEL)
        await trio.lowlevel.checkpoint()
    await brokers.told(1_000)
    await brokers.relayed()


async def test_what_a_dead_process_committed_is_swept(begin: Begin) -> None:
    brokers = await begin(BRISK)
    brokers.here.commit(CHANNEL)
    for _ in range(10):
        brokers.log.commit(CHANNEL)
    await brokers.told(11)
    await brokers.relayed()


async def test_killed_and_started_again(begin: Begin, valkey: DisposableServers) -> None:
    brokers = await begin(BRISK)
    brokers.here.commit(CHANNEL)
    await brokers.told(1)
    await in_thread(valkey.kill_valkey)
    for n in range(2, 20):
        brokers.here.commit(CHANNEL)
        await brokers.told(n)
    await brokers.unavailable()
    await in_thread(valkey.start_valkey)
    await brokers.available()
    for n in range(20, 30):
        brokers.there.commit(CHANNEL)
        await brokers.told(n)
    await brokers.relayed()


async def test_emptied(begin: Begin, valkey: DisposableServers) -> None:
    brokers = await begin(BRISK)
    for n in range(1, 10):
        brokers.here.commit(CHANNEL)
        with client(valkey.redis_url) as redis:
            redis.flushall()
        brokers.there.commit(CHANNEL)
        await brokers.told(2 * n)
    await brokers.relayed()


async def test_frozen_each_event_still_arrives_within_3_seconds(
    begin: Begin, valkey: DisposableServers
) -> None:
    brokers = await begin(None)
    brokers.here.commit(CHANNEL)
    await brokers.told(1)
    valkey.freeze_valkey()
    for n in range(2, 7):
        committed = trio.current_time()
        brokers.here.commit(CHANNEL)
        await brokers.told(n)
        assert trio.current_time() - committed < E3_SECONDS
    valkey.thaw_valkey()
    await brokers.available()
    await brokers.relayed()


async def test_without_memory(begin: Begin, valkey: DisposableServers) -> None:
    brokers = await begin(BRISK)
    brokers.here.commit(CHANNEL)
    await brokers.told(1)
    with client(valkey.redis_url) as redis:
        redis.config_set("maxmemory", 1)
        for n in range(2, 10):
            brokers.here.commit(CHANNEL)
            await brokers.told(n)
        redis.config_set("maxmemory", 0)
    await brokers.available()
    await brokers.relayed()
