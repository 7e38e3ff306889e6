"""The HTTP host: hypercorn's HTTP/1.1 protocol and the ASGI app behind it.

Only the protocol is hypercorn's. Its TCP server is not used: it spawns a task per request to
watch for idleness, lets exceptions reach the server, and would see WebSockets and HTTP/2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Event
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import (
    AppWrapper,
    ASGIFramework,
    ASGIReceiveEvent,
    ASGISendEvent,
    ConnectionState,
    Scope,
)

from pxbox.tcp import Wire

OnError = Callable[[str, BaseException], None]
"""Called with the peer, as host:port, and what went wrong on its connection; must not raise."""

_NO_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class HttpHost:
    """What ordinary requests are answered by: an ASGI app for trio (Quart-Trio).

    `carries_payload(method, target)` says whether a request's body may be a large one, and
    `carries_file(method, target)` whether it is a file, which the app takes in as it comes.

    The app gets no lifespan events: start and stop what it needs around the edge.
    """

    app: ASGIFramework
    on_error: OnError
    carries_payload: Callable[[bytes, bytes], bool] = lambda method, target: False
    carries_file: Callable[[bytes, bytes], bool] = lambda method, target: False

    def open(
        self, wire: Wire, nursery: trio.Nursery, send: Callable[[Event], Awaitable[None]]
    ) -> H11Protocol:
        """hypercorn's side of one connection; the app's tasks run in `nursery`."""
        return H11Protocol(
            ASGIWrapper(self.app),
            _CONFIG,
            WorkerContext(None),
            _AppTasks(nursery, self.on_error, f"{wire.peer[0]}:{wire.peer[1]}"),
            ConnectionState({}),
            False,  # TLS ends at a proxy
            wire.peer,
            wire.local,
            send,
        )


def announce_close(protocol: H11Protocol) -> None:
    """Have the responses that have not begun yet carry `Connection: close`."""
    protocol.keep_alive_requests = _NO_LIMIT


def _config() -> Config:
    config = Config()
    config.keep_alive_max_requests = _NO_LIMIT
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    # The edge has judged the head by its own limit; this one is never to be the stricter.
    config.h11_max_incomplete_size = 1 << 20
    return config


_CONFIG = _config()


class _AppTasks:
    """hypercorn's task group, over the connection's own nursery."""

    def __init__(self, nursery: trio.Nursery, on_error: OnError, peer: str) -> None:
        self._nursery = nursery
        self._on_error = on_error
        self._peer = peer

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        to_app, events = trio.open_memory_channel[ASGIReceiveEvent](config.max_app_queue_size)
        self._nursery.start_soon(self._run, app, scope, events, send)

        async def put(event: ASGIReceiveEvent) -> None:
            if event["type"] == "http.disconnect":
                # The app itself comes here, when it answers before all of a body came: what it did
                # not take still fills the channel, and it would wait for itself.
                to_app.close()
                return
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await to_app.send(event)

        return put

    async def _run(
        self,
        app: AppWrapper,
        scope: Scope,
        events: trio.MemoryReceiveChannel[ASGIReceiveEvent],
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> None:
        async def receive() -> ASGIReceiveEvent:
            try:
                return await events.receive()
            except trio.EndOfChannel:
                return {"type": "http.disconnect"}

        try:
            with events:
                await app(scope, receive, send, trio.to_thread.run_sync, trio.from_thread.run)
        except Exception as error:
            self._on_error(self._peer, error)
        await send(None)

    def spawn(self, func: Callable[..., Awaitable[Any]], *args: Any) -> None:
        self._nursery.start_soon(func, *args)

    async def __aenter__(self) -> _AppTasks:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None
