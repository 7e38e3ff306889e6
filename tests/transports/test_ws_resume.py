"""WebSocket: resumes of any length, acknowledgements that are kept, the last events, batches
(E5, E8, E10)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import msgspec
import pytest
import trio

from tests.brokers import Broker, Brokers
from tests.contract.documents import example_bytes
from tests.postgres.sessions import run_asyncio
from tests.transports.clients import CheckedSocket, Party, connected, unique
from tests.transports.raw import RawSocket, raw_socket
from tests.transports.test_ws_channels import many, on_wire

Make = Callable[..., Party]

MANY = 100_000
# Some 12 MB: more than the kernel keeps for a reader that reads nothing.
SEVERAL = 20_000
SEQ = re.compile(rb'"type":"event","channel":"[^"]*","seq":(\d+),')


async def seed(url: str, channel: str, count: int, floor: int = 0) -> None:
    """Log `count` events on a channel, the hot windows not knowing of them."""
    example = msgspec.json.decode(example_bytes("valid", "EventFrame", "claimed"))
    data = msgspec.json.encode(example["data"]).decode()

    await execute(
        url,
        "insert into event (channel, seq, id, data) "
        "select $1, n, n::text, $4::text::json from generate_series($3::int + 1, $2) as n",
        channel, count, floor, data,
    )  # fmt: skip
    await execute(
        url, "insert into channel (name, head, floor) values ($1, $2, $3)", channel, count, floor
    )


async def trim(url: str, channel: str, floor: int) -> None:
    """Remove a channel's events up to a number, as retention does."""
    await execute(url, "delete from event where channel = $1 and seq <= $2", channel, floor)
    await execute(url, "update channel set floor = $2 where name = $1", channel, floor)


async def execute(url: str, statement: str, *arguments: object) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()

    await trio.to_thread.run_sync(run_asyncio, run)


async def epoch_of(party: Party) -> str:
    async with party.socket() as socket:
        return str((await socket.subscribe(f"requestor:{party.sub}"))["epoch"])


async def outbox_bytes(party: Party) -> int:
    page = (await party.rest.get("/metrics")).text
    found = re.search(r"^pxbox_outbox_bytes (\S+)$", page, re.MULTILINE)
    assert found is not None, page
    return int(float(found[1]))


async def events_of(socket: RawSocket, count: int) -> tuple[list[int], int]:
    """The numbers of the next `count` events, and the greatest number in one message."""
    seqs: list[int] = []
    most = 0
    while len(seqs) < count:
        found = [int(seq) for seq in SEQ.findall(await socket.message())]
        most = max(most, len(found))
        seqs += found
    return seqs, most


@pytest.mark.parametrize("query", ["", "?batch=true"], ids=["one by one", "in batches"])
async def test_a_hundred_thousand_events_reach_a_slow_reader_whole(
    module_brokers: Brokers, module_broker: Broker, query: str
) -> None:
    """It is never closed as slow, and nobody's memory is filled with what waits for it."""
    broker = module_broker
    me = Party(broker, unique("me"))
    channel = f"requestor:{me.sub}"
    await seed(module_brokers.database_url, channel, MANY)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(me.rest)
        epoch = await epoch_of(me)
        slow = await stack.enter_async_context(raw_socket(broker, me.token, query, 8192))
        other = await stack.enter_async_context(me.socket())
        await slow.send(type="resume", id="r", channel=channel, since=0, epoch=epoch)
        assert (await slow.json())["data"] == {"recovered": True, "from": 1, "to": MANY}
        # It reads nothing until the broker has filled what there is to be filled.
        with trio.fail_after(30):
            while not await outbox_bytes(me):
                await trio.sleep(0)
        seqs, _ = await events_of(slow, 1_000)
        assert await outbox_bytes(me) < 512 * 1024
        # Others are served meanwhile, the same channel included.
        await other.subscribe(channel)
        assert on_wire(other, channel) == ["subscribed"]
        entity = await me.entity("user")
        await me.ask(entity["id"])
        await other.until(lambda: other.seqs(channel) == [MANY + 1])
        slow.read_quickly()
        more, most = await events_of(slow, MANY + 1 - len(seqs))
    assert seqs + more == list(range(1, MANY + 2))
    assert (most > 1) is bool(query)


