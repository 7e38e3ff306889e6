"""Two brokers on servers that the tests of this folder kill, freeze, stop and start."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial

import httpx
import psutil
import pytest

from tests.brokers import NO_TLS, REPLY_SECONDS, Broker, Brokers, Socket
from tests.inspection import eventually
from tests.processes.people import People
from tests.servers import DisposableServers

READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Shaken:
    """Two brokers, and the servers that they depend on."""

    servers: DisposableServers
    brokers: Brokers
    two: tuple[Broker, Broker]

    def mend(self) -> None:
        """Have both servers run as if nothing had been."""
        # Who is frozen is alive: it is let go on. Who is dead is started.
        with suppress(psutil.NoSuchProcess, AssertionError):
            self.servers.thaw_postgres()
            self.servers.thaw_valkey()
        self.servers.start_postgres()
        self.servers.start_valkey()

    async def ready(self, seconds: float) -> None:
        """Both brokers say within so many seconds that they are ready."""
        with httpx.Client(verify=NO_TLS, timeout=REPLY_SECONDS) as client:
            for broker in self.two:
                ask = partial(client.get, f"{broker.url}/readyz")
                await eventually(lambda ask=ask: ask().is_success, "it is ready", seconds)  # type: ignore[misc]


@pytest.fixture(scope="package")
def shaken_always(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shaken]:
    servers = DisposableServers(tmp_path_factory.mktemp("shaken"))
    try:
        servers.start_postgres()
        servers.start_valkey()
        directory = tmp_path_factory.mktemp("shaken-brokers")
        brokers = Brokers(servers.database_url, servers.redis_url, directory)
        try:
            yield Shaken(servers, brokers, (brokers(), brokers()))
        finally:
            brokers.close()
    finally:
        servers.remove()


@pytest.fixture
async def shaken(shaken_always: Shaken) -> AsyncIterator[Shaken]:
    """Two brokers on servers that this test may shake: both are mended afterwards."""
    await shaken_always.ready(READY_SECONDS)
    try:
        yield shaken_always
    finally:
        shaken_always.mend()
        assert all(broker.running for broker in shaken_always.two)


@dataclass(slots=True)
class Watched:
    """People with one member, whose requests are watched at both brokers."""

    people: People
    member: str
    sockets: list[Socket] = field(default_factory=list)

    def seqs(self) -> list[list[int]]:
        """The numbers of the events that each socket was sent, in their order."""
        return [[event["seq"] for event in socket.events] for socket in self.sockets]


@pytest.fixture
async def watched(shaken: Shaken) -> AsyncIterator[Watched]:
    people = People()
    await people.enter(shaken.two[0], 1)
    async with AsyncExitStack() as stack:
        watched = Watched(people, people.members[0][0])
        for broker in shaken.two:
            opening = broker.websocket(broker.token(people.asker))
            socket = await stack.enter_async_context(opening)
            await socket.subscribe(people.channel)
            watched.sockets.append(socket)
        yield watched
