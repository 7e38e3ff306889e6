"""One channel watched by one connection: what it was sent, and what it has acknowledged."""

from __future__ import annotations

from pxbox.model.channel import Entry
from pxbox.ws.outbox import Outbox

# A page of a resume waits until less than this is queued for the reader.
_PACE_BYTES = 64 * 1024


class Left(Exception):
    """The client has left the channel: nothing of it follows."""


class Subscription:
    """`sent` and `acked` are numbers of the channel, inclusive. Once `left`, nothing is sent.

    Live events that come before the reader was told that it has joined are held back until
    `start`, so that the acknowledgement of the subscription comes first on the wire.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._held: list[bytes] | None = []
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

    def hold(self) -> None:
        """Hold back what comes, until `start`."""
        self._held = []

    def start(self) -> None:
        """Let what was held back follow."""
        held, self._held = self._held or [], None
        for encoded in held:
            self._outbox.put_event(encoded)

    async def send_paced(self, entry: Entry, encoded: bytes) -> None:
        """Send an event of a resume, at the reader's pace. Raises Left, and BrokenResourceError
        where the reader is slow or gone."""
        await self._outbox.wait_drained(_PACE_BYTES)
        if self.left:
            raise Left
        self._outbox.put_event(encoded)
        self.sent = entry.seq
