"""Reads: a few resident tasks with a connection each, and loads of rows in batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import asyncpg
import trio

from pxbox.jobs import Job, Lane, LaneFull
from pxbox.model.errors import Overloaded, Unavailable
from pxbox.postgres.connection import Connection, ConnectionLost, NotConnected
from pxbox.postgres.statements import sql

R = TypeVar("R")
Statement = Callable[[asyncpg.Connection], Awaitable[Any]]
RowKey = tuple[str, str]

READERS = 3
LISTERS = 2
# Statements that find little by its key are planned once, and for no other way: see
# `migrations/0014_commit_plans.sql`.
# Before PostgreSQL 18 what has no other way counts as so costly that it would be compiled.
KEY_SETTINGS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
# A list's plan depends on which filters it has: one for all of them would read everything.
LIST_SETTINGS = {"plan_cache_mode": "force_custom_plan", "jit": "off"}
QUEUE_BOUND = 10_000
MOST_ROWS = 500
TABLES = ("request", "entity", "flow")


class Reader:
    """Runs read statements. Raises Unavailable where the database cannot be reached in time,
    Overloaded where too many reads wait."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._statements: Lane[Statement, Any] = Lane(QUEUE_BOUND)
        self._lists: Lane[Statement, Any] = Lane(QUEUE_BOUND)
        self._rows: Lane[RowKey, asyncpg.Record | None] = Lane(QUEUE_BOUND)

    def open(self, residents: trio.Nursery) -> None:
        for n in range(READERS):
            connection = Connection(self._dsn, f"reader {n}", **KEY_SETTINGS)
            residents.start_soon(self._serve, self._statements, connection)
        for n in range(LISTERS):
            connection = Connection(self._dsn, f"lister {n}", **LIST_SETTINGS)
            residents.start_soon(self._serve, self._lists, connection)
        residents.start_soon(self._serve_rows)

    async def fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows of the statement `sql/<name>.sql`."""
        text = sql(name)
        rows = await self._run(self._statements, lambda c: c.fetch(text, *arguments))
        return cast(list[asyncpg.Record], rows)

    async def fetch_list(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        """The same for a statement that is planned for these very arguments, and may take long:
        what is short does not wait behind it."""
        text = sql(name)
        rows = await self._run(self._lists, lambda c: c.fetch(text, *arguments))
        return cast(list[asyncpg.Record], rows)

    async def fetch_one(self, name: str, *arguments: object) -> asyncpg.Record | None:
        text = sql(name)
        row = await self._run(self._statements, lambda c: c.fetchrow(text, *arguments))
        return cast(asyncpg.Record | None, row)

    async def row(self, table: str, id: str) -> asyncpg.Record | None:
        """The version and state of one row as of after this call; many are read at once (S3)."""
        try:
            return await self._rows.call((table, id))
        except LaneFull:
            raise Overloaded("too many reads are waiting; try again in a moment") from None

    async def _run(self, lane: Lane[Statement, Any], statement: Statement) -> Any:
        try:
            return await lane.call(statement)
        except LaneFull:
            raise Overloaded("too many reads are waiting; try again in a moment") from None

    async def _serve(self, lane: Lane[Statement, Any], connection: Connection) -> None:
        try:
            while True:
                for job in await lane.take(1):
                    await _perform(connection, job)
        finally:
            connection.close()

    async def _serve_rows(self) -> None:
        connection = Connection(self._dsn, "rows", **KEY_SETTINGS)
        try:
            while True:
                jobs = await self._rows.take(MOST_ROWS)
                await _read_rows(connection, jobs)
        finally:
            connection.close()


async def _read_rows(
    connection: Connection, jobs: list[Job[RowKey, asyncpg.Record | None]]
) -> None:
    wanted: dict[str, list[str]] = {table: [] for table in TABLES}
    for job in jobs:
        table, id = job.payload
        wanted[table].append(id)
    ids = list(wanted.values())
    batch: Job[Statement, Any] = Job(lambda c: c.fetch(sql("rows"), *ids))
    await _perform(connection, batch)
    try:
        found = {(row["table"], row["id"]): row for row in batch.result()}
    except Exception as error:
        for job in jobs:
            job.fail(error)
        return
    for job in jobs:
        job.finish(found.get(job.payload))


async def _perform(connection: Connection, job: Job[Statement, Any]) -> None:
    """Run one read; repeat it once on a new connection where the first broke."""
    try:
        try:
            job.finish(await connection.use(job.payload))
        except ConnectionLost:
            job.finish(await connection.use(job.payload))
    except NotConnected as error:
        job.fail(Unavailable(f"{error}; try again shortly"))
    except ConnectionLost as error:
        job.fail(Unavailable(f"the database was lost: {error}; try again shortly"))
    except Exception as error:  # the caller's mistake, or ours: the reader goes on
        job.fail(error)
