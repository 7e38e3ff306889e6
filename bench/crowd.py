"""How the load client of `fanout` and `replay` speaks with each server.

Every event carries `MARK` once; that is what the readers count. To parse each message of hundreds
of connections would cost this client more than it costs the servers to send them.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from bench.connections import CLOSE, KEY, PONG, TEXT, ConnectionBroken, Stream, frame

MARK: Final = b'"request.created"'
BINARY: Final = 0x82
# In what the broker sends with each Ping, and shorter than `MARK`: it wants a sign of life.
HEARTBEAT: Final = b'"heartbeat"'
# Of 200 bytes, as an event of the broker's has at the least.
PAYLOAD: Final = msgspec.json.encode({"type": "request.created", "text": "x" * 164}).decode()
SUBJECT: Final = "feed"
STREAM: Final = "FEED"


class Place(Struct):
    """Where the events are: `channel` and `to` are the broker's, `tokens` each reader's."""

    server: str
    port: int
    batch: bool = False
    channel: str = ""
    to: str = ""
    asker: str = ""
    tokens: list[str] = []


class Since(Struct):
    """What a reader has seen, as its server wants it told."""

    epoch: str = ""
    seq: int = 0
    pid: str = ""
    offset: str = ""


class Reader(Stream):
    """A connection that counts events. `joined` is set once it hears them."""

    def __init__(self, place: Place, number: int, since: Since | None) -> None:
        loop = asyncio.get_running_loop()
        self.joined: asyncio.Future[None] = loop.create_future()
        super().__init__(self._fail)
        self.place = place
        self.number = number
        self.since = since
        self.seen = Since()
        self.count = 0
        self.error: Exception | None = None
        self.on_events: Callable[[Reader, int], None] = lambda _, n: None
        self.kept: list[bytes] | None = None
        self.last = b""
        self._tail = b""
        self._upgraded = False

    def _fail(self, error: Exception) -> None:
        self.error = error
        if not self.joined.done():
            self.joined.set_exception(error)

    def upgrade(self, path: str, extra: str = "") -> None:
        self.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
            f"{extra}\r\n".encode()
        )

    def take(self, data: bytes) -> None:
        if not self._upgraded:
            data = self._finish_upgrade(data)
        if not self.joined.done():
            self.greet(data)
        self._count(data)

    def _finish_upgrade(self, data: bytes) -> bytes:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return b""
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionBroken(f"no upgrade: {head.decode(errors='replace')}")
        self._upgraded, self.buffer = True, b""
        self.upgraded()
        return rest

    def _count(self, data: bytes) -> None:
        if self.kept is not None:
            self.kept.append(data)
        data = self._tail + data
        if HEARTBEAT in data:
            self.write(frame(PONG, b""))
        found = data.count(MARK)
        self._tail = data[1 - len(MARK) :]
        if found:
            self.last = data if len(data) < 1024 else b""
            self.count += found
            self.on_events(self, found)
        elif data[:1] == bytes((CLOSE,)):
            raise ConnectionBroken(f"closed: {data[:120]!r}")

    @abstractmethod
    def upgraded(self) -> None:
        """The WebSocket is open: say who is there and what it wants."""

    @abstractmethod
    def greet(self, data: bytes) -> None:
        """Read what the server says until it has let this reader in."""

    def text(self, message: str) -> None:
        self.write(frame(TEXT, message.encode()))

    def admitted(self) -> None:
        if not self.joined.done():
            self.joined.set_result(None)


class PxBoxReader(Reader):
    def begin(self) -> None:
        path = "/v1/ws?batch=true" if self.place.batch else "/v1/ws"
        token = self.place.tokens[self.number]
        self.upgrade(path, f"Authorization: Bearer {token}\r\n")

    def upgraded(self) -> None:
        message: dict[str, object] = {"id": "r", "channel": self.place.channel}
        if self.since is None:
            message["type"] = "subscribe"
        else:
            message |= {"type": "resume", "since": self.since.seq, "epoch": self.since.epoch}
        self.text(msgspec.json.encode(message).decode())

    def greet(self, data: bytes) -> None:
        self.buffer += data
        if b'"error"' in self.buffer or b'"recovered":false' in self.buffer:
            raise ConnectionBroken(self.buffer.decode(errors="replace"))
        if b'"subscribed"' in self.buffer or b'"recovered"' in self.buffer:
            start = self.buffer.index(b"{")
            text = self.buffer[start : self.buffer.index(b"}", start) + 1]
            said = msgspec.json.decode(text) if self.since is None else {}
            self.seen = Since(epoch=str(said.get("epoch", "")), seq=said.get("seq", 0))
            self.admitted()


class SocketIoReader(Reader):
    """Engine.IO 4 over WebSocket: `0` open, `40` joined, `42` an event, `2` a ping."""

    def begin(self) -> None:
        self.upgrade("/socket.io/?EIO=4&transport=websocket")

    def upgraded(self) -> None:
        seen = self.since
        self.text("40" if seen is None else f'40{{"pid":"{seen.pid}","offset":"{seen.offset}"}}')

    def greet(self, data: bytes) -> None:
        self.buffer += data
        at = self.buffer.find(b'40{"sid"')
        end = self.buffer.find(b"}", at)
        if at >= 0 and end >= 0:
            self.seen.pid = msgspec.json.decode(self.buffer[at + 2 : end + 1]).get("pid", "")
            if self.since is not None and self.seen.pid != self.since.pid:
                raise ConnectionBroken("the session was not restored")
            self.admitted()


class NatsReader(Reader):
    """The protocol of NATS over WebSocket. It resumes by a consumer of its own."""

    def begin(self) -> None:
        self.upgrade("/")

    def say(self, text: str) -> None:
        self.write(frame(BINARY, text.encode()))

    def upgraded(self) -> None:
        self.say('CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1"}\r\n')
        if self.since is None:
            self.say(f"SUB {SUBJECT} 1\r\nPING\r\n")
            return
        to = f"missed.{self.number}.{self.since.seq}"
        config = {
            "deliver_subject": to, "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.since.seq + 1, "ack_policy": "none", "mem_storage": True,
            "num_replicas": 1, "inactive_threshold": 5_000_000_000,
        }  # fmt: skip
        body = msgspec.json.encode({"stream_name": STREAM, "config": config}).decode()
        self.say(f"SUB {to} 1\r\nPUB $JS.API.CONSUMER.CREATE.{STREAM} {len(body)}\r\n{body}\r\n")
        self.say("PING\r\n")

    def greet(self, data: bytes) -> None:
        self.buffer += data
        if b"-ERR" in self.buffer:
            raise ConnectionBroken(self.buffer.decode(errors="replace"))
        if b"PONG\r\n" in self.buffer:
            self.admitted()


READERS: Final[dict[str, type[PxBoxReader | SocketIoReader | NatsReader]]] = {
    "pxbox": PxBoxReader, "socketio": SocketIoReader, "nats": NatsReader,
}  # fmt: skip


async def open_reader(place: Place, number: int, since: Since | None = None) -> Reader:
    """Connect, and begin to subscribe or resume; `joined` says when it is let in."""
    made = READERS[place.server](place, number, since)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: made, "127.0.0.1", place.port)
    made.begin()
    return made


class Publisher(Stream):
    """Has events made, some at a time; `publish` returns once they are acknowledged."""

    def __init__(self, place: Place) -> None:
        super().__init__(self._fail)
        self.place = place
        self._upgraded = False
        self._wanted = b""
        self._times = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    async def open(self) -> None:
        token = f"Authorization: Bearer {self.place.asker}\r\n" if self.place.asker else ""
        path = {"pxbox": "/v1/ws", "nats": "/"}.get(
            self.place.server, "/socket.io/?EIO=4&transport=websocket"
        )
        self.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
            f"{token}\r\n".encode()
        )
        await self._said(b"\r\n\r\n")
        if self.place.server == "socketio":
            self.write(frame(TEXT, b'40{"role":"publisher"}'))
            await self._said(b'"sid"')
        elif self.place.server == "nats":
            await self._open_nats()

    async def _open_nats(self) -> None:
        config = {"name": STREAM, "subjects": [SUBJECT], "storage": "file", "num_replicas": 1}
        body = msgspec.json.encode(config).decode()
        self.write(
            frame(
                BINARY,
                b'CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1"}\r\n'
                b"SUB told 1\r\n"
                + f"PUB $JS.API.STREAM.CREATE.{STREAM} told {len(body)}\r\n{body}\r\n".encode(),
            )
        )
        await self._said(b"stream_create_response")

    async def publish(self, number: int) -> None:
        """Have so many events made."""
        if self.place.server == "pxbox":
            item = {"to": self.place.to, "schema": True}
            data = {"items": [item] * number}
            command = {"type": "cmd", "id": "p", "op": "bulkCreateRequests", "data": data}
            self.write(frame(TEXT, msgspec.json.encode(command)))
            await self._said(f'"created":{number}'.encode())
        elif self.place.server == "socketio":
            message = f'421["publish",{number},{PAYLOAD}]'
            self.write(frame(TEXT, message.encode()))
            await self._said(b"431[")
        else:
            one = f"PUB {SUBJECT} told {len(PAYLOAD)}\r\n{PAYLOAD}\r\n".encode()
            for at in range(0, number, 100):
                self.write(frame(BINARY, one * min(100, number - at)))
            await self._said(b'"seq":', number)

    async def _said(self, what: bytes, times: int = 1) -> None:
        """Wait until the server has said this so often, from now on."""
        self._done = asyncio.get_running_loop().create_future()
        self._wanted, self._times, self.buffer = what, times, b""
        await asyncio.wait_for(self._done, 30)

    def take(self, data: bytes) -> None:
        self.buffer += data
        if HEARTBEAT in data:
            self.write(frame(PONG, b""))
        if self.buffer.startswith(b"\x81\x012"):
            self.write(frame(TEXT, b"3"))
        if b"-ERR" in self.buffer[:64] or b'"type":"error"' in self.buffer[:200]:
            raise ConnectionBroken(self.buffer[:500].decode(errors="replace"))
        if not self._done.done() and self.buffer.count(self._wanted) >= self._times:
            self._done.set_result(None)


async def open_publisher(place: Place) -> Publisher:
    loop = asyncio.get_running_loop()
    _, made = await loop.create_connection(lambda: Publisher(place), "127.0.0.1", place.port)
    await made.open()
    return made
