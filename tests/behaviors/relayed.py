"""A log, windows and processes in memory, to watch the relay at work.

The log is complete and true to its protocol; it and each process's way to the windows can be cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from pxbox.behaviors.relay import Pace, Relay
from pxbox.ports import Append, Bounds, Entry, LogUnavailable, OnWake, Streams, StreamsUnavailable
from pxbox.streams.memory import MemoryStreams

CHANNEL = "entity:x"
E3_SECONDS = 3.0
PATIENCE_SECONDS = 30.0


@dataclass
class MemoryLog:
    """`pxbox.ports.Log` over a dict. A batch is swept when it is `old_after` seconds old."""

    old_after: float = 1.0
    query_seconds: float = 0.0
    up: bool = True
    channels: dict[str, list[Entry]] = field(default_factory=dict)
    floors: dict[str, int] = field(default_factory=dict)
    batches: dict[int, tuple[float, list[str]]] = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)
    _batch: int = 0

    def commit(self, *channels: str) -> tuple[int, dict[str, list[tuple[int, bytes]]]]:
        """Log an event on each of the channels; return what the journal tells of that."""
        events: dict[str, list[tuple[int, bytes]]] = {}
        for channel in channels:
            entries = self.channels.setdefault(channel, [])
            seq = len(entries) + 1
            entries.append(Entry(seq, b"%d" % seq))
            events.setdefault(channel, []).append((seq, b"%d" % seq))
        self._batch += 1
        self.batches[self._batch] = (trio.current_time(), list(events))
        return self._batch, events

    def head(self, channel: str) -> int:
        return len(self.channels.get(channel, ()))

    def above(self, channel: str, after: int) -> list[Entry]:
        return self.channels.get(channel, [])[max(after, self.floors.get(channel, 0)) :]

    async def read(self, channel: str, after: int, limit: int) -> list[Entry]:
        await self._query("read")
        return self.above(channel, after)[:limit]

    async def newest(self, channel: str, limit: int) -> list[Entry]:
        await self._query("newest")
        return self.above(channel, 0)[-limit:]

    async def bounds(self, channel: str) -> Bounds:
        await self._query("bounds")
        return Bounds(self.floors.get(channel, 0), self.head(channel))

    async def heads(self, channels: Sequence[str]) -> dict[str, int]:
        await self._query("heads")
        return {channel: self.head(channel) for channel in channels}

    async def unrelayed(self, limit: int) -> list[tuple[int, list[str]]]:
        await self._query("unrelayed")
        old = trio.current_time() - self.old_after
        return [(n, names) for n, (at, names) in self.batches.items() if at < old][:limit]

    async def forget(self, batches: Sequence[int]) -> None:
        await self._query("forget")
        for batch in batches:
            self.batches.pop(batch, None)

    async def _query(self, name: str) -> None:
        self.queries.append(name)
        await trio.sleep(self.query_seconds)
        if not self.up:
            raise LogUnavailable("the log is cut off")


class Shared:
    """Windows that several processes share."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.lose_all()

    def lose_all(self) -> None:
        """Lose every window, as a restart would."""
        self.windows = MemoryStreams("epoch")
        self.windows.open(None, self._wake)
        for channel in {channel for line in self.lines for channel in line.watched}:
            self.windows.watch(channel)

    def _wake(self, channel: str, head: int) -> None:
        for line in self.lines:
            if line.up and channel in line.watched:
                line.on_wake(channel, head)


class Line:
    """One process's way to shared windows (`pxbox.ports.Streams`), which can be cut."""

    def __init__(self, shared: Shared) -> None:
        self.up = True
        self.watched: set[str] = set()
        self.on_wake: OnWake = lambda channel, head: None
        self.appends: list[Sequence[Append]] = []
        self._shared = shared
        shared.lines.append(self)

    @property
    def available(self) -> bool:
        return self.up

    async def append(self, appends: Sequence[Append]) -> list[int]:
        self._require()
        self.appends.append(appends)
        return await self._shared.windows.append(appends)

    async def reseed(self, append: Append) -> None:
        self._require()
        await self._shared.windows.reseed(append)

    async def read(self, channel: str, after: int, limit: int) -> list[Entry] | None:
        self._require()
        return await self._shared.windows.read(channel, after, limit)

    def watch(self, channel: str) -> None:
        self.watched.add(channel)
        self._shared.windows.watch(channel)

    def unwatch(self, channel: str) -> None:
        self.watched.discard(channel)

    def begin_epoch(self, epoch: str) -> None:
        self.watched.clear()

    def _require(self) -> None:
        if not self.up:
            raise StreamsUnavailable("this line is cut")


class Subscribers:
    """Who watches channels in one process; knows how far each was told that it goes."""

    def __init__(self) -> None:
        self.delivered: list[tuple[str, list[Entry]]] = []
        self.looks: list[tuple[str, int]] = []
        self._more = trio.Event()

    def deliver(self, channel: str, entries: list[Entry]) -> None:
        self.delivered.append((channel, entries))
        self._notify()

    def look(self, channel: str, head: int) -> None:
        self.looks.append((channel, head))
        self._notify()

    def head(self, channel: str) -> int:
        """The newest number that they have been told of, in either way."""
        given = [entries[-1].seq for name, entries in self.delivered if name == channel]
        return max(given + [head for name, head in self.looks if name == channel], default=0)

    async def until(self, channel: str, head: int) -> None:
        with trio.fail_after(PATIENCE_SECONDS):
            while self.head(channel) < head:
                await self._more.wait()

    def _notify(self) -> None:
        self._more.set()
        self._more = trio.Event()


class Process:
    """A broker's relay, with what it tells its subscribers."""

    def __init__(self, log: MemoryLog, streams: Streams, pace: Pace | None = None) -> None:
        self.log = log
        self.streams = streams
        self.subscribers = Subscribers()
        self.relay = Relay(log, streams, self.subscribers.deliver, self.subscribers.look, pace)

    def commit(self, *channels: str) -> int:
        """Commit an event on each, as the journal does; return the batch."""
        batch, events = self.log.commit(*channels)
        self.relay.logged(batch, events)
        return batch


Start = Callable[[], Process]


def line_of(process: Process) -> Line:
    assert isinstance(process.streams, Line)
    return process.streams


async def window(shared: Shared, channel: str = CHANNEL) -> list[int] | None:
    """The numbers in the window."""
    for after in range(5_000):
        entries = await shared.windows.read(channel, after, 2_000)
        if entries is not None:
            return [entry.seq for entry in entries]
    return None