async def test_many_resumes_at_once_share_what_waits_for_one_reader(
    module_brokers: Brokers, module_broker: Broker
) -> None:
    """More than a slow reader may have waiting, several times over."""
    broker = module_broker
    me = Party(broker, unique("me"))
    names = [f"requestor:{unique('r')}" for _ in range(40)]
    for name in names:
        await seed(module_brokers.database_url, name, 1_000)
    async with me.rest, raw_socket(broker, me.token, receive_buffer_bytes=8192) as slow:
        epoch = await epoch_of(me)
        for name in names:
            await slow.send(type="resume", id=name, channel=name, since=0, epoch=epoch)
        with trio.fail_after(30):
            while not await outbox_bytes(me):
                await trio.sleep(0)
        assert await outbox_bytes(me) < 512 * 1024
        slow.read_quickly()
        seqs, _ = await events_of(slow, 40 * 1_000)
    assert sorted(seqs) == sorted([*range(1, 1_001)] * 40)


async def test_a_resume_that_retention_overtakes_says_so_and_goes_on_live(
    module_brokers: Brokers, module_broker: Broker
) -> None:
    me = Party(module_broker, unique("me"))
    channel = f"requestor:{me.sub}"
    await seed(module_brokers.database_url, channel, SEVERAL)
    async with me.rest, raw_socket(module_broker, me.token, receive_buffer_bytes=8192) as slow:
        epoch = await epoch_of(me)
        await slow.send(type="resume", id="r", channel=channel, since=0, epoch=epoch)
        with trio.fail_after(30):
            while not await outbox_bytes(me):
                await trio.sleep(0)
        await trim(module_brokers.database_url, channel, SEVERAL - 10)
        frames = [await slow.json()]
        while frames[-1]["type"] == "event" or len(frames) == 1:
            frames.append(await slow.json())
        entity = await me.entity("user")
        await me.ask(entity["id"])
        live = await slow.json()
    assert [one["seq"] for one in frames[1:-1]] == list(range(1, len(frames) - 1))
    assert len(frames) < SEVERAL
    assert (frames[-1]["type"], frames[-1]["id"]) == ("recovered", "r")
    assert frames[-1]["data"] == {"recovered": False, "reason": "trimmed", "to": SEVERAL}
    assert live["seq"] == SEVERAL + 1


async def test_a_broker_with_a_resume_under_way_that_nobody_reads_ends_at_once(
    brokers: Brokers,
) -> None:
    """A client that stops reading cannot delay shutdown (E10, A6)."""
    broker = brokers("--grace-seconds", "3600")
    me = Party(broker, unique("me"))
    channel = f"requestor:{me.sub}"
    await seed(brokers.database_url, channel, SEVERAL)
    async with me.rest, raw_socket(broker, me.token, receive_buffer_bytes=8192) as slow:
        epoch = await epoch_of(me)
        await slow.send(type="resume", id="r", channel=channel, since=0, epoch=epoch)
        with trio.fail_after(30):
            while not await outbox_bytes(me):
                await trio.sleep(0)
        assert await trio.to_thread.run_sync(broker.stop) == 0


def named(party: Party, session: str) -> Any:
    return connected(party.broker, party.token, path=f"/v1/ws?session={session}")


async def resume(socket: CheckedSocket, channel: str) -> dict[str, Any]:
    return await socket.ask(type="resume", channel=channel)


async def test_what_was_acknowledged_under_a_name_is_gone_on_from(asker: Party, ana: Party) -> None:
    name = ana.channel
    await many(asker, ana, 5)
    async with named(ana, "desk") as socket:
        told = await resume(socket, name)
        # Nothing was acknowledged yet: it begins with the first.
        assert told["data"] == {"recovered": True, "from": 1, "to": 5}
        await socket.until(lambda: socket.seqs(name) == [1, 2, 3, 4, 5])
        for seq in (2, 3, 1):
            await socket.send({"type": "ack", "channel": name, "seq": seq})
        await socket.ask(type="ping")
    for session, first in (("desk", 4), ("other", 1)):
        async with named(ana, session) as socket:
            told = await resume(socket, name)
            assert told["data"] == {"recovered": True, "from": first, "to": 5}
            await socket.until(lambda: socket.seqs(name)[-1:] == [5])


async def test_without_a_name_it_lives_as_long_as_the_connection(asker: Party, ana: Party) -> None:
    name = ana.channel
    await many(asker, ana, 3)
    async with ana.socket() as socket:
        assert (await resume(socket, name))["data"]["from"] == 1
        await socket.until(lambda: socket.seqs(name) == [1, 2, 3])
        await socket.send({"type": "ack", "channel": name, "seq": 2})
        await socket.ask(type="unsubscribe", channel=name)
        assert (await resume(socket, name))["data"]["from"] == 3
    async with ana.socket() as socket:
        assert (await resume(socket, name))["data"]["from"] == 1


