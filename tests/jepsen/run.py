"""One run: a load, watchers and a nemesis, then what all of them made of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from uuid import uuid4

import httpx
import trio

from tests.brokers import EVERYTHING, NO_TLS, REPLY_SECONDS
from tests.crash.load import Caller, RestCaller, Slot, SocketCaller
from tests.inspection import Database, eventually, open_database
from tests.jepsen.clients import Racer, Watcher
from tests.jepsen.faults import break_things
from tests.jepsen.history import Final, History, LoggedEvent, View
from tests.jepsen.world import World

RACERS = 4
WATCHERS = 6
# After the last fault: the load finishes what it has in hand, and watchers reach the heads.
SETTLE_SECONDS = 60.0
# Far above what a fault takes, a broker or PostgreSQL being started in it.
FAULT_SECONDS = 60.0


async def run(world: World, seed: int, faults: int) -> tuple[History, Final]:
    """Have so many faults happen under load; what was noted, and what there is."""
    random.seed(seed)
    history, name = History(), uuid4().hex[:8]
    tokens: dict[str, str] = {}

    def token(who: str) -> str:
        process = world.nodes[0].process
        return tokens.setdefault(who, process.token(who, EVERYTHING))

    with open_database(world.servers.database_url) as database:
        epoch = database.value("select epoch from installation")
    desk = await _make_desk(world, token, name)
    channels = [f"entity:{desk}", f"requestor:asker-{name}"]
    settled = trio.Event()
    async with trio.open_nursery() as nursery:
        for number in range(WATCHERS):
            views = [View(f"watcher {number}", channel) for channel in channels]
            history.views += views
            watcher = Watcher(world.nodes, token("boss"), epoch, views, settled)
            nursery.start_soon(watcher.run)
        with trio.fail_after(faults * FAULT_SECONDS + 2 * SETTLE_SECONDS):
            await _load(world, history, name, token, faults)
        settled.set()
        with open_database(world.servers.database_url) as database:
            final = await _final(database, history)
        await _reach(history, final)
        nursery.cancel_scope.cancel()
    return history, final


async def _make_desk(world: World, token: Callable[[str], str], name: str) -> str:
    """Have a group of two made, and return its id."""
    broker = world.nodes[0].process
    async with broker.rest(token("boss")) as client:

        async def made(kind: str, handle: str) -> str:
            reply = await client.post("/v1/entities", json={"kind": kind, "handle": handle})
            assert reply.status_code == 201, reply.text
            id: str = reply.json()["id"]
            return id

        desk = await made("group", f"desk-{name}")
        for number in range(2):
            member = await made("user", f"member-{number}-{name}")
            assert (await client.put(f"/v1/entities/{desk}/members/{member}")).is_success
    return desk


async def _load(
    world: World, history: History, name: str, token: Callable[[str], str], faults: int
) -> None:
    """Race, over REST and WebSocket, until the nemesis has done its work."""
    stopping = trio.Event()
    slots: list[Slot] = list(world.nodes)  # type: ignore[arg-type]  # found by `.broker` too
    with httpx.Client(timeout=REPLY_SECONDS, verify=NO_TLS) as client:
        async with trio.open_nursery() as sockets:
            async with trio.open_nursery() as nursery:
                for number in range(RACERS):
                    rest, socket = RestCaller(slots, client), SocketCaller(slots, sockets)
                    caller: Caller = rest if number % 2 else socket
                    racer = Racer(caller, history, name, f"asker-{name}", token, stopping)
                    nursery.start_soon(racer.run)
                await break_things(world, faults, history.faults.append)
                stopping.set()
            sockets.cancel_scope.cancel()


async def _final(database: Database, history: History) -> Final:
    """What there is, of the requests of this run."""
    (asker,) = {view.channel for view in history.views if view.channel.startswith("requestor:")}
    mine = asker.partition(":")[2]
    requests = database.fetch("select id, status from request where requestor = $1", mine)
    ids = [row["id"] for row in requests]
    answers = database.fetch(
        "select id, request_id from response where request_id = any($1::text[])", ids
    )
    channels = {f"request:{id}" for id in ids} | {view.channel for view in history.views}
    logs: dict[str, list[LoggedEvent]] = {channel: [] for channel in channels}
    for row in database.fetch(
        "select channel, seq, id, data ->> 'type' as type from event"
        " where channel = any($1::text[]) order by channel, seq",
        list(channels),
    ):
        logs[row["channel"]].append(LoggedEvent(row["seq"], row["id"], row["type"]))
    return Final(
        epoch=database.value("select epoch from installation"),
        statuses={row["id"]: row["status"] for row in requests},
        answers={row["request_id"]: row["id"] for row in answers},
        logs=logs,
    )


async def _reach(history: History, final: Final) -> None:
    """Wait until every watcher has come to the end; the checker says who has not."""

    def all_there() -> bool:
        return all(view.seen >= len(final.logs[view.channel]) for view in history.views)

    try:
        await eventually(all_there, "every watcher has come to the end", SETTLE_SECONDS)
    except AssertionError:
        return
