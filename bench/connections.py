"""The load client's two connections, by hand: as little work per message as Python allows.

They speak just enough of RFC 6455 and RFC 9112 for a well-behaved server on loopback, and fail
loudly on anything else. Both call back instead of being awaited: a task switch per message would
cost more than the message.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, cast

TEXT: Final = 0x81
PING: Final = 0x89
PONG: Final = 0x8A
CLOSE: Final = 0x88
# A mask of zeros is legal (RFC 6455, 5.3 asks for it to be unpredictable for the sake of proxies,
# of which there is none here) and leaves the payload as it is.
ZERO_MASK: Final = bytes(4)
KEY: Final = "cHhib3gtYmVuY2gtY2xpZQ=="

OnMessage = Callable[[bytes], None]
OnReply = Callable[[int, bytes], None]
OnBroken = Callable[[Exception], None]


class ConnectionBroken(Exception):
    """The server closed a connection, or said what this client does not understand."""


def frame(opcode: int, payload: bytes) -> bytes:
    """A masked client frame (RFC 6455, 5.2) of at most 64 KiB."""
    size = len(payload)
    if size < 126:
        return bytes((opcode, 0x80 | size)) + ZERO_MASK + payload
    return bytes((opcode, 0x80 | 126)) + size.to_bytes(2, "big") + ZERO_MASK + payload


class Stream(asyncio.Protocol, ABC):
    """A TCP connection whose unread bytes gather in `buffer`."""

    def __init__(self, on_broken: OnBroken) -> None:
        self._on_broken = on_broken
        self._transport: asyncio.Transport | None = None
        self.buffer = b""
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self.take(data)
        except Exception as error:
            self.broken(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closing:
            self.broken(exc or ConnectionBroken("the server closed the connection"))

    def broken(self, error: Exception) -> None:
        self.close()
        self._on_broken(error)

    @abstractmethod
    def take(self, data: bytes) -> None:
        """Read what came; what is not whole yet stays in the buffer."""

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        self.closing = True
        if self._transport is not None:
            self._transport.close()


class WebSocket(Stream):
    """A WebSocket; `on_message` gets every text message, `opened` is set by the handshake."""

    def __init__(self, on_message: OnMessage, on_broken: OnBroken) -> None:
        super().__init__(on_broken)
        self._on_message = on_message
        self.opened = asyncio.get_running_loop().create_future()

    def broken(self, error: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
        super().broken(error)

    def handshake(self, path: str, token: str) -> None:
        head = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        )
        self.write(head.encode())

    def send(self, text: bytes) -> None:
        self.write(frame(TEXT, text))

    def take(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        if not self.opened.done():
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise ConnectionBroken(f"no upgrade: {head.decode(errors='replace')}")
            self.buffer = rest
            self.opened.set_result(None)
        self._parse_frames()

    def _parse_frames(self) -> None:
        data, at, end = self.buffer, 0, len(self.buffer)
        while end - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if start + size > end:
                break
            self._on_frame(data[at], data[start : start + size])
            at = start + size
        self.buffer = data[at:]

    def _on_frame(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._on_message(payload)
        elif opcode == PING:
            self.write(frame(PONG, payload))
        elif opcode == CLOSE and not self.closing:
            code, reason = int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace")
            raise ConnectionBroken(f"closed with {code} {reason}")
        elif opcode not in (PONG, CLOSE):
            raise ConnectionBroken(f"an unexpected frame of type {opcode:#x}")


class Http(Stream):
    """A kept-alive HTTP/1.1 connection, one POST at a time.

    Once `last` is set, the server has closed it, or will, and a new one is needed.
    """

    def __init__(self, on_broken: OnBroken) -> None:
        super().__init__(on_broken)
        self._on_reply: OnReply | None = None
        self.last = False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._on_reply is None:
            self.last = True
        else:
            super().connection_lost(exc)

    def post(self, path: str, token: str, body: bytes, on_reply: OnReply) -> None:
        """Send one request; `on_reply` gets the status and the body."""
        if self._on_reply is not None:
            raise ConnectionBroken("a request is still waiting for its reply")
        self._on_reply = on_reply
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.write(head.encode() + body)

    def take(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        at = self.buffer.find(b"\r\n\r\n")
        if at < 0:
            return
        head, start = self.buffer[:at].lower(), at + 4
        end = start + self._length(head)
        if len(self.buffer) < end:
            return
        body, rest, self.buffer = self.buffer[start:end], self.buffer[end:], b""
        on_reply, self._on_reply = self._on_reply, None
        if on_reply is None or rest:
            raise ConnectionBroken(f"an answer nobody asked for: {head!r}")
        if b"\r\nconnection: close" in head:
            self.last = True
        on_reply(int(head[9:12]), body)

    @staticmethod
    def _length(head: bytes) -> int:
        at = head.find(b"\r\ncontent-length:")
        if at < 0:
            raise ConnectionBroken(f"an answer without content-length: {head!r}")
        return int(head[at + 17 :].split(b"\r", 1)[0])


async def open_websocket(
    port: int, path: str, token: str, on_message: OnMessage, on_broken: OnBroken
) -> WebSocket:
    """Connect to loopback and finish the handshake."""
    loop = asyncio.get_running_loop()
    _, socket = await loop.create_connection(
        lambda: WebSocket(on_message, on_broken), "127.0.0.1", port
    )
    socket.handshake(path, token)
    async with asyncio.timeout(20):
        await socket.opened
    return socket


async def open_http(port: int, on_broken: OnBroken) -> Http:
    """Connect to loopback."""
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(lambda: Http(on_broken), "127.0.0.1", port))[1]