async def test_an_acknowledgement_outlives_a_broker_that_is_stopped(brokers: Brokers) -> None:
    first = brokers()
    me = Party(first, unique("me"))
    channel = f"requestor:{me.sub}"
    await seed(brokers.database_url, channel, 10)
    async with me.rest, named(me, "desk") as socket:
        await resume(socket, channel)
        await socket.until(lambda: len(socket.seqs(channel)) == 10)
        await socket.send({"type": "ack", "channel": channel, "seq": 7})
        await socket.ask(type="ping")
        assert await trio.to_thread.run_sync(first.stop) == 0
    again = Party(brokers(), me.sub)
    async with again.rest, named(again, "desk") as socket:
        assert (await resume(socket, channel))["data"] == {"recovered": True, "from": 8, "to": 10}


async def test_more_than_was_sent_cannot_be_acknowledged_under_a_name(
    asker: Party, ana: Party
) -> None:
    await many(asker, ana, 2)
    async with named(ana, "eager") as socket:
        await resume(socket, ana.channel)
        await socket.until(lambda: socket.seqs(ana.channel) == [1, 2])
        reply = await socket.ask(type="ack", channel=ana.channel, seq=3)
        assert reply["data"]["code"] == "invalid_ack"
    async with named(ana, "eager") as socket:
        assert (await resume(socket, ana.channel))["data"]["from"] == 1


@pytest.mark.parametrize(("last", "floor", "first"), [(3, 0, 8), (100, 0, 1), (9, 4, 5)])
async def test_the_last_events_come_first(
    module_brokers: Brokers, module_broker: Broker, last: int, floor: int, first: int
) -> None:
    me = Party(module_broker, unique("me"))
    channel = f"requestor:{me.sub}"
    await seed(module_brokers.database_url, channel, 10, floor)
    async with me.rest, me.socket() as socket:
        told = await socket.ask(type="subscribe", channel=channel, data={"last": last})
        assert (told["seq"], told["data"]) == (10, {"from": first})
        entity = await me.entity("user")
        await me.ask(entity["id"])
        await socket.until(lambda: socket.seqs(channel)[-1:] == [11])
        assert on_wire(socket, channel) == ["subscribed", *range(first, 12)]


async def test_the_last_of_nothing_is_nothing(ana: Party) -> None:
    async with ana.socket() as socket:
        told = await socket.ask(type="subscribe", channel=ana.channel, data={"last": 10})
        assert (told["seq"], told["data"]) == (0, {"from": 1})
        for data in ({"last": 0}, {"last": 1001}, {}, {"last": 1, "first": 1}):
            reply = await socket.ask(type="subscribe", channel=ana.channel, data=data)
            assert reply["data"]["code"] == "invalid_request"


async def test_a_resume_below_the_floor_is_trimmed(
    module_brokers: Brokers, module_broker: Broker
) -> None:
    me = Party(module_broker, unique("me"))
    channel = f"requestor:{me.sub}"
    await seed(module_brokers.database_url, channel, 10, 4)
    async with me.rest:
        epoch = await epoch_of(me)
        for since, told in (
            (3, {"recovered": False, "reason": "trimmed", "to": 10}),
            (4, {"recovered": True, "from": 5, "to": 10}),
        ):
            async with me.socket() as socket:
                assert (await socket.resume(channel, since, epoch))["data"] == told
                await socket.ask(type="ping")
        async with named(me, "late") as socket:
            assert (await resume(socket, channel))["data"]["reason"] == "trimmed"


async def test_who_is_behind_and_announced_it_gets_several_events_in_a_message(
    shared_broker: Broker, asker: Party, ana: Party
) -> None:
    async with (
        raw_socket(shared_broker, ana.token, "?batch=true") as batching,
        raw_socket(shared_broker, ana.token) as plain,
    ):
        for socket in (batching, plain):
            await socket.send(type="subscribe", id="s", channel=ana.channel)
            await socket.json()
        await many(asker, ana, 1_000)
        for socket in (batching, plain):
            seqs, most = await events_of(socket, 1_000)
            assert seqs == list(range(1, 1_001))
            if socket is plain:
                assert most == 1
