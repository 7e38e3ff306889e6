"""Runs real brokers that end themselves by SIGKILL at a chosen point of their first commit, and
brokers and workers of flows that end at a chosen checkpoint (`flow_points`).

`python -m tests.crash.launcher SOCKET` listens there. Each connection is one process: it is sent a
`Launch` as a line of JSON, and hears the process's pid, what it prints, its last words, and its end
as the end of the connection. All are forked from one process that has done the imports, which
are most of a start.

Nothing in the product knows of this: what is wrapped here are the ports, from outside.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import msgspec
import trio

import pxbox.app.transports
import pxbox.cli.greeting
import pxbox.cli.serve
import pxbox.cli.worker  # noqa: F401 (imported before the fork, as are the others)
from actors.journal import Commit, Committed, Conflict
from pxbox.cli import main
from pxbox.ports import Append
from pxbox.postgres.batch import CALL, Batch
from pxbox.postgres.connection import Connection
from pxbox.postgres.journal import PostgresJournal
from pxbox.streams.redis import RedisStreams
from pxbox.tcp import Wire
from tests.crash.flow_points import Points

LAST_WORDS = b"killed: "


class Point(StrEnum):
    """Where a broker ends, in the life of the first commit that has events."""

    BEFORE_COMMIT = "before the commit is sent"
    COMMITTING = "after the commit was sent, before its answer"
    COMMITTED = "after the answer, before the reply to the caller"
    BEFORE_APPEND = "after the reply, before the append to Redis"
    APPENDED = "after the append, before it is forgotten that it had to be made"


class Launch(msgspec.Struct):
    """`log` gets the standard error. `point` None: it lives until it is ended from outside.
    `replies`: somebody waits for a reply to the commit, and is to have it before the append.
    `flow_points`: the directory of the points of flows that it heeds."""

    arguments: Sequence[str]
    environ: dict[str, str]
    log: str
    point: Point | None
    replies: bool = True
    flow_points: str | None = None


def serve(path: Path) -> None:
    """Fork a process for each connection, for ever."""
    # Nobody waits for the children here: their ends are seen by their connections.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    os._exit(_launch(connection))


def _launch(connection: socket.socket) -> int:
    """Be the process that is asked for, and return its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection.makefile("rb") as said:
        launch = msgspec.json.decode(said.readline(), type=Launch)
    connection.sendall(b"%d\n" % os.getpid())
    os.dup2(connection.fileno(), sys.stdout.fileno())
    connection.close()
    with Path(launch.log).open("wb") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    os.environ.update(launch.environ)
    if launch.point is not None:
        Ending(launch.point, launch.replies).arm()
    if launch.flow_points is not None:
        Points(Path(launch.flow_points)).arm()
    return main(launch.arguments)


class Ending:
    """Wraps the ports of this process so that it ends at `point`."""

    def __init__(self, point: Point, replies: bool) -> None:
        self._point = point
        self._committed = False
        self._replied = trio.Event()
        if not replies:
            self._replied.set()

    def arm(self) -> None:
        match self._point:
            case Point.BEFORE_COMMIT | Point.COMMITTED:
                self._end_around_commit()
            case Point.COMMITTING:
                self._end_while_committing()
            case Point.BEFORE_APPEND | Point.APPENDED:
                self._end_around_append()

    def _end_around_commit(self) -> None:
        commit_really = PostgresJournal.commit

        async def commit(journal: PostgresJournal, commit: Commit) -> Committed | Conflict:
            if commit.events and self._point is Point.BEFORE_COMMIT:
                self._end()
            outcome = await commit_really(journal, commit)
            if commit.events:
                assert isinstance(outcome, Committed)
                self._end()
            return outcome

        _replace(PostgresJournal, commit)

    def _end_while_committing(self) -> None:
        use_really = Connection.use

        async def use(
            connection: Connection, statement: Callable[[asyncpg.Connection], Awaitable[Any]]
        ) -> Any:
            return await use_really(connection, lambda c: self._end_once_sent(c, statement))

        _replace(Connection, use)

    async def _end_once_sent(
        self,
        connection: asyncpg.Connection,
        statement: Callable[[asyncpg.Connection], Awaitable[Any]],
    ) -> Any:
        spy = _Spy(connection, self._end)
        return await statement(spy)  # type: ignore[arg-type]

    def _end_around_append(self) -> None:
        commit_really, send_really = PostgresJournal.commit, Wire.send_all
        append_really = RedisStreams.append

        async def commit(journal: PostgresJournal, commit: Commit) -> Committed | Conflict:
            # Before: the append may begin before the outcome is seen here.
            self._committed = self._committed or bool(commit.events)
            return await commit_really(journal, commit)

        async def send_all(wire: Wire, data: bytes) -> None:
            await send_really(wire, data)
            if self._committed and data.startswith(b"HTTP/1.1 2"):
                self._replied.set()

        async def append(streams: RedisStreams, appends: Sequence[Append]) -> list[int]:
            if self._committed and self._point is Point.APPENDED:
                await append_really(streams, appends)
            if self._committed:
                await self._replied.wait()
                self._end()
            return await append_really(streams, appends)

        _replace(PostgresJournal, commit)
        _replace(Wire, send_all)
        _replace(RedisStreams, append)

    def _end(self) -> NoReturn:
        os.write(sys.stdout.fileno(), LAST_WORDS + self._point.encode() + b"\n")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it is dead")


def _replace(owner: type, method: Callable[..., Awaitable[Any]]) -> None:
    setattr(owner, method.__name__, method)


class _Spy:
    """An asyncpg connection on which the call of `px_commit` is sent, and its answer never read."""

    def __init__(self, connection: asyncpg.Connection, end: Callable[[], NoReturn]) -> None:
        self._connection = connection
        self._end = end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetchrow(self, query: str, *arguments: object) -> Any:
        if query != CALL:
            return await self._connection.fetchrow(query, *arguments)
        # So that the statement is known, and all that is sent below is its execution.
        await self._connection.fetchrow(query, *Batch([]).arguments([]))
        transport = self._connection._transport  # type: ignore[attr-defined]
        write_really = transport.write

        def write(data: bytes) -> None:
            write_really(data)
            assert transport.get_write_buffer_size() == 0, "the kernel has not taken all of it"
            self._end()

        transport.write = write
        return await self._connection.fetchrow(query, *arguments)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
