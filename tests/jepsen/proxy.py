"""A TCP proxy before a broker that cuts, delays and stalls what goes through it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

CHUNK = 65536
BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


class Proxy:
    """Passes connections on to `port`, which may change; `delay_seconds` is added to each chunk."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.delay_seconds = 0.0
        self.own_port = 0
        self._flowing = trio.Event()
        self._flowing.set()
        self._links: set[trio.CancelScope] = set()

    def cut(self) -> int:
        """End all connections at once; how many there were."""
        for scope in self._links:
            scope.cancel()
        return len(self._links)

    def stall(self) -> None:
        """Let nothing through, with the connections left as they are."""
        self._flowing = trio.Event()

    def flow(self) -> None:
        """Let everything through again, what was stalled first."""
        self.delay_seconds = 0.0
        self._flowing.set()

    async def serve(self, client: trio.SocketStream) -> None:
        """Serve one connection; nothing of it escapes."""
        try:
            server = await trio.open_tcp_stream("127.0.0.1", self.port)
        except OSError:
            await trio.aclose_forcefully(client)
            return
        with trio.CancelScope() as scope:
            self._links.add(scope)
            try:
                async with client, server, trio.open_nursery() as nursery:
                    nursery.start_soon(self._pump, client, server, scope)
                    nursery.start_soon(self._pump, server, client, scope)
            finally:
                self._links.discard(scope)

    async def _pump(
        self, source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope
    ) -> None:
        try:
            while chunk := await source.receive_some(CHUNK):
                await trio.sleep(self.delay_seconds)
                await self._flowing.wait()
                await sink.send_all(chunk)
        except BROKEN:
            pass
        scope.cancel()


@asynccontextmanager
async def open_proxy(port: int) -> AsyncIterator[Proxy]:
    """A proxy to this port of this machine, on a port of its own."""
    proxy = Proxy(port)
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(
            lambda task_status: trio.serve_tcp(
                proxy.serve, 0, host="127.0.0.1", task_status=task_status
            )
        )
        proxy.own_port = listener.socket.getsockname()[1]
        try:
            yield proxy
        finally:
            nursery.cancel_scope.cancel()
