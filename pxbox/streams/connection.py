"""Connections to Redis, each for one task that knows when to give it up.

Of redis-py only the reading of URLs is used: its asyncio connections would need a loop of their
own. A connection in doubt is dropped, whatever was under way on it is reported, and what follows
is decided by its owner.
"""

from __future__ import annotations

import random
import ssl
from typing import Any

import hiredis
import trio
from redis.asyncio import Connection, SSLConnection
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError

CONNECT_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
_RECEIVE_BYTES = 64 * 1024


class Refused(Exception):
    """The server answered, but not as one that can be used (LOADING, READONLY, OOM, ...)."""


LOST = (
    OSError, Refused, hiredis.ProtocolError, trio.BrokenResourceError, trio.ClosedResourceError,
    trio.TooSlowError,
)  # fmt: skip
"""What a link raises when it is of no use any more, and what `trio.fail_after` raises."""


class Link:
    """A connection that is up. It never reconnects; after any error it is only to be dropped."""

    def __init__(self, stream: trio.abc.Stream, sock: trio.socket.SocketType) -> None:
        self._stream = stream
        self._socket = sock
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)

    async def send(self, commands: bytes) -> None:
        """Send encoded commands. Raises what is in LOST."""
        await self._stream.send_all(commands)

    async def receive(self) -> object:
        """The next reply; one that is an error is returned, not raised. Raises what is in LOST.

        Not a checkpoint where the reply is here already.
        """
        while (reply := self._reader.gets()) is _NOTHING:
            data = await self._stream.receive_some(_RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError("the connection was closed by the server")
            self._reader.feed(bytes(data))
        return reply

    def drop(self) -> None:
        """Close at once, whatever waits to be sent: a frozen server would never take it."""
        self._socket.close()


_NOTHING = object()


class Server:
    """A Redis or Valkey by its URL: redis://, rediss:// or unix://.

    Raises ValueError for a URL that cannot be used, without repeating it (X5).
    """

    def __init__(self, url: str) -> None:
        try:
            options: dict[str, Any] = {**parse_url(url)}
            # Its constructor refuses options that there are not, and reads those for TLS.
            kind: type[Connection] = options.pop("connection_class", Connection)
            self._tls = _tls(kind(**options))
        except (ValueError, TypeError, OSError, RedisError):
            raise ValueError("this is not the URL of a Redis that can be used") from None
        self._path: str | None = options.get("path")
        self._host: str = options.get("host", "localhost")
        self._port: int = options.get("port", 6379)
        self._introduction = _introduction(options)

    async def connect(self) -> Link:
        """A link, authenticated and at its database. Raises what is in LOST, in bounded time."""
        with trio.fail_after(CONNECT_SECONDS):
            if self._path is not None:
                plain = await trio.open_unix_socket(self._path)
            else:
                plain = await trio.open_tcp_stream(self._host, self._port)
            stream: trio.abc.Stream = plain
            if self._tls is not None:
                stream = trio.SSLStream(plain, self._tls, server_hostname=self._host)
            link = Link(stream, plain.socket)
            try:
                await self._introduce(link)
            except BaseException:
                link.drop()
                raise
            return link

    async def _introduce(self, link: Link) -> None:
        for command in self._introduction:
            await link.send(command)
            reply = await link.receive()
            if isinstance(reply, Exception):
                raise Refused(str(reply))


def _tls(described: Connection) -> ssl.SSLContext | None:
    """How TLS is wanted; None: not at all. Raises OSError for files that cannot be read."""
    if not isinstance(described, SSLConnection):
        return None
    context: ssl.SSLContext = described.ssl_context.get()
    return context


def _introduction(options: dict[str, Any]) -> list[bytes]:
    """The commands that begin each connection."""
    commands: list[bytes] = []
    if password := options.get("password"):
        user = [options["username"].encode()] if options.get("username") else []
        commands.append(encode(b"AUTH", *user, password.encode()))
    if name := options.get("client_name"):
        commands.append(encode(b"CLIENT", b"SETNAME", name.encode()))
    if number := options.get("db"):
        commands.append(encode(b"SELECT", b"%d" % number))
    return commands


def encode(*arguments: bytes) -> bytes:
    """One command as it is sent (RESP: an array of bulk strings)."""
    return b"*%d\r\n%b" % (len(arguments), words(*arguments))


def words(*arguments: bytes) -> bytes:
    """Some arguments of a command as they are sent, without the count before the first."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in arguments])


class Backoff:
    """The pauses between attempts to connect: growing, bounded, and not in step with others'."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE_SECONDS

    def reset(self) -> None:
        self._pause = FIRST_PAUSE_SECONDS

    async def wait(self, stopping: trio.Event) -> None:
        """Pause, less long when `stopping` is set."""
        pause = self._pause * random.uniform(0.5, 1.0)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        with trio.move_on_after(pause):
            await stopping.wait()
