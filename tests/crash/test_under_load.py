"""A broker is killed again and again in the middle of a load that another one shares."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import httpx
import msgspec
import trio

from tests.brokers import NO_TLS, REPLY_SECONDS, Broker, Brokers
from tests.crash.launching import Launcher
from tests.crash.load import (
    Caller,
    Follower,
    RestCaller,
    Slot,
    SocketCaller,
    Told,
    Worker,
    token_of,
)
from tests.inspection import Database, assert_sound

KILLS = 4
WORKERS = 4
# The replies between a broker's start and its end.
LIFE = (30, 90)


async def test_nothing_that_was_acknowledged_is_lost_and_subscribers_see_each_event_once(
    brokers: Brokers, launcher: Launcher, database: Database
) -> None:
    steady = brokers()
    victim = Slot((await trio.to_thread.run_sync(launcher, brokers))[0])
    slots, told, token = [Slot(steady), victim], Told(), token_of(steady)
    channels = ["requestor:ada", f"entity:{await make_desk(steady, token)}"]
    epoch = database.value("select epoch from installation")
    followers = [Follower(slot, token("boss"), epoch, channels) for slot in slots]
    async with trio.open_nursery() as nursery:
        for follower in followers:
            nursery.start_soon(follower.run)
        await work(slots, told, token, partial(kill_repeatedly, victim, told, brokers, launcher))
        heads = await trio.to_thread.run_sync(database.heads)
        for follower in followers:
            await follower.reach(heads)
        nursery.cancel_scope.cancel()
    print(f"{told.count} replies, {told.repeats} repeats, {Counter(told.refusals)}")
    assert followers[1].connections > 1
    for follower in followers:
        for channel in channels:
            assert follower.seqs(channel) == list(range(1, heads[channel] + 1))
    assert_as_told(told, database)
    await assert_sound(brokers, database)


async def make_desk(broker: Broker, token: Callable[[str], str]) -> str:
    """Have a group of two made, and return its id."""
    async with broker.rest(token("boss")) as client:
        for kind, handle in (("user", "ben"), ("user", "cid"), ("group", "desk")):
            made = await client.post("/v1/entities", json={"kind": kind, "handle": handle})
        desk: str = made.json()["id"]
        for member in ("ben", "cid"):
            assert (await client.put(f"/v1/entities/{desk}/members/{member}")).is_success
    return desk


async def work(
    slots: list[Slot],
    told: Told,
    token: Callable[[str], str],
    trouble: Callable[[], Awaitable[None]],
) -> None:
    """Load the slots, over REST and WebSocket, for as long as the trouble lasts."""
    stopping = trio.Event()
    with httpx.Client(timeout=REPLY_SECONDS, verify=NO_TLS) as client:
        async with trio.open_nursery() as sockets:
            async with trio.open_nursery() as nursery:
                for number in range(WORKERS):
                    rest, socket = RestCaller(slots, client), SocketCaller(slots, sockets)
                    caller: Caller = rest if number % 2 else socket
                    nursery.start_soon(Worker(caller, told, token, stopping).run)
                await trouble()
                stopping.set()
            sockets.cancel_scope.cancel()


async def kill_repeatedly(slot: Slot, told: Told, brokers: Brokers, launcher: Launcher) -> None:
    for _ in range(KILLS):
        await told.more(random.randint(*LIFE))
        await trio.to_thread.run_sync(slot.broker.kill)
        slot.broker, _ = await trio.to_thread.run_sync(launcher, brokers)
    await told.more(LIFE[0])


def assert_as_told(told: Told, database: Database) -> None:
    """What was acknowledged is there, and each request has one outcome."""
    assert told.created == {row["id"] for row in database.fetch("select id from request")}
    logged = Counter(
        (row["request"], row["type"])
        for row in database.fetch(
            "select data ->> 'requestId' as request, data ->> 'type' as type from event"
            " where channel like 'request:%'"
        )
    )
    answers = {row["request_id"]: row for row in database.fetch("select * from response")}
    for id in told.created:
        assert logged[id, "request.created"] == 1
        assert logged[id, "request.answered"] == 1
        replies = told.answered[id]
        assert {reply["id"] for reply in replies} == {answers[id]["id"]}
        assert {reply["payload"] for reply in replies} == {
            msgspec.json.decode(answers[id]["payload"])
        }
        assert logged[id, "request.claimed"] == len(told.claimed.get(id, []))
