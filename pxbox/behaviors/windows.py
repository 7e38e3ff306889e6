"""The hot windows brought up to the log: gaps filled, or the window replaced (E2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import trio

from pxbox.behaviors.epoch import Sightings
from pxbox.ports import Append, Entry, Log, LogUnavailable, Streams, StreamsUnavailable

T = TypeVar("T")

WINDOW = 1_000
# What a window that is behind is offered at first; most often it lacks little.
LIKELY_MISSING = 50
MOST_AT_ONCE = 8


@dataclass(slots=True)
class WindowStats:
    """Counters since the start. `appended` counts entries that were sent, also to windows that had
    them already; the others count windows."""

    appended: int = 0
    gaps_filled: int = 0
    reseeded: int = 0


class Windows:
    """Appends to the hot windows. Every method may raise StreamsUnavailable and LogUnavailable,
    and can be repeated."""

    def __init__(self, log: Log, streams: Streams, sightings: Sightings) -> None:
        self.stats = WindowStats()
        self._log = log
        self._streams = streams
        self._sightings = sightings

    async def append(self, appends: Sequence[Append]) -> None:
        """Have every window reach the end of its appends."""
        seen = self._sightings.now
        lasts = await self._streams.append(appends)
        self.stats.appended += sum(len(append.entries) for append in appends)
        gaps: dict[str, tuple[int, int]] = {}
        for append, last in zip(appends, lasts, strict=True):
            if last < append.entries[-1].seq:
                gaps[append.channel] = (last, append.entries[-1].seq)
            elif last > append.entries[-1].seq:
                # Most often another process was quicker.
                seen.note(append.channel, last)
        await _each(gaps.items(), lambda gap: self._close(gap[0], *gap[1]))

    async def bring_up(self, channels: Iterable[str]) -> None:
        """Have the window of each channel reach the log's head."""
        heads = await self._log.heads(list(channels))
        await _each(heads.items(), lambda head: self._bring_up(*head))

    async def _bring_up(self, channel: str, head: int) -> None:
        if head == 0 or await self._streams.read(channel, head - 1, 1):
            return
        entries = await self._log.newest(channel, LIKELY_MISSING)
        if entries:
            await self.append([Append(channel, tuple(entries))])

    async def _close(self, channel: str, last: int, end: int) -> None:
        """Fill the gap after `last`, or replace the window where it is too wide for that."""
        if end - last <= WINDOW:
            entries = await self._log.read(channel, last, end - last)
            if entries:
                [again] = await self._streams.append([Append(channel, tuple(entries))])
                # Still a gap: retention has removed the first of them, or the window was lost.
                if again >= entries[-1].seq:
                    self.stats.gaps_filled += 1
                    return
        entries = await self._log.newest(channel, WINDOW)
        if entries:
            await self._streams.reseed(Append(channel, tuple(entries)))
            self.stats.reseeded += 1


def in_runs(appends: Iterable[Append]) -> list[Append]:
    """The same entries in as few appends as possible, each channel's in order."""
    entries: dict[str, list[Entry]] = {}
    for append in appends:
        entries.setdefault(append.channel, []).extend(append.entries)
    return [Append(channel, run) for channel, all_ in entries.items() for run in _runs(all_)]


def _runs(entries: list[Entry]) -> list[tuple[Entry, ...]]:
    if len(entries) == 1:
        return [tuple(entries)]
    # Two writers of one process may have told of their batches in the other order.
    entries.sort(key=lambda entry: entry.seq)
    ends = [n for n, (a, b) in enumerate(pairwise(entries), 1) if b.seq != a.seq + 1]
    return [tuple(entries[a:b]) for a, b in pairwise([0, *ends, len(entries)])]


async def _each(items: Collection[T], act: Callable[[T], Awaitable[None]]) -> None:
    """Do it for every item, a few at once; where some refuse, raise the first's refusal."""
    if not items:
        return
    waiting = iter(items)
    refusals: list[LogUnavailable | StreamsUnavailable] = []

    async def work() -> None:
        for item in waiting:
            if refusals:
                return
            try:
                await act(item)
            except (LogUnavailable, StreamsUnavailable) as refusal:
                refusals.append(refusal)

    async with trio.open_nursery() as nursery:
        for _ in range(MOST_AT_ONCE):
            nursery.start_soon(work)
    if refusals:
        raise refusals[0]
