"""The relay: brings what was committed to the subscribers, here and in other processes (E2, E3).

Whoever commits does not have to live. What is committed here is delivered here at once and
appended to the hot windows, whose wakes reach the other processes; what could not be appended,
or was committed by a process that died, is swept from the log's list of unrelayed batches.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import trio

from pxbox.behaviors.epoch import Sightings
from pxbox.behaviors.lookout import Look, Lookout
from pxbox.behaviors.windows import Windows, in_runs
from pxbox.ports import Append, Entry, Log, LogUnavailable, Streams, StreamsUnavailable

Deliver = Callable[[str, list[Entry]], None]

QUEUE_BYTES = 16 * 1024 * 1024
APPEND_BYTES = 512 * 1024
MOST_APPENDS = 500
MOST_SWEPT = 500
# What an entry costs beside its data, roughly; most are small.
ENTRY_BYTES = 200
UNRELAYED_AFTER_SECONDS = 1.0
"""How old a batch is before it is swept (the log's rule)."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the relay acts, in seconds.

    E3's 3 s, whichever one thing goes wrong: a batch left behind is 1 s old and found within 0.7 s
    more; frozen streams are noticed within 1.6 s and the log is asked within 0.2 s more.
    """

    gather: float = 0.01
    forget: float = 0.5
    sweep: float = 0.5
    poll: float = 1.0
    glance: float = 0.2


@dataclass(frozen=True, slots=True)
class RelayStats:
    """Counters since the start, but for the two times.

    `lag_seconds`: from its commit to its append, for the batch that was appended last.
    `appended` counts entries, `gaps_filled` and `reseeded` windows, `swept` batches of any
    process, `dropped` batches of this one that were left to the sweepers.
    """

    appended: int
    gaps_filled: int
    reseeded: int
    swept: int
    dropped: int
    oldest_unrelayed_seconds: float
    lag_seconds: float


@dataclass(frozen=True, slots=True)
class _Batch:
    id: int
    appends: list[Append]
    size_bytes: int
    at: float


class Relay:
    """`deliver` and `look` are called for channels that may have subscribers here; neither may
    block or raise. After `look(channel, head)` the receiver reads what it lacks, from the hot
    window or the log, and tries again itself where that fails.
    """

    def __init__(
        self,
        log: Log,
        streams: Streams,
        deliver: Deliver,
        look: Look,
        pace: Pace | None = None,
        sightings: Sightings | None = None,
    ) -> None:
        self._log = log
        self._streams = streams
        self._deliver = deliver
        self._pace = pace or Pace()
        self._lookout = Lookout(log, streams, look, self._pace.poll, self._pace.glance)
        self._windows = Windows(log, streams, sightings or Sightings())
        self._queue: deque[_Batch] = deque()
        self._queue_bytes = 0
        self._queued = trio.Event()
        self._relayed: list[int] = []
        self._relayed_at = 0.0
        self._some_relayed = trio.Event()
        self._swept = self._dropped = 0
        self._lag_seconds = 0.0
        self._left_at: float | None = None
        self._last_left_at = float("-inf")

    def watch(self, channel: str) -> None:
        """Have `look` called for this channel's news from now on."""
        self._lookout.watch(channel)

    def unwatch(self, channel: str) -> None:
        self._lookout.unwatch(channel)

    def begin_epoch(self, epoch: str) -> None:
        """Have other windows, and watch nothing: what was told so far is of another epoch."""
        self._lookout.clear()
        self._streams.begin_epoch(epoch)
        # The database may have given their numbers to other batches.
        self._relayed.clear()

    def wake(self, channel: str, head: int) -> None:
        """What the streams are opened with as `on_wake`."""
        self._lookout.wake(channel, head)

    def logged(self, batch: int, events: Mapping[str, list[tuple[int, bytes]]]) -> None:
        """Deliver and relay what has just become durable; each channel's events without a gap.

        In trio's thread; neither blocks nor raises.
        """
        appends = [
            Append(channel, tuple([Entry(*event) for event in numbered]))
            for channel, numbered in events.items()
        ]
        for append in appends:
            self._lookout.note(append.channel, append.entries[-1].seq)
            self._deliver(append.channel, list(append.entries))
        size = sum(ENTRY_BYTES + len(entry.data) for a in appends for entry in a.entries)
        queued = _Batch(batch, appends, size, trio.current_time())
        if self._queue_bytes + size <= QUEUE_BYTES:
            self._queue.append(queued)
            self._queue_bytes += size
            self._queued.set()
        else:
            self._leave([queued])

    def relayed(self) -> list[int]:
        """The batches that reached the hot windows since this was last called.

        The caller deletes them with its next commit. If that fails, they are swept.
        """
        relayed, self._relayed = self._relayed, []
        self._some_relayed = trio.Event()
        return relayed

    def stats(self) -> RelayStats:
        windows = self._windows.stats
        return RelayStats(
            appended=windows.appended,
            gaps_filled=windows.gaps_filled,
            reseeded=windows.reseeded,
            swept=self._swept,
            dropped=self._dropped,
            oldest_unrelayed_seconds=self._oldest_unrelayed_seconds(),
            lag_seconds=self._lag_seconds,
        )

    async def run(self) -> None:
        """Relay until cancelled. What is queued then is swept, by another process or later."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._append_queued)
            nursery.start_soon(self._forget_relayed)
            nursery.start_soon(self._sweep_at_times)
            nursery.start_soon(self._lookout.run)

    async def _append_queued(self) -> None:
        while True:
            await self._queued.wait()
            # Subscribers here have been told; to those elsewhere, many travel as cheaply as one.
            await trio.sleep(self._pace.gather)
            batches = self._next_batches()
            if not batches:
                self._queued = trio.Event()
                continue
            try:
                await self._windows.append(in_runs(a for batch in batches for a in batch.appends))
            except (StreamsUnavailable, LogUnavailable):
                self._leave(batches)
            else:
                self._note_relayed(batches)
            finally:
                self._take_off(batches)

    def _next_batches(self) -> list[_Batch]:
        """The first of the queue, as many as are appended at once; they stay in it so long."""
        taken: list[_Batch] = []
        size = count = 0
        for batch in self._queue:
            size += batch.size_bytes
            count += len(batch.appends)
            if taken and (size > APPEND_BYTES or count > MOST_APPENDS):
                break
            taken.append(batch)
        return taken

    def _take_off(self, batches: list[_Batch]) -> None:
        for batch in batches:
            self._queue.popleft()
            self._queue_bytes -= batch.size_bytes

    def _leave(self, batches: list[_Batch]) -> None:
        """Leave them to the sweepers."""
        self._dropped += len(batches)
        if self._left_at is None:
            self._left_at = batches[0].at
        self._last_left_at = batches[-1].at

    def _note_relayed(self, batches: list[_Batch]) -> None:
        self._lag_seconds = trio.current_time() - batches[-1].at
        if not self._relayed:
            self._relayed_at = trio.current_time()
        self._relayed += [batch.id for batch in batches]
        self._some_relayed.set()

    async def _forget_relayed(self) -> None:
        """Have those forgotten that no commit has taken for a while."""
        while True:
            await self._some_relayed.wait()
            due = self._relayed_at + self._pace.forget
            if trio.current_time() < due:
                await trio.sleep_until(due)
                continue
            try:
                await self._log.forget(self.relayed())
            except LogUnavailable:
                # The sweepers find them again.
                await trio.sleep(self._pace.forget)

    async def _sweep_at_times(self) -> None:
        pause = self._pace.sweep
        while True:
            await trio.sleep(pause * random.uniform(0.6, 1.4))
            if not self._streams.available:
                continue
            try:
                await self._sweep()
            except (StreamsUnavailable, LogUnavailable):
                pause = 2 * self._pace.sweep
            else:
                pause = self._pace.sweep

    async def _sweep(self) -> None:
        """Bring up the windows of all batches that are old enough, of whatever process."""
        while True:
            old_at = trio.current_time() - UNRELAYED_AFTER_SECONDS
            rows = await self._log.unrelayed(MOST_SWEPT)
            # A long list takes its time, and the newest batches are at its end.
            self._lookout.wary = len(rows) == MOST_SWEPT
            if rows:
                self._left_at = old_at if self._left_at is None else self._left_at
                await self._windows.bring_up({channel for _, names in rows for channel in names})
                await self._log.forget([batch for batch, _ in rows])
                self._swept += len(rows)
            if len(rows) < MOST_SWEPT:
                # Those left just now were too young to be in the list.
                self._left_at = old_at if self._last_left_at > old_at else None
                return

    def _oldest_unrelayed_seconds(self) -> float:
        """As far as is known here: what waits, and what was left to the sweepers."""
        since = [batch.at for batch in list(self._queue)[:1]]
        since += [] if self._left_at is None else [self._left_at]
        return trio.current_time() - min(since) if since else 0.0
