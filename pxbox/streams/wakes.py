"""The wakes: one task that owns the Pub/Sub connection and says which channels have news.

Pub/Sub forgets whoever is away, so each subscription that becomes effective, also after a lost
connection, is told as a wake with head 0: something may have been missed, look.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import islice

import trio

from pxbox.ports import OnWake
from pxbox.streams.connection import LOST, Backoff, Link, Refused, Server, encode

# A server that froze is noticed within 1.6 s; E3 leaves 3 s for that and for looking elsewhere.
PING_SECONDS = 0.4
MOST_UNANSWERED = 3
SEND_SECONDS = 1.5
MOST_NAMES = 1_000
MOST_DIGITS = 20


class Wakes:
    """Watched channels and their wakes. `prefix` and `suffix` make a channel's name in Pub/Sub."""

    def __init__(self, server: Server, prefix: str, suffix: str) -> None:
        self.trouble: str | None = "Redis has not been reached yet"
        """Why wakes may be missed at present; None while they are not."""
        self._server = server
        self._prefix, self._suffix = prefix.encode(), suffix.encode()
        self._watched: set[str] = set()
        self._unsettled: dict[str, None] = {}
        self._changed = trio.Event()
        self._stopping = trio.Event()
        self._stopped = trio.Event()
        self._backoff = Backoff()
        self._unanswered = 0
        self._renewed = False

    def begin_epoch(self, suffix: str) -> None:
        """Watch nothing, and name channels with this suffix from now on."""
        self._suffix = suffix.encode()
        self._watched.clear()
        # On a new connection nothing of the old names is subscribed to.
        self._renewed = True
        self._changed.set()

    def name(self, channel: str) -> bytes:
        return self._prefix + channel.encode() + self._suffix

    def watch(self, channel: str) -> None:
        self._watched.add(channel)
        self._settle_later(channel)

    def unwatch(self, channel: str) -> None:
        self._watched.discard(channel)
        self._settle_later(channel)

    def _settle_later(self, channel: str) -> None:
        self._unsettled[channel] = None
        self._changed.set()

    async def stop(self) -> None:
        """End the task."""
        self._stopping.set()
        self._changed.set()
        await self._stopped.wait()

    async def run(self, on_wake: OnWake) -> None:
        """Tell wakes until stopped; a resident task."""
        try:
            while not self._stopping.is_set():
                await self._listen_connected(on_wake)
                await self._backoff.wait(self._stopping)
        finally:
            self._stopped.set()

    async def _listen_connected(self, on_wake: OnWake) -> None:
        link: Link | None = None
        try:
            link = await self._server.connect()
            self._renewed = False
            self._unsettled = dict.fromkeys(self._watched)
            await self._converse(link, on_wake)
        except LOST as error:
            self.trouble = str(error) or "Redis does not answer in time"
        finally:
            self.trouble = self.trouble or "the connection to Redis is closed"
            if link is not None:
                link.drop()

    async def _converse(self, link: Link, on_wake: OnWake) -> None:
        """Listen and speak, until one of them fails or it is over."""
        failures: list[Exception] = []

        async def contained(task: Callable[[], Awaitable[None]]) -> None:
            try:
                await task()
            except LOST as error:
                failures.append(error)
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(contained, lambda: self._listen(link, on_wake))
            nursery.start_soon(contained, lambda: self._speak(link))
        if failures:
            raise failures[0]

    async def _speak(self, link: Link) -> None:
        """Subscribe to what is watched, and see to it that the server is still there."""
        self._unanswered = 0
        ping = True
        while not self._stopping.is_set():
            self._changed = trio.Event()
            if self._renewed:
                raise ConnectionError("another epoch has begun")
            with trio.fail_after(SEND_SECONDS):
                await self._settle(link)
                if ping:
                    await link.send(encode(b"PING"))
            ping = not await self._changes()
            # Pings are counted, not seconds: where this loop was held up, the server was not.
            self._unanswered += ping
            if self._unanswered > MOST_UNANSWERED:
                raise TimeoutError("Redis does not answer in time")

    async def _changes(self) -> bool:
        """Wait for a change, but not past the time of the next ping; False: there was none."""
        with trio.move_on_after(PING_SECONDS):
            await self._changed.wait()
            return True
        return False

    async def _settle(self, link: Link) -> None:
        """Subscribe and unsubscribe as far as that has changed."""
        while self._unsettled:
            channels = list(islice(self._unsettled, MOST_NAMES))
            for channel in channels:
                del self._unsettled[channel]
            # Who subscribes once more is answered again, and so told to look.
            wanted = [self.name(channel) for channel in channels if channel in self._watched]
            others = [self.name(channel) for channel in channels if channel not in self._watched]
            for command, names in ((b"SUBSCRIBE", wanted), (b"UNSUBSCRIBE", others)):
                if names:
                    await link.send(encode(command, *names))

    async def _listen(self, link: Link, on_wake: OnWake) -> None:
        while True:
            match await link.receive():
                case [b"message", bytes(name), bytes(head)]:
                    self._tell(on_wake, name, _number(head))
                case [b"subscribe", bytes(name), _]:
                    self._tell(on_wake, name, 0)
                case [b"pong", *_] | b"PONG":
                    # It was asked after the subscriptions: all of them are effective.
                    self.trouble = None
                    self._backoff.reset()
                case Exception() as error:
                    raise Refused(str(error))
            self._unanswered = 0

    def _tell(self, on_wake: OnWake, name: bytes, head: int) -> None:
        if not name.endswith(self._suffix):
            return
        channel = name[len(self._prefix) : -len(self._suffix)].decode()
        if channel in self._watched:
            on_wake(channel, head)


def _number(head: bytes) -> int:
    return int(head) if head.isdigit() and len(head) < MOST_DIGITS else 0
