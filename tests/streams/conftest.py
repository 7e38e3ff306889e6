"""Redis streams of as many processes as a test wants, on a server that it may ill-treat."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import trio
from redis import Redis

from pxbox.jobs import open_residents
from pxbox.streams.redis import RedisStreams
from tests.servers import DisposableServers
from tests.suites.streams import PATIENCE_SECONDS, Side, Wakes

EPOCH = "epoch-1"

OpenSide = Callable[[str], Awaitable[Side]]
"""(url): streams there, available."""


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a state holds that nobody announces."""
    with trio.fail_after(PATIENCE_SECONDS):
        while not condition():
            await trio.sleep(0.005)


async def until_available(side: Side) -> None:
    await eventually(lambda: side.streams.available)


async def until_unavailable(side: Side) -> None:
    await eventually(lambda: not side.streams.available)


@contextmanager
def client(url: str) -> Iterator[Redis]:
    """A client to look and to do harm with."""
    with Redis.from_url(url) as redis:
        yield redis


@asynccontextmanager
async def opening() -> AsyncIterator[OpenSide]:
    async with open_residents() as residents:
        opened: list[RedisStreams] = []

        async def open_one(url: str) -> Side:
            streams, wakes = RedisStreams(url, EPOCH), Wakes()
            streams.open(residents, wakes.note)
            opened.append(streams)
            side = Side(streams, wakes, tells_to_look=True)
            await until_available(side)
            return side

        yield open_one
        for streams in opened:
            await streams.aclose()


@pytest.fixture
async def open_side() -> AsyncIterator[OpenSide]:
    async with opening() as open_one:
        yield open_one


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DisposableServers]:
    """A Valkey of the test's own, running; its PostgreSQL is not started."""
    servers = DisposableServers(tmp_path_factory.mktemp("valkey"))
    try:
        servers.start_valkey()
        yield servers
    finally:
        servers.close()
