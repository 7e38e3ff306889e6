"""Connections that call `px_commit` by hand, so that a test can interleave their transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg

from actors.journal import Commit, Committed, Conflict, Row
from pxbox.postgres.batch import CALL, Batch

T = TypeVar("T")

Outcomes = list[Committed | Conflict]

_DEADLINE_SECONDS = 30.0


def run_asyncio(task: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on a plain asyncio loop."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(asyncio.wait_for(task(), _DEADLINE_SECONDS))


class Session:
    """One connection with a transaction of its own."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._transaction = connection.transaction(isolation="read_committed")

    @property
    def pid(self) -> int:
        return self._connection.get_server_pid()

    async def begin(self) -> None:
        self._transaction = self._connection.transaction(isolation="read_committed")
        await self._transaction.start()

    async def execute(self, statement: str) -> None:
        await self._connection.execute(statement)

    async def put(self, *commits: Commit) -> Outcomes:
        """Call `px_commit` with these; what it did lasts only once `commit` was called."""
        batch = Batch(commits)
        answer = await self._connection.fetchrow(CALL, *batch.arguments(()))
        assert answer is not None
        results, _ = batch.outcomes(answer)
        return results

    async def commit(self) -> None:
        await self._transaction.commit()

    async def rollback(self) -> None:
        await self._transaction.rollback()

    async def whole(self, *commits: Commit) -> Outcomes:
        """The same in a transaction of its own, durable."""
        await self.begin()
        try:
            outcomes = await self.put(*commits)
        except asyncpg.PostgresError:
            await self.rollback()
            raise
        await self.commit()
        return outcomes

    def terminate(self) -> None:
        self._connection.terminate()

    async def fetch(self, text: str, *arguments: object) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self._connection.fetch(text, *arguments)]


class Sessions:
    """Sessions on one database; `eye` sees what is durable, and who waits for whom."""

    def __init__(self, url: str, eye: Session) -> None:
        self.eye = eye
        self._url = url
        self._opened: list[asyncpg.Connection] = []

    async def open(self) -> Session:
        connection = await asyncpg.connect(self._url)
        self._opened.append(connection)
        return Session(connection)

    async def pair(self) -> tuple[Session, Session]:
        return await self.open(), await self.open()

    async def blocked(self, session: Session, pending: asyncio.Future[Any]) -> None:
        """Wait until `session` waits for a lock that another transaction holds."""
        while not pending.done():
            [(waits,)] = await self.eye.fetch(
                "select cardinality(pg_blocking_pids($1)) > 0", session.pid
            )
            if waits:
                return
        pending.result()
        raise AssertionError("it did not wait for the other")

    async def passed(self, time: datetime) -> None:
        """Wait until the database's clock has come to `time`."""
        while not (await self.eye.fetch("select clock_timestamp() >= $1", time))[0][0]:
            pass

    async def now(self) -> datetime:
        [(now,)] = await self.eye.fetch("select clock_timestamp()")
        assert isinstance(now, datetime)
        return now

    async def log(self, channel: str) -> list[tuple[int, str]]:
        """(number, event id) of a channel; its counter must agree with it."""
        log = await self.eye.fetch(
            "select seq, id from event where channel = $1 order by seq", channel
        )
        heads = await self.eye.fetch("select head from channel where name = $1", channel)
        assert [head for (head,) in heads] == ([log[-1][0]] if log else [])
        return [(seq, id) for seq, id in log]

    async def close(self) -> None:
        for connection in self._opened:
            connection.terminate()


@asynccontextmanager
async def open_sessions(url: str) -> AsyncIterator[Sessions]:
    eye = await asyncpg.connect(url)
    sessions = Sessions(url, Session(eye))
    try:
        yield sessions
    finally:
        await sessions.close()
        eye.terminate()


def with_sessions(url: str, body: Callable[[Sessions], Awaitable[None]]) -> None:
    """Run a test's body on a plain asyncio loop with sessions on the database."""

    async def run() -> None:
        async with open_sessions(url) as sessions:
            await body(sessions)

    run_asyncio(run)


def request_row(id: str, version: int, **values: object) -> Row:
    """A valid row of `request`; `values` replace columns."""
    created: dict[str, object] = {
        "requestor": "asker",
        "created_at": datetime(2030, 1, 1, tzinfo=UTC),
        "schema_hash": "hash",
        "ui_hints": "null",
        "prefill": "null",
        "meta": "{}",
    }
    first = created if version == 1 else {}
    return Row(
        "request",
        id,
        version,
        {"status": "PENDING", "state": f'{{"v":{version}}}', **first} | values,
    )
