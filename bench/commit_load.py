"""One process of `bench commit`: tasks that each make one commit after the other.

`python -m bench.commit_load` reads a `Job` as a line of JSON from standard input. When it could
begin it writes `"ready"` and reads the Unix time at which measuring starts, the same for all
processes of a run; it works from then on, and in the end writes an `Outcome`. The committing side
runs in it, the broker's journal or the peer's pool.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
import trio
import uvloop
from msgspec import Struct

from actors.journal import Commit, Committed
from bench.commits import Crowd, lifecycle
from bench.load import cpu_seconds, quantile, report
from bench.peers import plain_commits
from pxbox.jobs import open_residents
from pxbox.postgres.journal import Logged, PostgresJournal
from pxbox.postgres.reader import Reader
from pxbox.postgres.views import Views

clock = time.perf_counter
Write = Callable[[Commit], Awaitable[None]]


class Job(Struct):
    """Measure for `seconds`, with so many commits `waiting` at once."""

    side: Literal["journal", "plain"]
    database_url: str
    crowd: Crowd
    waiting: int
    seconds: float


class Outcome(Struct):
    """`commits` were measured, of all that were `acknowledged`; `cpu` in cores.

    `batch` is the mean number of commits in a transaction.
    """

    commits: int
    acknowledged: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu: float
    batch: float


class Meter:
    """Counts what ends between the start and the end of the measured time."""

    def __init__(self, start: float, seconds: float) -> None:
        self._start = clock() + start - time.time()
        self.end = self._start + seconds
        self._cpu: tuple[float, float] | None = None
        self._first = self._last = 0.0
        self._took: list[float] = []
        self.acknowledged = 0

    def ended(self, begun: float) -> None:
        """Note that a commit is done that was begun at that time."""
        now = clock()
        self.acknowledged += 1
        if now < self._start or self._last >= self.end:
            return
        if self._cpu is None:
            self._first, self._cpu = now, (cpu_seconds(), 0.0)
            return
        self._took.append(now - begun)
        self._last, self._cpu = now, (self._cpu[0], cpu_seconds())

    def outcome(self, batch: float) -> Outcome:
        if self._cpu is None or not self._took:
            raise RuntimeError("no commit ended in the measured time")
        took, elapsed = sorted(self._took), self._last - self._first
        return Outcome(
            commits=len(took),
            acknowledged=self.acknowledged,
            rate=len(took) / elapsed,
            p50_ms=quantile(took, 0.5) * 1e3,
            p99_ms=quantile(took, 0.99) * 1e3,
            cpu=(self._cpu[1] - self._cpu[0]) / elapsed,
            batch=batch,
        )


async def work(crowd: Crowd, write: Write, meter: Meter) -> None:
    """One waiting task: lifecycle after lifecycle until the end."""
    while clock() < meter.end:
        for commit in lifecycle(crowd):
            begun = clock()
            await write(commit)
            meter.ended(begun)


def agreed_start() -> float:
    """Say that this process is ready and wait to be told when measuring starts."""
    report("ready")
    return float(sys.stdin.buffer.readline())


class Relay:
    """Takes every durable batch for relayed at once: here nobody subscribes."""

    def __init__(self) -> None:
        self._batches: list[int] = []

    def on_logged(self, batch: int, _logged: Logged) -> None:
        self._batches.append(batch)

    def relayed(self) -> list[int]:
        batches, self._batches = self._batches, []
        return batches


async def by_journal(job: Job) -> Outcome:
    """Commit through the broker's journal, on trio."""
    relay = Relay()
    async with open_residents() as residents:
        reader = Reader(job.database_url)
        reader.open(residents)
        journal = PostgresJournal(job.database_url, Views(reader), relay.on_logged, relay.relayed)
        await journal.open(residents)
        meter = Meter(await trio.to_thread.run_sync(agreed_start), job.seconds)

        async def write(commit: Commit) -> None:
            result = await journal.commit(commit)
            if not isinstance(result, Committed):
                raise plain_commits.LostRace(str(result))

        async with trio.open_nursery() as nursery:
            for _ in range(job.waiting):
                nursery.start_soon(work, job.crowd, write, meter)
    return meter.outcome(journal.stats.commits / journal.stats.batches)


async def plainly(job: Job) -> Outcome:
    """Commit by plain asyncpg, on uvloop."""
    async with plain_commits.open_pool(job.database_url) as pool:
        meter = Meter(await asyncio.to_thread(agreed_start), job.seconds)

        async def write(commit: Commit) -> None:
            await plain_commits.commit(pool, commit)

        async with asyncio.TaskGroup() as group:
            for _ in range(job.waiting):
                group.create_task(work(job.crowd, write, meter))
    return meter.outcome(1.0)


def main() -> int:
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    gc.freeze()
    try:
        report(trio.run(by_journal, job) if job.side == "journal" else uvloop.run(plainly(job)))
    except Exception as error:
        print(f"commit load: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
