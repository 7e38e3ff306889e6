"""The journal on PostgreSQL: commits of many actors, made durable together (the group commit).

A resident task drains the queue of commits, up to some hundreds at a time, and makes them
durable by one call of `px_commit`; meanwhile the next batch gathers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg
import trio

from actors.journal import (
    Commit,
    CommitRefused,
    Committed,
    Conflict,
    JournalFull,
    JournalUnavailable,
    OutcomeUnknown,
)  # fmt: skip
from pxbox.jobs import Job, Lane, LaneFull
from pxbox.model.errors import Unavailable
from pxbox.model.ids import new_ulid
from pxbox.postgres.batch import CALL, Batch
from pxbox.postgres.connection import Connection, ConnectionLost, NotConnected
from pxbox.postgres.statements import sql
from pxbox.postgres.views import Views

MOST_COMMITS = 300
QUEUE_BOUND = 10_000
# A batch that others keep in a deadlock or a serialization failure is retried this often.
RETRIES = 5

CommitJob = Job[Commit, Committed | Conflict]
Logged = Mapping[str, list[tuple[int, bytes]]]


@dataclass(slots=True)
class JournalStats:
    """Counters since the start, for the metrics."""

    commits: int = 0
    batches: int = 0
    largest_batch: int = 0
    busy_seconds: float = 0.0
    conflicts: dict[str, int] = field(default_factory=dict)
    unknown: int = 0


class PostgresJournal:
    """`actors.journal.Journal` on PostgreSQL.

    `on_logged(batch, events by channel)` is called once per durable batch, before any of its
    callers goes on; it must not block or raise. `relayed()` gives the batches
    that reached the hot windows since it was last called; their rows go with the next batch.
    """

    def __init__(
        self,
        dsn: str,
        views: Views,
        on_logged: Callable[[int, Logged], None],
        relayed: Callable[[], list[int]],
    ) -> None:
        self.stats = JournalStats()
        self._views = views
        self._on_logged = on_logged
        self._relayed = relayed
        self._queue: Lane[Commit, Committed | Conflict] = Lane(QUEUE_BOUND)
        # Its own, for whoever asks the database whether this process lives.
        self._connection = Connection(dsn, f"writer {new_ulid()}")
        self._clock = _Clock()
        self._residents: trio.Nursery

    async def open(self, residents: trio.Nursery) -> None:
        """Connect, and start the writer. The database must be migrated. Raises Unavailable."""
        try:
            now = await self._connection.use(lambda c: c.fetchval(sql("now")))
        except (NotConnected, ConnectionLost) as error:
            raise Unavailable(str(error)) from None
        self._clock.set(now)
        self._residents = residents
        residents.start_soon(self._write)

    @property
    def name(self) -> str:
        """Of its connection in the database, `application_name`: no other process has it."""
        return self._connection.name

    def queued(self) -> int:
        """How many commits wait for the next batch."""
        return len(self._queue)

    def now(self) -> datetime:
        """The database's time, as far as it is known here: off by a round trip at most."""
        return self._clock.now()

    async def commit(self, commit: Commit) -> Committed | Conflict:
        """Make `commit` durable, or say which guard failed.

        Raises JournalFull, JournalUnavailable and CommitRefused (nothing was done), or
        OutcomeUnknown. A caller's cancellation does not stop it.
        """
        try:
            return await self._queue.call(commit)
        except LaneFull:
            raise JournalFull from None

    async def load(self, table: str, id: str) -> Mapping[str, object] | None:
        try:
            return await self._views.load(table, id)
        except Unavailable as error:
            raise JournalUnavailable(error.detail) from None

    async def confirm(self, table: str, id: str, version: int) -> bool:
        try:
            return await self._views.confirm(table, id, version)
        except Unavailable as error:
            raise JournalUnavailable(error.detail) from None

    async def _write(self) -> None:
        try:
            while True:
                jobs = self._distinct(await self._queue.take(MOST_COMMITS))
                started = time.perf_counter()
                try:
                    await self._flush(jobs)
                except Exception as error:  # a bug must fail its own batch, not end the writer
                    _fail(jobs, OutcomeUnknown(type(error).__name__))
                self.stats.busy_seconds += time.perf_counter() - started
        finally:
            self._connection.close()

    def _distinct(self, jobs: list[CommitJob]) -> list[CommitJob]:
        """Keep at most one commit per row, alarm, wait and received message; the others wait for
        the next batch."""
        rows: set[tuple[str, str]] = set()
        kept: list[CommitJob] = []
        later: list[CommitJob] = []
        for job in jobs:
            mine = {(row.table, row.id) for row in job.payload.rows}
            mine |= {("alarm", alarm.id) for alarm in job.payload.alarms}
            mine |= {("wait", one.id) for one in job.payload.settlements}
            mine |= {("message", str(id)) for id in job.payload.received}
            if rows.isdisjoint(mine):
                rows |= mine
                kept.append(job)
            else:
                later.append(job)
        if later:
            self._queue.put_back(later)
        return kept

    async def _flush(self, jobs: list[CommitJob], attempt: int = 1, resent: bool = False) -> None:
        try:
            batch = Batch([job.payload for job in jobs])
        except Exception as error:  # nothing was sent: no commit of this journal's
            await self._bisect(jobs, error, resent)
            return
        arguments = batch.arguments(self._relayed())
        try:
            answer = await self._connection.use(lambda c: c.fetchrow(CALL, *arguments))
        except NotConnected as error:
            gone = OutcomeUnknown(str(error)) if resent else JournalUnavailable(str(error))
            _fail(jobs, gone)
        except ConnectionLost as error:
            await self._after_loss(jobs, error, resent)
        except asyncpg.PostgresError as error:
            await self._after_refusal(jobs, error, attempt, resent)
        else:
            assert answer is not None, "the function answers with one row"
            if self._queue:
                # What waits is sent first, so that the database works while callers are told: this
                # task does not yield before it has.
                self._residents.start_soon(self._settle_soon, jobs, batch, answer, resent)
            else:
                self._settle(jobs, batch, answer, resent)

    async def _settle_soon(
        self, jobs: list[CommitJob], batch: Batch, answer: asyncpg.Record, resent: bool
    ) -> None:
        try:
            self._settle(jobs, batch, answer, resent)
        except Exception as error:  # as in `_write`
            _fail(jobs, OutcomeUnknown(type(error).__name__))

    async def _after_loss(self, jobs: list[CommitJob], error: Exception, resent: bool) -> None:
        """Send the same commits once more: `px_commit` knows those that landed by their ids."""
        if resent:
            self.stats.unknown += len(jobs)
            _fail(jobs, OutcomeUnknown(str(error)))
        else:
            await self._flush(jobs, resent=True)

    async def _after_refusal(
        self, jobs: list[CommitJob], error: asyncpg.PostgresError, attempt: int, resent: bool
    ) -> None:
        """The server rolled the batch back and said why."""
        if (error.sqlstate or "").startswith("40") and attempt < RETRIES:
            await self._flush(jobs, attempt + 1, resent)
        else:
            await self._bisect(jobs, error, resent)

    async def _bisect(self, jobs: list[CommitJob], error: Exception, resent: bool) -> None:
        """One commit spoils the batch: halve it until that one fails alone."""
        if len(jobs) == 1:
            # Not in its own words: they may quote what was to be written (X5).
            state = getattr(error, "sqlstate", None)
            why = f"SQLSTATE {state}" if state else "it could not be encoded"
            _fail(jobs, CommitRefused(f"{type(error).__name__}: {why}"))
            return
        middle = len(jobs) // 2
        await self._flush(jobs[:middle], resent=resent)
        await self._flush(jobs[middle:], resent=resent)

    def _settle(
        self, jobs: list[CommitJob], batch: Batch, answer: asyncpg.Record, resent: bool
    ) -> None:
        self._clock.set(answer["now"])
        results, logged = batch.outcomes(answer)
        self.stats.commits += len(jobs)
        self.stats.batches += 1
        self.stats.largest_batch = max(self.stats.largest_batch, len(jobs))
        if logged:
            self._on_logged(answer["batch"], logged)
        for job, result in zip(jobs, results, strict=True):
            if isinstance(result, Conflict):
                guard = result.guard
                self.stats.conflicts[guard] = self.stats.conflicts.get(guard, 0) + 1
                if resent and guard == "version":
                    # Ours may have landed and have been followed by another's: no telling.
                    job.fail(OutcomeUnknown("the row has changed since the connection was lost"))
                    continue
            job.finish(result)


class _Clock:
    """The database's time between its answers, carried on by the monotonic clock."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._now: datetime | None = None

    def set(self, now: datetime) -> None:
        self._now, self._at = now, time.monotonic()

    def now(self) -> datetime:
        assert self._now is not None, "open() comes first"
        return self._now + timedelta(seconds=time.monotonic() - self._at)


def _fail(jobs: list[CommitJob], error: Exception) -> None:
    for job in jobs:
        job.fail(error)
