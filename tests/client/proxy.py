"""A way to the broker that can be cut, slowed, silenced, or closed to WebSockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketAttribute, SocketStream

_CHUNK = 65536
_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)
_UPGRADE = b"upgrade: websocket"


class Upgrades(Enum):
    """What becomes of WebSocket handshakes."""

    PASS = auto()
    FORBIDDEN = auto()
    """Answered by a page of the proxy's own, as a company's gateway does."""
    SWALLOWED = auto()
    """Never answered."""


@dataclass
class Proxy:
    """`target` may change: later connections go there. `answers` are given instead of passing the
    next connections on, one each. `lose_reply_to` is text of a client's: what is answered to it is
    lost, with the connection. While `silent`, nothing is passed on and nothing is closed."""

    target: str
    url: str = ""
    upgrades: Upgrades = Upgrades.PASS
    accepting: bool = True
    delay_seconds: float = 0.0
    answers: list[bytes] = field(default_factory=list)
    lose_reply_to: bytes | None = None
    times: list[float] = field(default_factory=list)
    _links: set[anyio.CancelScope] = field(default_factory=set)
    _loud: anyio.Event = field(default_factory=anyio.Event)

    _news: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self._loud.set()

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self.times)

    async def wait_connections(self, number: int) -> None:
        """Return once there have been so many."""
        while self.connections < number:
            await self._news.wait()

    def cut(self) -> None:
        """Break every connection that there is."""
        for link in list(self._links):
            link.cancel()

    def silence(self) -> None:
        """From now on everything is swallowed, until `cut`."""
        self._loud = anyio.Event()

    def resound(self) -> None:
        """New connections are passed on again."""
        self._loud.set()

    async def serve(self, client: SocketStream) -> None:
        self.times.append(anyio.current_time())
        self._news.set()
        self._news = anyio.Event()
        async with client:
            with suppress(*_BROKEN), anyio.CancelScope() as scope:
                self._links.add(scope)
                try:
                    await self._serve(client)
                finally:
                    self._links.discard(scope)

    async def _serve(self, client: SocketStream) -> None:
        if not self.accepting:
            return
        first = await client.receive(_CHUNK)
        if self.answers:
            await client.send(self.answers.pop(0))
            return
        if _UPGRADE in first.lower():
            if self.upgrades is Upgrades.SWALLOWED:
                await anyio.sleep_forever()
            if self.upgrades is Upgrades.FORBIDDEN:
                page = b"<h1>Not here</h1>"
                head = b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\ncontent-length: %d"
                await client.send(head % len(page) + b"\r\nconnection: close\r\n\r\n" + page)
                return
        where = urlsplit(self.target)
        async with await anyio.connect_tcp(where.hostname or "", where.port or 0) as server:
            await _Link(self, client, server).run(first)


@dataclass
class _Link:
    proxy: Proxy
    client: SocketStream
    server: SocketStream
    deaf: bool = False

    async def run(self, first: bytes) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._back, group.cancel_scope)
            with suppress(*_BROKEN):
                chunk = first
                while True:
                    await self._pass(chunk)
                    lost = self.proxy.lose_reply_to
                    if lost is not None and lost in _unmasked(chunk):
                        self.proxy.lose_reply_to = None
                        self.deaf = True
                    await self.server.send(chunk)
                    chunk = await self.client.receive(_CHUNK)
            group.cancel_scope.cancel()

    async def _back(self, scope: anyio.CancelScope) -> None:
        with suppress(*_BROKEN):
            while True:
                chunk = await self.server.receive(_CHUNK)
                if self.deaf:
                    break
                await self._pass(chunk)
                await self.client.send(chunk)
        scope.cancel()

    async def _pass(self, chunk: bytes) -> None:
        await self.proxy._loud.wait()
        if self.proxy.delay_seconds:
            await anyio.sleep(self.proxy.delay_seconds)


def _unmasked(chunk: bytes) -> bytes:
    """A client's WebSocket frame as text, if it is a short one of its own; else as it is."""
    length = chunk[1] & 127 if len(chunk) > 1 else 0
    start = {126: 4, 127: 10}.get(length, 2)
    mask, masked = chunk[start : start + 4], chunk[start + 4 :]
    return chunk if len(mask) < 4 else bytes(b ^ mask[n % 4] for n, b in enumerate(masked)) + chunk


@asynccontextmanager
async def open_proxy(target: str) -> AsyncIterator[Proxy]:
    """A proxy to the broker at this URL, on a port of its own."""
    proxy = Proxy(target)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra_attributes[SocketAttribute.local_port]()
    async with listener, anyio.create_task_group() as group:
        proxy.url = f"http://127.0.0.1:{port}"
        group.start_soon(listener.serve, proxy.serve)
        try:
            yield proxy
        finally:
            group.cancel_scope.cancel()
