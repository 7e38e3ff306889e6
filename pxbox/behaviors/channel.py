"""The actor of one channel in this process: who watches it, and how far it has told them.

It exists only while somebody watches (A5). It delivers strictly one number after another (E5):
what comes twice is skipped, what is missing is read, whoever brings the news.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from actors import Drop
from pxbox.behaviors.epoch import Sightings
from pxbox.model.channel import Several
from pxbox.ports import Entry, Log, LogUnavailable, Streams, StreamsUnavailable

# How many entries are read at once to fill a gap or to let a subscriber catch up.
PAGE = 500
# So many at the most are read in the turn in which a subscriber joins: it has to take them in at
# once, and everybody else of the channel waits for that turn (E10).
NEARLY_THERE = 64


# What several events are put into for all readers is at most so large.
SEVERAL_BYTES = 256 * 1024


class Subscriber(Protocol):
    """Who watches a channel. Both take events as they are sent and must not block or raise."""

    def put(self, channel: str, entry: Entry, encoded: bytes) -> None: ...

    def put_several(self, channel: str, entries: list[Entry], several: Several) -> None: ...


@dataclass(frozen=True, slots=True)
class Join:
    """Deliver to `subscriber` from now on. `after`: it has everything up to there; None: from the
    head on. The reply is `Joined`, or `Behind` where it must read more first."""

    subscriber: Subscriber
    after: int | None


@dataclass(frozen=True, slots=True)
class Leave:
    subscriber: Subscriber


@dataclass(frozen=True, slots=True)
class News:
    """These entries were just committed here."""

    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody says that the channel has come to `head`; 0: nobody knows how far."""

    head: int


@dataclass(frozen=True, slots=True)
class Joined:
    """Every event after `head` is going to be delivered."""

    head: int


@dataclass(frozen=True, slots=True)
class Behind:
    head: int


@dataclass(frozen=True, slots=True)
class Events:
    """The events of all channels; `encode` makes what is sent of one, once for all readers."""

    log: Log
    streams: Streams
    encode: Callable[[str, Entry], bytes]
    sightings: Sightings = field(default_factory=Sightings)

    async def read(self, channel: str, after: int, limit: int) -> list[Entry]:
        """Entries from `after + 1` on: from the hot window, or below it from the log (E2).

        Raises LogUnavailable.
        """
        entries = None
        seen = self.sightings.now
        # Streams that froze are known to be unavailable before a read of them would give up (E3).
        if self.streams.available:
            with suppress(StreamsUnavailable):
                entries = await self.streams.read(channel, after, limit)
        if entries:
            seen.note(channel, entries[-1].seq)
        # An empty window says nothing: the head may be ahead of it.
        return entries or await self.log.read(channel, after, limit)


@dataclass(frozen=True, slots=True)
class Watch:
    """Have this process told of a channel's news, and told no more."""

    begin: Callable[[str], None]
    end: Callable[[str], None]


class ChannelActor:
    def __init__(self, channel: str, events: Events, watch: Watch) -> None:
        self._channel = channel
        self._events = events
        self._watch = watch
        self._subscribers: list[Subscriber] = []
        self._head: int | None = None
        self._seen = events.sightings.now

    def receive_now(self, message: object) -> bool:
        """Pass on news that follow what was told last: most of what happens here (E10)."""
        if not isinstance(message, News) or message.entries[0].seq != self._next:
            return False
        self._deliver_new(message.entries)
        return True

    async def receive(self, message: object) -> object:
        match message:
            case News(entries):
                return await self._news(entries)
            case Look(head):
                return await self._look(head)
            case Join(subscriber, after):
                return await self._join(subscriber, after)
            case Leave(subscriber):
                if subscriber in self._subscribers:
                    self._subscribers.remove(subscriber)
                return self._rest()
        raise TypeError(f"no such message: {message!r}")

    @property
    def _next(self) -> int | None:
        return None if self._head is None else self._head + 1

    async def _join(self, subscriber: Subscriber, after: int | None) -> object:
        head = await self._reach(after)
        if after is not None and after < head:
            if head - after > NEARLY_THERE:
                return Behind(head)
            missed = await self._events.read(self._channel, after, NEARLY_THERE)
            # Retention may have removed the first of them: that is for the reader to find.
            if not missed or missed[0].seq > after + 1 or missed[-1].seq < head:
                return Behind(head)
            self._deliver_new(missed)
            for entry in missed:
                subscriber.put(self._channel, entry, self._encoded(entry))
        if subscriber not in self._subscribers:
            self._subscribers.append(subscriber)
        return Joined(self._head if self._head is not None else head)

    async def _reach(self, after: int | None) -> int:
        """Our head, brought up to `after`: a subscriber may have been told more elsewhere."""
        if self._head is None:
            # Watch first: what is committed between the two is told, and skipped if it was read.
            self._watch.begin(self._channel)
            try:
                self._head = (await self._events.log.bounds(self._channel)).head
            except LogUnavailable:
                self._watch.end(self._channel)
                raise
        if after is not None and after > self._head:
            await self._read_up_to(after)
        return self._head

    async def _news(self, entries: list[Entry]) -> object:
        if self._head is None:
            return Drop()
        if entries[0].seq > self._head + 1:
            await self._read_up_to(entries[-1].seq)
        self._compare(entries[-1].seq)
        self._deliver_new(entries)
        return None

    async def _look(self, head: int) -> object:
        if self._head is None:
            return Drop()
        if head == 0 or head > self._head:
            await self._read_up_to(head)
        self._compare(head)
        return None

    def _compare(self, head: int) -> None:
        """Somebody who knows the log says that it ends before ours. Most often they are late."""
        if self._head is not None and 0 < head < self._head:
            self._seen.note(self._channel, self._head)

    async def _read_up_to(self, head: int) -> None:
        """Deliver what the log has beyond our head, at least up to `head`."""
        while True:
            assert self._head is not None
            before = self._head
            self._deliver_new(await self._events.read(self._channel, before, PAGE))
            # No progress: that is all there is, or retention has removed what comes next.
            if self._head == before or self._head >= head > 0:
                return

    def _deliver_new(self, entries: list[Entry]) -> None:
        new: list[Entry] = []
        encoded: list[bytes] = []
        size_bytes = 0
        for entry in entries:
            assert self._head is not None
            if entry.seq != self._head + 1:
                continue
            frame = self._encoded(entry)
            if new and size_bytes + len(frame) > SEVERAL_BYTES:
                self._put(new, encoded)
                new, encoded, size_bytes = [], [], 0
            new.append(entry)
            encoded.append(frame)
            size_bytes += len(frame)
            self._head = entry.seq
        if new:
            self._put(new, encoded)

    def _put(self, new: list[Entry], encoded: list[bytes]) -> None:
        """Give these to everybody: several at once, for a system call costs more than an event."""
        if len(new) == 1:
            for subscriber in self._subscribers:
                subscriber.put(self._channel, new[0], encoded[0])
            return
        several = Several(encoded)
        for subscriber in self._subscribers:
            subscriber.put_several(self._channel, new, several)

    def _encoded(self, entry: Entry) -> bytes:
        return self._events.encode(self._channel, entry)

    def _rest(self) -> object:
        if self._subscribers:
            return None
        if self._head is not None:
            self._watch.end(self._channel)
        return Drop()
