"""A process of clients that all connect at once, and again when all are cut:
`python -m tests.processes.storm URL TOKEN CHANNEL COUNT`.

They heed `Retry-After`. It writes a line of JSON after each wave, then waits for a line: `again`
cuts every connection and begins the next wave; `event` waits until each has got one more frame.
"""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import struct
import sys
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import trio

_AT_ONCE = struct.pack("ii", 1, 0)
_RETRY = re.compile(rb"Retry-After: ([0-9]+)", re.IGNORECASE)


@dataclass
class Storm:
    """The clients of one broker. `refused`: how often one was told to come later; `cut`: how often
    a connection was lost before it was answered."""

    address: tuple[str, int]
    handshake: bytes
    subscribe: bytes
    refused: int = 0
    cut: int = 0
    slowest: float = 0.0
    clients: list[trio.SocketStream] = field(default_factory=list)

    async def wave(self, count: int) -> None:
        """Have so many clients connect at once, each until it is subscribed."""
        self.refused = self.cut = 0
        self.slowest = 0.0
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(self._enter)

    async def end(self) -> None:
        """Cut all connections, without a Close frame."""
        for stream in self.clients:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            stream.socket.close()
        self.clients.clear()

    async def told(self) -> None:
        """Return once every client has got another frame."""
        async with trio.open_nursery() as nursery:
            for stream in self.clients:
                nursery.start_soon(stream.receive_some)

    async def _enter(self) -> None:
        started = trio.current_time()
        while True:
            try:
                pause = await self._try()
            except (OSError, trio.BrokenResourceError):
                self.cut += 1
                pause = 1
            if pause is None:
                self.slowest = max(self.slowest, trio.current_time() - started)
                return
            await trio.sleep(pause)

    async def _try(self) -> int | None:
        """Connect and subscribe; None: done; else the seconds to wait before the next try."""
        stream = await trio.open_tcp_stream(*self.address)
        await stream.send_all(self.handshake)
        head = await _until(stream, b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            await stream.aclose()
            found = _RETRY.search(head)
            assert head.startswith(b"HTTP/1.1 503"), head
            assert found, head
            self.refused += 1
            return int(found[1])
        await stream.send_all(self.subscribe)
        await _until(stream, b'"op":"subscribed"')
        self.clients.append(stream)
        return None


async def _until(stream: trio.SocketStream, end: bytes) -> bytes:
    data = b""
    while end not in data:
        more = await stream.receive_some()
        if not more:
            raise trio.BrokenResourceError("the connection ended")
        data += more
    return data


def _masked(text: bytes) -> bytes:
    """A text frame of a client, with a mask of zeros."""
    assert 126 <= len(text) < 65_536
    return b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text


def _storm(url: str, token: str, channel: str) -> Storm:
    where = urlsplit(url)
    handshake = (
        f"GET /v1/ws HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    frame = json.dumps({"type": "subscribe", "id": "s" * 100, "channel": channel})
    return Storm((where.hostname or "", where.port or 0), handshake.encode(),
                 _masked(frame.encode()))  # fmt: skip


async def main(url: str, token: str, channel: str, count: int) -> None:
    storm = _storm(url, token, channel)
    orders = trio.lowlevel.FdStream(os.dup(0))
    order = b"again"
    while order:
        started = trio.current_time()
        if order == b"again":
            await storm.end()
            await storm.wave(count)
        else:
            await storm.told()
        said = {
            "seconds": trio.current_time() - started,
            "refused": storm.refused,
            "cut": storm.cut,
            "slowest": storm.slowest,
            "connected": len(storm.clients),
        }
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        order = (await orders.receive_some()).strip()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    trio.run(main, sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
