"""The hot windows in this process alone, for a broker that has no other beside it (memory://)."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import islice

import trio

from pxbox.ports import Append, Entry, OnWake

WINDOW = 1_000
# Windows of channels that nobody watches; the least recently used one goes first.
MOST_IDLE = 10_000


class MemoryStreams:
    """`pxbox.ports.Streams` as ring buffers: always available, gone with the process."""

    def __init__(self, epoch: str, most_idle: int = MOST_IDLE) -> None:
        self.epoch = epoch
        self._most_idle = most_idle
        self._windows: dict[str, deque[Entry]] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()
        self._watched: set[str] = set()
        self._on_wake: OnWake = _nobody

    def open(self, residents: trio.Nursery | None, on_wake: OnWake) -> None:
        """Opened as all streams are; no resident task is needed here."""
        self._on_wake = on_wake

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()

    @property
    def available(self) -> bool:
        return True

    @property
    def trouble(self) -> str | None:
        return None

    def begin_epoch(self, epoch: str) -> None:
        self.epoch = epoch
        self._windows.clear()
        self._idle.clear()
        self._watched.clear()

    async def append(self, appends: Sequence[Append]) -> list[int]:
        await trio.lowlevel.checkpoint()
        return [self._append(append) for append in appends]

    async def reseed(self, append: Append) -> None:
        await trio.lowlevel.checkpoint()
        if self._append(append) < append.entries[-1].seq:
            del self._windows[append.channel]
            self._append(append)

    async def read(self, channel: str, after: int, limit: int) -> list[Entry] | None:
        await trio.lowlevel.checkpoint()
        window = self._windows.get(channel)
        if window is None:
            return None
        self._use(channel)
        skip = after + 1 - window[0].seq
        return None if skip < 0 else list(islice(window, skip, skip + limit))

    def watch(self, channel: str) -> None:
        self._watched.add(channel)
        self._idle.pop(channel, None)

    def unwatch(self, channel: str) -> None:
        self._watched.discard(channel)
        if channel in self._windows:
            self._use(channel)

    def _append(self, append: Append) -> int:
        """Extend the window, but not past a gap; its last number."""
        window = self._windows.setdefault(append.channel, deque(maxlen=WINDOW))
        self._use(append.channel)
        last = window[-1].seq if window else append.entries[0].seq - 1
        if append.entries[0].seq > last + 1:
            return last
        new = append.entries[last + 1 - append.entries[0].seq :]
        window.extend(new)
        if new and append.channel in self._watched:
            self._on_wake(append.channel, new[-1].seq)
        return window[-1].seq

    def _use(self, channel: str) -> None:
        if channel in self._watched:
            return
        self._idle[channel] = None
        self._idle.move_to_end(channel)
        if len(self._idle) > self._most_idle:
            oldest, _ = self._idle.popitem(last=False)
            del self._windows[oldest]


def _nobody(channel: str, head: int) -> None:
    """Nothing watches before `open`."""
