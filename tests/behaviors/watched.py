"""One channel's actor, driven message by message over a log and windows in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from actors import Drop
from pxbox.behaviors.channel import ChannelActor, Events, Join, Leave, Look, News, Watch
from pxbox.model.channel import Several
from pxbox.ports import Append, Entry
from tests.behaviors.relayed import CHANNEL, Line, MemoryLog, Shared


@dataclass(eq=False)
class Reader:
    """A subscriber that keeps what it is given."""

    seqs: list[int] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    several: int = 0
    """How often it was given several at once."""

    def put_several(self, channel: str, entries: list[Entry], several: Several) -> None:
        self.several += 1
        for entry, encoded in zip(entries, several.encoded, strict=True):
            self.put(channel, entry, encoded)

    def put(self, channel: str, entry: Entry, encoded: bytes) -> None:
        assert channel == CHANNEL
        self.seqs.append(entry.seq)
        self.sent.append(encoded)


class Watched:
    """An actor and what is around it; a dropped activation is followed by a fresh one."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.windows = Shared()
        self.line = Line(self.windows)
        self.watching: set[str] = set()
        """The channels that the actor has this process told of."""
        self.encoded = 0
        self.events = Events(self.log, self.line, self._encode)
        watch = Watch(self.watching.add, self.watching.discard)
        self._fresh: Callable[[], ChannelActor] = lambda: ChannelActor(CHANNEL, self.events, watch)
        self._actor = self._fresh()

    def commit(self, count: int = 1) -> list[Entry]:
        """Log some events; nobody is told."""
        before = self.log.head(CHANNEL)
        for _ in range(count):
            self.log.commit(CHANNEL)
        return self.log.above(CHANNEL, before)

    async def append(self, count: int = 1) -> list[Entry]:
        """Log some events and bring the hot window up to them."""
        entries = self.commit(count)
        await self.line.append([Append(CHANNEL, tuple(self.log.above(CHANNEL, 0)))])
        return entries

    async def tell(self, message: News | Look | Join | Leave) -> object:
        """Have the actor handle one message, as the runtime does."""
        if self._actor.receive_now(message):
            return None
        reply = await self._actor.receive(message)
        if isinstance(reply, Drop):
            self._actor = self._fresh()
            return reply.value
        return reply

    def _encode(self, channel: str, entry: Entry) -> bytes:
        self.encoded += 1
        return b"frame of " + entry.data
