"""What happens to Redis hangs nobody: calls fail in bounded time, and it is taken up again (E3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio

from pxbox.jobs import open_residents
from pxbox.ports import Append, StreamsUnavailable
from pxbox.streams.pipeliner import QUEUE_BOUND
from pxbox.streams.redis import RedisStreams
from tests.servers import DisposableServers
from tests.streams.conftest import (
    EPOCH,
    OpenSide,
    client,
    eventually,
    until_available,
    until_unavailable,
)
from tests.suites.streams import PATIENCE_SECONDS, Side, Wakes, a_channel, append, entries

# A call is given up after 2 s, and its connection with it.
BOUND_SECONDS = 4.0

Act = Callable[[Side, str], Awaitable[object]]
ACTS: list[Act] = [
    lambda side, channel: append(side.streams, channel, 4, 4),
    lambda side, channel: side.streams.reseed(Append(channel, entries(9, 9))),
    lambda side, channel: side.streams.read(channel, 0, 10),
]


async def refused(side: Side, channel: str, act: Act) -> None:
    with trio.fail_after(BOUND_SECONDS), pytest.raises(StreamsUnavailable):
        await act(side, channel)


@pytest.fixture
async def side(valkey: DisposableServers, open_side: OpenSide) -> Side:
    return await open_side(valkey.redis_url)


@pytest.fixture
async def channel(side: Side) -> str:
    """A watched channel whose window holds 1 to 3."""
    channel = a_channel()
    await side.watch(channel)
    await append(side.streams, channel, 1, 3)
    await side.wakes.until(channel, 3)
    side.wakes.told.clear()
    return channel


async def in_thread(act: Callable[[], None]) -> None:
    await trio.to_thread.run_sync(act)


async def test_killed_and_started_again_it_is_empty_and_taken_up(
    side: Side, channel: str, valkey: DisposableServers
) -> None:
    await in_thread(valkey.kill_valkey)
    await until_unavailable(side)
    assert isinstance(side.streams, RedisStreams)
    assert side.streams.trouble
    for act in ACTS:
        await refused(side, channel, act)
    await in_thread(valkey.start_valkey)
    await until_available(side)
    # Whoever watches is told to look, and is woken as before.
    await side.wakes.until(channel, 0)
    assert await side.streams.read(channel, 0, 10) is None
    assert await append(side.streams, channel, 7, 8) is None
    await side.wakes.until(channel, 8)


async def test_killed_under_load_every_caller_gets_an_answer(
    side: Side, channel: str, valkey: DisposableServers
) -> None:
    refusals = 0

    async def keep_appending(own: str) -> None:
        nonlocal refusals
        for seq in range(1, 10_000):
            try:
                await append(side.streams, own, seq, seq)
            except StreamsUnavailable:
                refusals += 1
                return

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(keep_appending, a_channel())
            await in_thread(valkey.kill_valkey)
    assert refusals == 100


@pytest.mark.parametrize("act", ACTS)
async def test_frozen_it_is_given_up_in_bounded_time_and_taken_up_when_thawed(
    side: Side, channel: str, valkey: DisposableServers, act: Act
) -> None:
    valkey.freeze_valkey()
    await refused(side, channel, act)
    assert not side.streams.available
    valkey.thaw_valkey()
    await until_available(side)
    # It may also have done by now what it was asked when it froze.
    await side.streams.reseed(Append(channel, entries(20, 21)))
    await side.wakes.until(channel, 21)


async def test_frozen_with_nothing_to_do_it_is_noticed_all_the_same(
    side: Side, channel: str, valkey: DisposableServers
) -> None:
    valkey.freeze_valkey()
    with trio.fail_after(BOUND_SECONDS):
        await until_unavailable(side)
    valkey.thaw_valkey()
    await until_available(side)
    await side.wakes.until(channel, 0)


async def test_frozen_before_it_was_ever_reached_it_is_taken_up_when_thawed(
    valkey: DisposableServers,
) -> None:
    valkey.freeze_valkey()
    async with open_residents() as residents:
        streams = RedisStreams(valkey.redis_url, EPOCH)
        streams.open(residents, Wakes().note)
        await eventually(lambda: "yet" not in (streams.trouble or "yet"))
        valkey.thaw_valkey()
        await eventually(lambda: streams.available)
        await streams.aclose()


async def test_frozen_it_delays_closing_by_no_more_than_a_call(
    side: Side, channel: str, valkey: DisposableServers
) -> None:
    valkey.freeze_valkey()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(refused, side, channel, ACTS[0])
        await trio.testing.wait_all_tasks_blocked()
        assert isinstance(side.streams, RedisStreams)
        with trio.fail_after(BOUND_SECONDS):
            await side.streams.aclose()


async def test_a_full_queue_refuses_at_once_and_empties_in_bounded_time(
    side: Side, channel: str, valkey: DisposableServers
) -> None:
    valkey.freeze_valkey()
    at_once = ended = 0
    frozen_at = trio.current_time()

    async def one() -> None:
        nonlocal at_once, ended
        with pytest.raises(StreamsUnavailable) as refusal:
            await append(side.streams, channel, 4, 4)
        at_once += "too many" in str(refusal.value)
        ended += 1

    callers = QUEUE_BOUND + 1_000
    async with trio.open_nursery() as nursery:
        for _ in range(callers):
            nursery.start_soon(one)
    assert ended == callers
    assert at_once >= 500
    assert trio.current_time() - frozen_at < BOUND_SECONDS + 2


async def test_emptied_its_windows_are_seeded_anew(
    side: Side, channel: str, valkey: DisposableServers
) -> None:
    with client(valkey.redis_url) as redis:
        redis.flushall()
    assert await side.streams.read(channel, 0, 10) is None
    assert await append(side.streams, channel, 7, 8) is None
    await side.wakes.until(channel, 8)
    assert await side.streams.read(channel, 6, 10) == list(entries(7, 8))


async def test_without_its_script_it_is_given_it_again(
    side: Side, channel: str, valkey: DisposableServers
) -> None:
    with client(valkey.redis_url) as redis:
        redis.script_flush()
    others = [a_channel() for _ in range(3)]
    appends = [Append(name, entries(1, 2)) for name in [channel, *others]]
    assert await side.streams.append(appends) == [3, 2, 2, 2]
    with client(valkey.redis_url) as redis:
        redis.script_flush()
    await side.streams.reseed(Append(channel, entries(2, 4)))
    assert side.streams.available
    assert await side.streams.read(channel, 0, 10) == list(entries(1, 4))


async def test_without_memory_it_changes_nothing_and_stays_unavailable(
    side: Side, channel: str, valkey: DisposableServers
) -> None:
    with client(valkey.redis_url) as redis:
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", 1)
        for act in (ACTS[0], ACTS[1]):
            await refused(side, channel, act)
        for _ in range(20):
            # Connecting anew does not make it useful: its writes are tried first.
            await trio.sleep(0.01)
            assert not side.streams.available
        redis.config_set("maxmemory", 0)
    await until_available(side)
    assert await side.streams.read(channel, 0, 10) == list(entries(1, 3))
    assert await append(side.streams, channel, 4, 4) is None


async def test_as_a_replica_it_is_of_no_use(
    side: Side, channel: str, valkey: DisposableServers
) -> None:
    with client(valkey.redis_url) as redis:
        redis.replicaof("127.0.0.1", 1)
        await refused(side, channel, ACTS[0])
        assert not side.streams.available
        redis.replicaof("NO", "ONE")
    await until_available(side)
    assert await append(side.streams, channel, 4, 4) is None


async def test_a_key_of_somebody_elses_fails_its_own_calls_only(
    side: Side, channel: str, valkey: DisposableServers
) -> None:
    taken = a_channel()
    with client(valkey.redis_url) as redis:
        redis.set(f"px:{{{taken}}}:{EPOCH}", "not a stream")
    outcomes: dict[str, object] = {}

    async def one(name: str) -> None:
        try:
            outcomes[name] = await append(side.streams, name, 4, 4)
        except StreamsUnavailable:
            outcomes[name] = "refused"

    async with trio.open_nursery() as nursery:
        for name in (channel, taken):
            nursery.start_soon(one, name)
    assert outcomes == {channel: None, taken: "refused"}
    await until_available(side)
    assert await side.streams.read(channel, 3, 10) == list(entries(4, 4))


@pytest.mark.parametrize(
    "greeting",
    [b"-LOADING Redis is loading\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$-7\r\n", b"", None],
)
async def test_a_peer_that_is_no_redis_is_a_trouble_and_no_more(greeting: bytes | None) -> None:
    tried = trio.Event()
    tries = 0

    async def serve(peer: trio.SocketStream) -> None:
        nonlocal tries
        tries += 1
        if greeting is None:
            await trio.sleep_forever()
        await peer.receive_some()
        await peer.send_all((greeting or b"") * 20)
        if tries > 6:
            tried.set()

    async def contained(peer: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await serve(peer)

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery, open_residents() as residents:
        nursery.start_soon(trio.serve_listeners, contained, [listener])
        streams = RedisStreams(f"redis://127.0.0.1:{port}", EPOCH)
        streams.open(residents, Wakes().note)
        await eventually(lambda: "yet" not in (streams.trouble or "yet"))
        if greeting is not None:
            await tried.wait()
        assert streams.trouble
        with trio.fail_after(BOUND_SECONDS), pytest.raises(StreamsUnavailable):
            await streams.read("c", 0, 1)
        await streams.aclose()
        nursery.cancel_scope.cancel()
