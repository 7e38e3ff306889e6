"""Three brokers behind a proxy each, on servers that may be broken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trio

from tests.brokers import Broker, Brokers, Socket
from tests.jepsen.proxy import Proxy, open_proxy
from tests.servers import DisposableServers
from tests.sockets import open_socket

BROKERS = 3


@dataclass(slots=True)
class Node:
    """A broker's place: found at the proxy's URL, whichever process serves there."""

    process: Broker
    proxy: Proxy

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.proxy.own_port}"

    @property
    def broker(self) -> Node:
        """What callers take for a broker (`tests.crash.load`)."""
        return self

    def websocket(self, token: str, patience: float) -> AbstractAsyncContextManager[Socket]:
        return open_socket(self.url, token, patience)


@dataclass(slots=True)
class World:
    servers: DisposableServers
    brokers: Brokers
    nodes: list[Node]

    async def start_again(self, node: Node) -> None:
        """Start a broker in the place of one that has ended."""
        node.process = await trio.to_thread.run_sync(self.brokers)
        node.proxy.port = port_of(node.process)


@asynccontextmanager
async def open_world(directory: Path) -> AsyncIterator[World]:
    """Servers and brokers of their own under a directory, ended with all they left."""
    servers = DisposableServers(directory / "servers")
    try:
        await trio.to_thread.run_sync(servers.start_postgres)
        await trio.to_thread.run_sync(servers.start_valkey)
        brokers = Brokers(servers.database_url, servers.redis_url, directory / "brokers")
        try:
            async with AsyncExitStack() as stack:
                async with trio.open_nursery() as nursery:
                    for _ in range(BROKERS):
                        nursery.start_soon(trio.to_thread.run_sync, brokers)
                nodes = []
                for process in brokers.started:
                    proxy = await stack.enter_async_context(open_proxy(port_of(process)))
                    nodes.append(Node(process, proxy))
                yield World(servers, brokers, nodes)
        finally:
            brokers.close()
    finally:
        await trio.to_thread.run_sync(servers.remove)


def port_of(broker: Broker) -> int:
    port = urlsplit(broker.url).port
    assert port is not None
    return port
