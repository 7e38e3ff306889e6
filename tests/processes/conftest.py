"""Two brokers on servers that the tests of this folder kill, freeze, stop and start."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

import psutil
import pytest

from tests.brokers import Broker, Brokers, Socket
from tests.processes.people import People
from tests.servers import DisposableServers


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
def shaken(shaken_always: Shaken) -> Iterator[Shaken]:
    """Two brokers on servers that this test may shake: both are mended afterwards."""
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
