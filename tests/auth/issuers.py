"""Issuers for tests: servers of a key set, that can be as bad as wanted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import trio

Answer = Callable[[trio.SocketStream], Awaitable[None]]


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def key_set(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


def saying(response: bytes) -> Answer:
    """The same to everybody."""

    async def answer(stream: trio.SocketStream) -> None:
        await stream.send_all(response)

    return answer


class Issuer:
    """A server on this machine. `answer` may be changed at any time; `asked` counts requests."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked = 0
        self.port = 0
        self._news = trio.Event()
        self._running = trio.CancelScope()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys"

    async def until(self, asked: int) -> None:
        """Wait until so many requests have come."""
        while self.asked < asked:
            await self._news.wait()

    def die(self) -> None:
        """Listen no more; who is connected is cut off."""
        self._running.cancel()

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until it dies; again, on the same port, when called again."""
        with trio.CancelScope() as self._running:
            listeners = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
            self.port = listeners[0].socket.getsockname()[1]
            task_status.started()
            await trio.serve_listeners(self._one, listeners)

    async def _one(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while await _request(stream):
                self.asked += 1
                self._news.set()
                self._news = trio.Event()
                await self.answer(stream)


async def _request(stream: trio.SocketStream) -> bool:
    """Read one request, whose body is empty; False where none comes any more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = await stream.receive_some()
        if not data:
            return False
        head += data
    return True


@asynccontextmanager
async def issuing(answer: Answer) -> AsyncIterator[tuple[Issuer, trio.Nursery]]:
    """An issuer that serves, and a nursery that ends with the block."""
    async with trio.open_nursery() as nursery:
        issuer = Issuer(answer)
        await nursery.start(issuer.serve)
        yield issuer, nursery
        nursery.cancel_scope.cancel()
