"""One channel watched by one connection: what it was sent, and what it has acknowledged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio

from pxbox.model.channel import Entry, Several
from pxbox.service.pages import PIECE_BYTES, Page
from pxbox.ws.outbox import Outbox


class Left(Exception):
    """The client has left the channel: nothing of it follows."""


class Subscription:
    """`sent` and `acked` are numbers of the channel, inclusive. Once `left`, nothing is sent.

    Live events that come before the reader was told that it has joined are held back until
    `start`, so that the acknowledgement of the subscription comes first on the wire.
    """

    __slots__ = (
        "_hear", "_held", "_outbox", "_pace", "acked", "catching_up", "joined", "left", "sent",
    )  # fmt: skip

    def __init__(self, outbox: Outbox, hear: Callable[[Entry], None] | None = None) -> None:
        """`hear` is called with each live event."""
        self._outbox = outbox
        self._hear = hear
        self._held: list[bytes] | None = []
        self._pace: trio.Lock | None = None
        self.catching_up: trio.CancelScope | None = None
        self.joined = False
        self.left = False
        self.sent = 0
        self.acked = 0

    def put(self, channel: str, entry: Entry, encoded: bytes) -> None:
        """Send a live event; never waits (E10)."""
        if self.left:
            return
        if self._held is not None:
            self._held.append(encoded)
        else:
            self._outbox.put_event(encoded)
        self.sent = entry.seq
        if self._hear is not None:
            self._hear(entry)

    def put_several(self, channel: str, entries: list[Entry], several: Several) -> None:
        """The same for several events at once."""
        if self.left:
            return
        if self._held is not None:
            self._held += several.encoded
        else:
            self._outbox.put_events(several)
        self.sent = entries[-1].seq

    def leave(self) -> None:
        """Send nothing any more."""
        self.left = True
        if self.catching_up is not None:
            self.catching_up.cancel()

    @contextmanager
    def at_pace(self, pace: trio.Lock) -> Iterator[None]:
        """Catch up inside: what is taken in waits for `pace`, which one of the connection's
        subscriptions holds at a time: together they take no more room than one. Ends when the
        client leaves the channel."""
        self._pace = pace
        with trio.CancelScope() as self.catching_up:
            if self.left:
                self.catching_up.cancel()
            yield
        self._pace = self.catching_up = None

    def hold(self) -> None:
        """Hold back what comes, until `start`."""
        self._held = []

    def start(self) -> None:
        """Let what was held back follow."""
        held, self._held = self._held or [], None
        for encoded in held:
            self._outbox.put_event(encoded)

    async def take(self, read: Callable[[], Awaitable[Page]]) -> Page:
        """Send a page at the reader's pace. Raises Left, and BrokenResourceError where the reader
        is slow or gone."""
        assert self._pace is not None, "it is catching up"
        async with self._pace:
            await self._room()
            page = await read()
            sent = page.first - 1
            for piece in page.pieces:
                await self._room()
                self._outbox.put_paced(piece)
                sent += len(piece.encoded)
                self.sent = sent
            return page

    async def _room(self) -> None:
        await self._outbox.wait_drained(PIECE_BYTES)
        if self.left:
            raise Left
