"""The nemesis: breaks one thing after another, at random, and mends it again."""

from __future__ import annotations

import random
import signal
from collections.abc import Awaitable, Callable
from functools import partial

import redis
import trio

from tests.jepsen.world import Node, World
from tests.servers import DEADLINE_SECONDS

Fault = Callable[[World], Awaitable[None]]

in_thread = trio.to_thread.run_sync
PAUSE_SECONDS = (0.1, 0.8)


async def break_things(world: World, faults: int, note: Callable[[str], None]) -> None:
    """Have so many faults happen, one after another. All is mended when this returns."""
    # Each at least once in a while: a shuffled deck, not dice.
    deck: list[Fault] = []
    for _ in range(faults):
        if not deck:
            deck = random.sample(FAULTS, len(FAULTS))
        fault = deck.pop()
        note(fault.__name__)
        await fault(world)
        await trio.sleep(random.uniform(*PAUSE_SECONDS))


def some(world: World) -> Node:
    return random.choice(world.nodes)


async def kill_a_broker(world: World) -> None:
    node = some(world)
    await in_thread(node.process.kill)
    await world.start_again(node)


async def freeze_a_broker(world: World) -> None:
    node = some(world)
    node.process.process.send_signal(signal.SIGSTOP)
    await trio.sleep(random.uniform(0.3, 2.0))
    node.process.process.send_signal(signal.SIGCONT)


async def cut_connections(world: World) -> None:
    for node in random.sample(world.nodes, 2):
        node.proxy.cut()


async def delay_a_broker(world: World) -> None:
    proxy = some(world).proxy
    proxy.delay_seconds = random.uniform(0.02, 0.2)
    await trio.sleep(1.0)
    proxy.flow()


async def stall_a_broker(world: World) -> None:
    proxy = some(world).proxy
    proxy.stall()
    await trio.sleep(random.uniform(0.3, 1.0))
    if random.random() < 0.5:
        proxy.cut()
    proxy.flow()


async def empty_redis(world: World) -> None:
    await in_thread(partial(_redis, world, "FLUSHALL"))


async def evict_from_redis(world: World) -> None:
    """A few keys of any kind go, as under a full memory."""

    def evict() -> None:
        with redis.Redis.from_url(
            world.servers.redis_url, socket_timeout=DEADLINE_SECONDS
        ) as client:
            for _ in range(10):
                key = client.randomkey()
                if key is not None:
                    client.delete(key)

    await in_thread(evict)


async def kill_redis(world: World) -> None:
    await in_thread(world.servers.kill_valkey)
    await trio.sleep(random.uniform(0.0, 0.5))
    await in_thread(world.servers.start_valkey)


async def freeze_redis(world: World) -> None:
    await in_thread(world.servers.freeze_valkey)
    await trio.sleep(random.uniform(0.5, 2.5))
    await in_thread(world.servers.thaw_valkey)


async def fail_over_to_an_older_redis(world: World) -> None:
    """What it held a while ago is back, as on a replica that had lagged."""
    await in_thread(partial(_redis, world, "SAVE"))
    await trio.sleep(random.uniform(0.3, 1.0))
    await in_thread(world.servers.kill_valkey)
    await in_thread(world.servers.start_valkey)
    (world.servers.data_dir.valkey / "dump.rdb").unlink()


async def kill_postgres(world: World) -> None:
    await in_thread(world.servers.kill_postgres)
    await in_thread(world.servers.start_postgres)


async def restart_postgres(world: World) -> None:
    await in_thread(world.servers.stop_postgres)
    await in_thread(world.servers.start_postgres)


async def freeze_postgres(world: World) -> None:
    await in_thread(world.servers.freeze_postgres)
    await trio.sleep(random.uniform(0.3, 1.5))
    await in_thread(world.servers.thaw_postgres)


def _redis(world: World, command: str) -> None:
    with redis.Redis.from_url(world.servers.redis_url, socket_timeout=DEADLINE_SECONDS) as client:
        client.execute_command(command)


FAULTS: list[Fault] = [
    kill_a_broker,
    freeze_a_broker,
    cut_connections,
    delay_a_broker,
    stall_a_broker,
    empty_redis,
    evict_from_redis,
    kill_redis,
    freeze_redis,
    fail_over_to_an_older_redis,
    kill_postgres,
    restart_postgres,
    freeze_postgres,
]
