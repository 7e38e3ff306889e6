"""Watching channels through the service: who may, and joining without gap or repeat (X2, E5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
import pytest
import trio

from pxbox.model.channel import Several
from pxbox.model.errors import NotFound, PxError
from pxbox.model.ids import new_uuid
from pxbox.ports import Entry
from pxbox.service.channels import Trimmed
from pxbox.service.pages import Page
from pxbox.service.watching import require_may_watch
from tests.postgres.sessions import run_asyncio
from tests.service.brokers import ROME, Broker, Client, unique


async def may_watch(client: Client, channel: str) -> bool:
    try:
        await require_may_watch(client.parts, client.principal, channel)
    except NotFound:
        return False
    return True


async def test_a_channel_is_watched_by_whom_it_concerns(broker: Broker) -> None:
    ada, bob, eve = [await broker.user() for _ in range(3)]
    team = await broker.group(ada, bob)
    asker = unique("asker")
    id = (await broker.asker(asker).ask(team))["id"]
    callers = {
        "asker": broker.asker(asker),
        "another asker": broker.asker(unique("asker")),
        "ada": broker.responder(ada),
        "eve": broker.responder(eve),
        "the asker as responder": broker.client(asker, "respond"),
        "admin": broker.admin(),
        "operator": broker.client("o", "operate", "override", "flow", "audit"),
    }
    allowed = {
        f"request:{id}": {"asker", "ada", "admin"},
        f"requestor:{asker}": {"asker", "admin"},
        f"entity:{team}": {"ada", "admin"},
        f"entity:{ada}": {"ada", "admin"},
        f"entity:{eve}": {"eve", "admin"},
        "request:01ARZ3NDEKTSV4RRFFQ69G5FAV": set(),
        f"entity:{new_uuid()}": set(),
        "entity:": set(),
        "request:": set(),
        "requestor:": set(),
        "work:kind": set(),
        "": set(),
        ":": set(),
        f"entity:{ada}\0": set(),
    }
    for channel, names in allowed.items():
        found = {name for name, client in callers.items() if await may_watch(client, channel)}
        assert found == names, channel


class Reader:
    """Keeps the numbers that it is given, live or while it catches up."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    def put_several(self, channel: str, entries: list[Entry], several: Several) -> None:
        for entry, encoded in zip(entries, several.encoded, strict=True):
            self.put(channel, entry, encoded)

    def put(self, channel: str, entry: Entry, encoded: bytes) -> None:
        self.seqs.append(entry.seq)

    async def take(self, read: Callable[[], Awaitable[Page]]) -> Page:
        page = await read()
        self.seqs.extend(range(page.first, page.last + 1))
        return page


async def busy(broker: Broker, team: str, people: list[str], over: trio.Event) -> int:
    """Have things happen on the team's channel until it is over; how many requests that were."""
    made = 0
    while not over.is_set():
        id = (await broker.asker().ask(team))["id"]
        made += 1
        for person in people:
            with suppress(PxError):
                await broker.responder(person).call("claimRequest", id=id)
        await broker.responder(people[0]).call("postResponse", id=id, payload=ROME)
    return made


async def test_readers_that_come_and_go_get_every_number_once(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user()
    team = await broker.group(ada, bob)
    channel, channels = f"entity:{team}", broker.parts.channels
    over = trio.Event()
    complete = Reader()
    assert await channels.catch_up(channel, 0, 0, complete) == 0

    async def visit(number: int) -> None:
        for _ in range(10):
            reader, since = Reader(), max(0, len(complete.seqs) - number)
            await channels.catch_up(channel, since, len(complete.seqs), reader)
            until = len(complete.seqs) + 2
            while len(complete.seqs) < until:
                await trio.lowlevel.checkpoint()
            await channels.leave(channel, reader)
            assert reader.seqs == list(range(since + 1, since + 1 + len(reader.seqs)))
            assert reader.seqs[-1] >= until

    async with trio.open_nursery() as nursery:
        nursery.start_soon(busy, broker, team, [ada, bob], over)
        async with trio.open_nursery() as visitors:
            for number in range(8):
                visitors.start_soon(visit, number * 5)
        over.set()
    events = await broker.events(channel)
    async with channels.news(channel):
        # Whoever joins after the last one brings the others up to it.
        assert complete.seqs == list(range(1, len(events) + 1))
    await channels.leave(channel, complete)
    assert channels.watched() == []


async def test_a_reader_that_is_cancelled_while_joining_leaves_nothing(broker: Broker) -> None:
    team = await broker.group()
    channel, channels = f"entity:{team}", broker.parts.channels
    for number in range(5):
        reader = Reader()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(channels.join, channel, reader)
                for _ in range(number):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        await channels.leave(channel, reader)
        await broker.asker().ask(team)
        assert reader.seqs == []
        assert channels.watched() == []


async def test_a_waiter_is_woken_by_what_happens_after_it_came(broker: Broker) -> None:
    ada = await broker.user()
    id = (await broker.asker().ask(ada))["id"]
    async with broker.parts.channels.news(f"request:{id}") as came:
        assert not came.is_set()
        await broker.responder(ada).call("claimRequest", id=id)
        await came.wait()


async def test_a_position_is_judged_by_what_the_log_holds(broker: Broker) -> None:
    ada = await broker.user()
    channel, channels = f"entity:{ada}", broker.parts.channels
    await broker.asker().ask(ada)
    for since, epoch, reason in [
        (0, channels.epoch.name, None),
        (1, channels.epoch.name, None),
        (2, channels.epoch.name, "future"),
        (1, new_uuid(), "epoch"),
    ]:
        plan = await channels.plan(channel, since, epoch)
        assert (plan.reason, plan.to) == (reason, 1)
        assert plan.start == (since if reason is None else 1)


async def test_only_those_who_watch_here_are_told(broker: Broker) -> None:
    """A channel that nobody watches has no actor (A5)."""
    ada = await broker.user()
    await broker.asker().ask(ada)
    assert broker.core.system.stats()["channel"].resident == 0
    reader = Reader()
    assert await broker.parts.channels.join(f"entity:{ada}", reader) == 1
    await broker.asker().ask(ada)
    assert broker.core.system.stats()["channel"].resident == 1
    await broker.parts.channels.leave(f"entity:{ada}", reader)
    assert reader.seqs == [2]
    assert broker.core.system.stats()["channel"].resident == 0


@pytest.mark.parametrize("removed", [3, 5])
async def test_what_retention_has_removed_is_not_skipped_over(
    brokers: tuple[Broker, Broker], shared_database_url: str, removed: int
) -> None:
    """By a broker that has it in no hot window either."""
    one, other = brokers
    ada = await one.user()
    channel = f"entity:{ada}"
    for _ in range(5):
        await one.asker().ask(ada)

    async def trim() -> None:
        connection = await asyncpg.connect(shared_database_url)
        try:
            await connection.execute(
                "delete from event where channel = $1 and seq <= $2", channel, removed
            )
            await connection.execute(
                "update channel set floor = $2 where name = $1", channel, removed
            )
        finally:
            await connection.close()

    await trio.to_thread.run_sync(run_asyncio, trim)
    plan = await other.parts.channels.plan(channel, removed - 1, other.parts.channels.epoch.name)
    assert plan.reason == "trimmed"
    reader = Reader()
    # As when it happens right after a position was found good.
    with trio.fail_after(5), pytest.raises(Trimmed):
        await other.parts.channels.catch_up(channel, 1, 5, reader)
    assert reader.seqs == []
