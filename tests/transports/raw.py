"""A WebSocket client by hand: for readers that are slow, or mute, or quicker than a library."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec
import trio

from tests.brokers import Broker
from tests.contract.documents import Json
from tests.edge.clients import TEXT, masked

SECONDS = 60.0


class RawSocket:
    """Frames are read when asked for. `message` answers Pings, `frame` does not.

    `pings` counts those that `message` and `close_code` have read.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.pings = 0
        self._buffer = bytearray()

    def read_quickly(self) -> None:
        """Have the kernel take in much from now on."""
        self.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4 * 1024 * 1024)

    async def send(self, **frame: object) -> None:
        await self.stream.send_all(masked(TEXT, msgspec.json.encode(frame)))

    async def frame(self) -> tuple[int, bytes]:
        """The opcode and payload of the next frame. Raises ConnectionError at the end."""
        buffer = self._buffer
        if len(buffer) < 10:
            await self._fill(2)
        size, start = buffer[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            await self._fill(start)
            size = int.from_bytes(buffer[2:start], "big")
        await self._fill(start + size)
        opcode, payload = buffer[0] & 0x0F, bytes(buffer[start : start + size])
        del buffer[: start + size]
        return opcode, payload

    async def message(self) -> bytes:
        """The next message. Raises ConnectionError where a Close or the end comes first."""
        while True:
            opcode, payload = await self.frame()
            if opcode == TEXT:
                return payload
            if opcode == 0x8:
                raise ConnectionError(f"closed with {int.from_bytes(payload[:2], 'big')}")
            if opcode == 0x9:
                self.pings += 1
                await self.stream.send_all(masked(0xA, payload))

    async def json(self) -> Json:
        found: Json = msgspec.json.decode(await self.message())
        return found

    async def close_code(self) -> int:
        """The code of the Close that ends it; what comes before is skipped."""
        while True:
            opcode, payload = await self.frame()
            if opcode == 0x8:
                return int.from_bytes(payload[:2], "big")
            self.pings += opcode == 0x9

    async def _fill(self, size: int) -> None:
        if len(self._buffer) >= size:
            return
        with trio.fail_after(SECONDS):
            while len(self._buffer) < size:
                data = await self.stream.receive_some(256 * 1024)
                if not data:
                    raise ConnectionError("ended")
                self._buffer += data


@asynccontextmanager
async def raw_socket(
    broker: Broker, token: str, query: str = "", receive_buffer_bytes: int | None = None
) -> AsyncIterator[RawSocket]:
    """A connection that has shaken hands. A small receive buffer makes for a slow reader."""
    where = urlsplit(broker.url)
    plain = trio.socket.socket()
    if receive_buffer_bytes is not None:
        plain.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer_bytes)
    await plain.connect((where.hostname, where.port))
    async with trio.SocketStream(plain) as stream:
        await stream.send_all(
            f"GET /v1/ws{query} HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        socket = RawSocket(stream)
        while b"\r\n\r\n" not in socket._buffer:
            await socket._fill(len(socket._buffer) + 1)
        head, _, rest = bytes(socket._buffer).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        socket._buffer[:] = rest
        yield socket
