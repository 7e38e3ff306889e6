"""A proxy between the journal and Postgres that cuts connections in the middle of a flush."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import parse_qs, unquote, urlsplit

import trio

_CHUNK = 65536
_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError)


class Cut(Enum):
    """Where a flush loses its connection."""

    BEFORE = auto()
    """Before any of it has reached the server."""
    AFTER = auto()
    """After the server has answered, which nobody hears."""


class Proxy:
    """Passes everything on, but for the flushes that `cuts` names, the next one first.

    A flush is an execution of the statement that calls `px_commit`. `on_cut` is called right
    before the client hears of a cut. While not `accepting`, new connections are closed at once.
    """

    def __init__(self, socket_path: str) -> None:
        self.cuts: list[Cut] = []
        self.accepting = True
        self.connections = 0
        self.on_cut: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self._socket_path = socket_path

    async def serve(self, client: trio.SocketStream) -> None:
        self.connections += 1
        if not self.accepting:
            await trio.aclose_forcefully(client)
            return
        server = await trio.open_unix_socket(self._socket_path)
        try:
            async with trio.open_nursery() as nursery:
                link = _Link(self, client, server, nursery.cancel_scope)
                nursery.start_soon(link.forward)
                nursery.start_soon(link.back)
        finally:
            client.socket.close()
            server.socket.close()


@dataclass
class _Link:
    proxy: Proxy
    client: trio.SocketStream
    server: trio.SocketStream
    scope: trio.CancelScope
    deaf: bool = False
    flush: bytes | None = None

    async def forward(self) -> None:
        with suppress(*_BROKEN):
            while chunk := bytes(await self.client.receive_some(_CHUNK)):
                if self._flushes(chunk) and self.proxy.cuts:
                    self.deaf = self.proxy.cuts.pop(0) is Cut.AFTER
                    if not self.deaf:
                        await self.proxy.on_cut()
                        break
                await self.server.send_all(chunk)
        self.scope.cancel()

    def _flushes(self, chunk: bytes) -> bool:
        """A Bind message, by the name that a Parse message has given to the call."""
        if chunk.startswith(b"P") and b"px_commit" in chunk:
            self.flush = chunk[5 : chunk.index(b"\0", 5)]
        return chunk.startswith(b"B") and self.flush is not None and self.flush in chunk[:64]

    async def back(self) -> None:
        with suppress(*_BROKEN):
            while chunk := await self.server.receive_some(_CHUNK):
                if self.deaf:
                    await self.proxy.on_cut()
                    break
                await self.client.send_all(chunk)
        self.scope.cancel()


@asynccontextmanager
async def open_proxy(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy to the database at `url`, which is behind a Unix socket, and its own URL."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    path = f"{unquote(query['host'][0])}/.s.PGSQL.{query['port'][0]}"
    proxy = Proxy(path)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            lambda task_status: trio.serve_tcp(
                proxy.serve, 0, host="127.0.0.1", task_status=task_status
            )
        )
        port = listeners[0].socket.getsockname()[1]
        yield proxy, f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?sslmode=disable"
        nursery.cancel_scope.cancel()
