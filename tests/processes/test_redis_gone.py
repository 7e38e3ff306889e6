"""Redis goes, loses everything or freezes under two brokers: nobody notices much (E2, E3)."""

from __future__ import annotations

import redis
import trio

from tests.inspection import Database, eventually, open_database, windows_behind
from tests.processes.conftest import Shaken, Watched
from tests.processes.people import Call, at_once
from tests.servers import DEADLINE_SECONDS

DELIVERED_SECONDS = 3.0
REPLIED_SECONDS = 5.0
"""Far less than a frozen Redis would hold up whoever waits for it."""


async def live_through(shaken: Shaken, watched: Watched) -> None:
    """A request is made, claimed and answered, at both brokers in turn: each call succeeds soon,
    and each event reaches the subscribers of both."""
    here, there = shaken.two
    asked = watched.people.question(here)
    (made,) = await told_of(asked, watched)
    path = f"/v1/requests/{made['id']}"
    await told_of(Call(there, watched.member, f"{path}/claim"), watched)
    await told_of(Call(here, watched.member, f"{path}/response", {"payload": 1}), watched)


async def told_of(call: Call, watched: Watched) -> list[dict[str, object]]:
    """Make a call, and have both sockets told of what it did, in time."""
    before = [len(socket.events) for socket in watched.sockets]
    started = trio.current_time()
    replies = await at_once([call])
    committed = trio.current_time()
    assert committed - started <= REPLIED_SECONDS
    assert [reply.is_success for reply in replies] == [True], replies[0].text
    for socket, count in zip(watched.sockets, before, strict=True):
        await socket.until(lambda socket=socket, count=count: len(socket.events) > count)  # type: ignore[misc]
        assert trio.current_time() - committed <= DELIVERED_SECONDS
    return [reply.json() for reply in replies]


def window_is_back(shaken: Shaken, watched: Watched, database: Database) -> bool:
    """The channel's window reaches its head, and no batch is waiting."""
    behind = windows_behind(database, shaken.servers.redis_url)
    waiting = database.value("select count(*) from unrelayed")
    return watched.people.channel not in behind and waiting == 0


async def assert_told_once(shaken: Shaken, watched: Watched, lives: int) -> None:
    """After so many requests: every window is back, and everybody was told everything once."""
    with open_database(shaken.servers.database_url) as database:
        await eventually(lambda: window_is_back(shaken, watched, database), "the window is back")
        assert database.unsound_channels() == []
        epoch = database.value("select epoch from installation")
    everything = list(range(1, 3 * lives + 1))
    assert watched.seqs() == [everything] * 2
    broker = shaken.two[1]
    async with broker.websocket(broker.token(watched.people.asker)) as late:
        await late.resume(watched.people.channel, 0, epoch)
        await late.until(lambda: len(late.events) >= len(everything))
        assert [event["seq"] for event in late.events] == everything


async def test_without_redis_commands_commit_and_events_arrive_and_windows_come_back(
    shaken: Shaken, watched: Watched
) -> None:
    await live_through(shaken, watched)
    await trio.to_thread.run_sync(shaken.servers.kill_valkey)
    await live_through(shaken, watched)
    await trio.to_thread.run_sync(shaken.servers.start_valkey)
    await assert_told_once(shaken, watched, lives=2)
    await live_through(shaken, watched)
    await assert_told_once(shaken, watched, lives=3)


async def test_a_redis_that_was_emptied_changes_no_number_and_doubles_nothing(
    shaken: Shaken, watched: Watched
) -> None:
    await live_through(shaken, watched)
    url = shaken.servers.redis_url
    with redis.Redis.from_url(url, socket_timeout=DEADLINE_SECONDS) as client:
        client.flushall()
    await live_through(shaken, watched)
    await assert_told_once(shaken, watched, lives=2)


async def test_a_frozen_redis_hangs_nobody(shaken: Shaken, watched: Watched) -> None:
    await live_through(shaken, watched)
    await trio.to_thread.run_sync(shaken.servers.freeze_valkey)
    await live_through(shaken, watched)
    here, _ = shaken.two
    async with here.websocket(here.token(watched.people.asker)) as late:
        with trio.fail_after(REPLIED_SECONDS):
            head = (await late.subscribe(watched.people.channel))["seq"]
    assert head == 6
    await trio.to_thread.run_sync(shaken.servers.thaw_valkey)
    await assert_told_once(shaken, watched, lives=2)
