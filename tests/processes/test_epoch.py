"""E4: each sign that the database may have lost something, and what is no such sign."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import redis
import trio

from tests.brokers import PXBOX, Socket
from tests.inspection import Database, eventually, open_database
from tests.processes.conftest import Shaken, Watched
from tests.processes.people import People
from tests.servers import DEADLINE_SECONDS

TOLD_SECONDS = 5.0
EPOCH_CHANGED = 4005
LOSE = """
with lost as (delete from event where channel = $1 and seq > $2),
     gone as (delete from unrelayed)
update channel set head = $2 where name = $1
"""

LOOKS = """
select pid, query_start from pg_stat_activity
 where datname = current_database() and query like '%as same_database%' and pid <> pg_backend_pid()
   and query_start > $1
"""


@pytest.fixture
def database(shaken: Shaken) -> Iterator[Database]:
    with open_database(shaken.servers.database_url) as opened:
        yield opened


def epoch_of(database: Database) -> str:
    epoch: str = database.value("select epoch from installation")
    return epoch


async def everybody_is_told(watched: Watched, database: Database, before: str) -> None:
    """Both brokers' clients hear of the new epoch, and are sent to connect again, in time."""
    with trio.fail_after(TOLD_SECONDS):
        for socket in watched.sockets:
            await socket.closed.wait()
    now = epoch_of(database)
    assert now != before
    for socket in watched.sockets:
        assert socket.close_code == EPOCH_CHANGED
        notices = [frame["data"] for frame in socket.others if frame["type"] == "notice"]
        assert notices == [{"code": "epoch_changed", "epoch": now}]


async def has_begun(shaken: Shaken, people: People, epoch: str) -> None:
    """Both brokers are in this epoch: who is told of another one is soon sent to connect again."""
    with trio.fail_after(TOLD_SECONDS):
        for broker in shaken.two:
            while True:
                async with broker.websocket(broker.token(people.asker)) as socket:
                    if (await socket.subscribe(people.channel))["epoch"] == epoch:
                        break
                    await socket.closed.wait()


async def all_begin_anew(shaken: Shaken, people: People, before: str, database: Database) -> None:
    """At both brokers: an old position is refused as such, and what follows arrives by the log's
    numbers, in the new epoch."""
    channel, now = people.channel, epoch_of(database)
    await has_begun(shaken, people, now)
    head = database.value("select head from channel where name = $1", channel)
    async with trio.open_nursery() as nursery:

        async def follow(number: int) -> None:
            broker = shaken.two[number]
            async with broker.websocket(broker.token(people.asker)) as socket:
                told = await socket.resume(channel, 1, before)
                assert told["data"] == {"recovered": False, "reason": "epoch", "to": head}
                joined[number].set()
                await socket.until(lambda: len(socket.events) == 2)
                assert [event["seq"] for event in socket.events] == [head + 1, head + 2]
                assert {event["epoch"] for event in socket.events} == {now}

        joined = [trio.Event(), trio.Event()]
        for number in range(2):
            nursery.start_soon(follow, number)
        for event in joined:
            await event.wait()
        for broker in shaken.two:
            await people.ask(broker)
    assert database.unsound_channels() == []


async def make(shaken: Shaken, watched: Watched, count: int) -> None:
    """Requests at both brokers, whose events everybody gets."""
    for number in range(count):
        await watched.people.ask(shaken.two[number % 2])
    for socket in watched.sockets:
        await socket.until(partial(has, socket, count))


def has(socket: Socket, count: int) -> bool:
    return len(socket.events) >= count


async def test_restore_done_is_told_to_everybody(
    shaken: Shaken, watched: Watched, database: Database
) -> None:
    await make(shaken, watched, 3)
    before = epoch_of(database)
    command = [*PXBOX, "restore-done", "--database-url", shaken.servers.database_url]
    done = await trio.to_thread.run_sync(
        lambda: subprocess.run(command, capture_output=True, text=True, check=True)
    )
    assert done.stdout == f"{epoch_of(database)}\n"
    await everybody_is_told(watched, database, before)
    await all_begin_anew(shaken, watched.people, before, database)


@pytest.mark.parametrize("column", ["system_identifier", "database_oid"])
async def test_another_database_under_running_brokers_is_noticed(
    shaken: Shaken, watched: Watched, database: Database, column: str
) -> None:
    await make(shaken, watched, 2)
    before = epoch_of(database)
    database.execute(f"update installation set {column} = '4711'")
    await everybody_is_told(watched, database, before)
    await all_begin_anew(shaken, watched.people, before, database)


async def test_a_redis_that_is_ahead_is_noticed_by_the_next_event(
    shaken: Shaken, watched: Watched, database: Database
) -> None:
    """As after an old dump was restored in place."""
    await make(shaken, watched, 5)
    before = epoch_of(database)
    await windows_reach(shaken, watched.people.channel, before, 5)
    lose(database, watched.people.channel, 2)
    await watched.people.ask(shaken.two[0])
    await everybody_is_told(watched, database, before)
    await all_begin_anew(shaken, watched.people, before, database)


