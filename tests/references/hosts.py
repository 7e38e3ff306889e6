"""Hosts for tests: servers on this machine that can be as bad as wanted."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import trio

Stream = trio.abc.Stream
Answer = Callable[[Stream], Awaitable[None]]

BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError)


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str) -> bytes:
    return http(b"", f"Location: {location}", status="302 Found")


class Host:
    """A server on loopback. `pages` has what it says by path: JSON, bytes as they are, or a
    function; what it was asked is in `heads`."""

    def __init__(self) -> None:
        self.pages: dict[str, object] = {}
        self.heads: list[bytes] = []
        self.port = 0

    @property
    def asked(self) -> list[str]:
        return [head.split(b" ")[1].decode() for head in self.heads]

    def url(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def answer(self, stream: Stream) -> None:
        with suppress(*BROKEN):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                data = await stream.receive_some(65_536)
                if not data:
                    return
                head += data
            self.heads.append(head)
            page = self.pages.get(self.asked[-1])
            if callable(page):
                await page(stream)
            elif isinstance(page, bytes):
                await stream.send_all(page)
            elif page is None:
                await stream.send_all(http(b"", status="404 Not Found"))
            else:
                await stream.send_all(http(json.dumps(page).encode()))
        await stream.aclose()


@asynccontextmanager
async def open_host(tls: ssl.SSLContext | None = None) -> AsyncIterator[Host]:
    host = Host()
    listeners: list[trio.abc.Listener[Stream]] = []
    for one in await trio.open_tcp_listeners(0, host="127.0.0.1"):
        host.port = one.socket.getsockname()[1]
        secured = trio.SSLListener(one, tls, https_compatible=True) if tls else one
        listeners.append(secured)

    async def answer(stream: Stream) -> None:
        with suppress(*BROKEN, ssl.SSLError):
            await host.answer(stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, answer, listeners)
        yield host
        nursery.cancel_scope.cancel()
