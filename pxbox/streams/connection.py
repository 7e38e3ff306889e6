"""Connections to Redis, each for one task that knows when to give it up.

redis-py's pool, retries and health checks stay unused (over TCP its pool also insists on RESP3, for
maintenance notices): a connection in doubt is dropped, whatever was under way on it is reported,
and what follows is decided by its owner.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

from redis.asyncio import Connection
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError, ResponseError

CONNECT_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0

LOST = (RedisError, OSError, TimeoutError)
"""What a link raises when it is of no use any more."""

# These decide how redis-py behaves, so a URL has no say in them. Answers are bounded in time by
# who waits for them: a timeout inside redis-py would be set anew for each single reply.
_OURS = {
    "protocol": 2,
    "socket_timeout": None,
    "socket_connect_timeout": CONNECT_SECONDS,
    "retry_on_timeout": False,
    "health_check_interval": 0,
    "decode_responses": False,
}


class Link:
    """A connection that is up. It never reconnects; after any error it is only to be dropped."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # redis-py forgets its writer on an error, with what is unsent still waiting in there.
        assert connection._writer is not None, "it is up"
        self._transport = connection._writer.transport

    async def send(self, commands: bytes) -> None:
        """Send encoded commands. Raises what is in LOST."""
        await self._connection.send_packed_command(commands, check_health=False)

    async def receive(self) -> object:
        """The next reply; one that is an error is returned, not raised. Raises what is in LOST."""
        try:
            reply: object = await self._connection.read_response()
        except ResponseError as error:
            return error
        return reply

    def drop(self) -> None:
        """Close at once, whatever waits to be sent: a frozen server would never take it."""
        self._transport.abort()
        self._connection._writer = self._connection._reader = None


class Server:
    """A Redis or Valkey by its URL: redis://, rediss:// or unix://.

    Raises ValueError for a URL that cannot be used, without repeating it (X5).
    """

    def __init__(self, url: str) -> None:
        try:
            options: dict[str, Any] = {**parse_url(url)}
            self._kind: type[Connection] = options.pop("connection_class", Connection)
            self._options = options | _OURS
            self._connection()
        except (ValueError, TypeError, RedisError):
            raise ValueError("this is not the URL of a Redis that can be used") from None

    async def connect(self) -> Link:
        """A link, authenticated and at its database. Raises what is in LOST, in bounded time."""
        connection = self._connection()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return Link(connection)

    def _connection(self) -> Connection:
        return self._kind(**self._options)


def encode(*arguments: bytes) -> bytes:
    """One command as it is sent (RESP: an array of bulk strings).

    redis-py's own `pack_command` takes twice as long, and is most of what an append costs here.
    """
    words = [b"$%d\r\n%b\r\n" % (len(word), word) for word in arguments]
    return b"*%d\r\n%b" % (len(words), b"".join(words))


class Backoff:
    """The pauses between attempts to connect: growing, bounded, and not in step with others'."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE_SECONDS

    def reset(self) -> None:
        self._pause = FIRST_PAUSE_SECONDS

    async def wait(self, stopping: asyncio.Event) -> None:
        """Pause, less long when `stopping` is set."""
        pause = self._pause * random.uniform(0.5, 1.0)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await stopping.wait()