async def test_a_redis_that_is_ahead_is_noticed_by_who_reads_it(
    shaken: Shaken, database: Database
) -> None:
    people = People()
    await people.enter(shaken.two[0], 0)
    for _ in range(5):
        await people.ask(shaken.two[0])
    before = epoch_of(database)
    await windows_reach(shaken, people.channel, before, 5)
    lose(database, people.channel, 3)
    there = shaken.two[1]
    async with there.websocket(there.token(people.asker)) as socket:
        await socket.resume(people.channel, 1, before)
        with trio.fail_after(TOLD_SECONDS):
            await socket.closed.wait()
        assert socket.close_code == EPOCH_CHANGED
    await all_begin_anew(shaken, people, before, database)


async def test_a_client_that_is_ahead_is_believed_where_nobody_else_can_know(
    shaken: Shaken, database: Database
) -> None:
    """As after a restore in place with Redis emptied, and the brokers stopped meanwhile."""
    people = People()
    await people.enter(shaken.two[0], 0)
    for _ in range(5):
        await people.ask(shaken.two[0])
    before = epoch_of(database)
    lose(database, people.channel, 3)
    empty(shaken)
    here = shaken.two[0]
    async with here.websocket(here.token(people.asker)) as socket:
        database.execute("update installation set epoch_since = now() - interval '10 minutes'")
        told = await socket.resume(people.channel, 5, before)
        assert told["data"] == {"recovered": False, "reason": "future", "to": 3}
    database.execute("update installation set epoch_since = now() - interval '2 hours'")
    async with here.websocket(here.token(people.asker)) as socket:
        told = await socket.resume(people.channel, 5, before)
        assert told["data"] == {"recovered": False, "reason": "epoch", "to": 3}
        assert told["epoch"] == epoch_of(database) != before
    await all_begin_anew(shaken, people, before, database)


def another_installations(shaken: Shaken, channel: str, epoch: str) -> None:
    """A window of the same channel in another epoch, far ahead; and its wake."""
    with redis.Redis.from_url(shaken.servers.redis_url) as client:
        client.xadd(f"px:{{{channel}}}:another", {"d": "{}"}, id="900-0")
        client.publish(f"px:wake:{{{channel}}}:another", "900")


def older_replica(shaken: Shaken, channel: str, epoch: str) -> None:
    """The window as it was a few events ago."""
    with redis.Redis.from_url(shaken.servers.redis_url) as client:
        client.delete(f"px:{{{channel}}}:{epoch}")
        client.xadd(f"px:{{{channel}}}:{epoch}", {"d": _first(shaken, channel)}, id="1-0")


def _first(shaken: Shaken, channel: str) -> str:
    with open_database(shaken.servers.database_url) as database:
        text: str = database.value(
            "select data::text from event where channel = $1 and seq = 1", channel
        )
    return text


def empty(shaken: Shaken, channel: str = "", epoch: str = "") -> None:
    with redis.Redis.from_url(shaken.servers.redis_url, socket_timeout=DEADLINE_SECONDS) as client:
        client.flushall()


@pytest.mark.parametrize("happens", [another_installations, older_replica, empty])
async def test_what_redis_has_lost_or_of_others_changes_no_epoch_and_no_number(
    shaken: Shaken,
    watched: Watched,
    database: Database,
    happens: Callable[[Shaken, str, str], None],
) -> None:
    await make(shaken, watched, 3)
    before = epoch_of(database)
    await windows_reach(shaken, watched.people.channel, before, 3)
    await trio.to_thread.run_sync(happens, shaken, watched.people.channel, before)
    await make(shaken, watched, 6 - 3)
    for socket in watched.sockets:
        await socket.until(partial(has, socket, 6))
    assert watched.seqs() == [[1, 2, 3, 4, 5, 6]] * 2
    here = shaken.two[0]
    async with here.websocket(here.token(watched.people.asker)) as late:
        await late.resume(watched.people.channel, 0, before)
        await late.until(lambda: len(late.events) == 6)
        assert [event["seq"] for event in late.events] == [1, 2, 3, 4, 5, 6]
    await two_looks(database)
    assert epoch_of(database) == before


async def two_looks(database: Database) -> None:
    """Both brokers look at the epoch, and once more."""
    started = database.value("select clock_timestamp()")
    looks: set[tuple[int, object]] = set()

    def looked_twice() -> bool:
        looks.update((row["pid"], row["query_start"]) for row in database.fetch(LOOKS, started))
        return len(looks) >= 4

    await eventually(looked_twice, "both have looked twice")


def lose(database: Database, channel: str, head: int) -> None:
    """Have the database be as it was when the channel had come to `head`."""
    database.fetch(LOSE, channel, head)


async def windows_reach(shaken: Shaken, channel: str, epoch: str, head: int) -> None:
    with redis.Redis.from_url(shaken.servers.redis_url) as client:
        await eventually(
            lambda: (
                client.xrevrange(f"px:{{{channel}}}:{epoch}", count=1)
                and client.xrevrange(f"px:{{{channel}}}:{epoch}", count=1)[0][0] == b"%d-0" % head
            ),
            "the window is full",
        )
