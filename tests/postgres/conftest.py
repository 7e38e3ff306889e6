"""A journal on a database of the test's own, with what the tests read beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest

from actors.journal import Commit
from pxbox.bridge import Bridge, open_bridge
from pxbox.postgres.journal import Logged, PostgresJournal
from pxbox.postgres.log import PostgresLog
from pxbox.postgres.reader import Reader
from pxbox.postgres.views import Views
from tests.postgres.sessions import Outcomes, Session


@dataclass
class OpenJournal:
    """`logged` is what the journal told of each batch; `relayed` is what it asks for next."""

    url: str
    bridge: Bridge
    journal: PostgresJournal
    views: Views
    log: PostgresLog
    logged: list[tuple[int, Logged]] = field(default_factory=list)
    relayed: list[int] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)

    async def query(self, text: str, *arguments: object) -> list[asyncpg.Record]:
        """The rows of a statement of the test's own, on a connection beside the journal's."""

        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.url)
            try:
                return await connection.fetch(text, *arguments)
            finally:
                await connection.close()

        return await self.bridge.run(fetch)

    async def session(self) -> BridgedSession:
        """A connection for transactions by hand; it ends with the database."""

        async def connect() -> Session:
            return Session(await asyncpg.connect(self.url))

        self.sessions.append(await self.bridge.run(connect))
        return BridgedSession(self.bridge, self.sessions[-1])

    async def until_writer_waits(self) -> None:
        """Wait until the journal's writer waits for a lock that another transaction holds."""
        waits = (
            "select from pg_stat_activity where datname = current_database()"
            " and application_name = 'pxbox writer' and wait_event_type = 'Lock'"
        )
        while not await self.query(waits):
            pass


@dataclass
class BridgedSession:
    """A `Session` to be used from trio."""

    bridge: Bridge
    session: Session

    async def begin(self) -> None:
        await self.bridge.run(self.session.begin)

    async def put(self, *commits: Commit) -> Outcomes:
        return await self.bridge.run(lambda: self.session.put(*commits))

    async def execute(self, text: str) -> None:
        await self.bridge.run(lambda: self.session.fetch(text))

    async def commit(self) -> None:
        await self.bridge.run(self.session.commit)

    async def rollback(self) -> None:
        await self.bridge.run(self.session.rollback)


@asynccontextmanager
async def open_journal(url: str, writer_url: str | None = None) -> AsyncIterator[OpenJournal]:
    """A journal on the database at `url`; it writes by way of `writer_url`, such as a proxy."""
    logged: list[tuple[int, Logged]] = []
    relayed: list[int] = []

    def take_relayed() -> list[int]:
        taken = relayed[:]
        relayed.clear()
        return taken

    async with open_bridge() as bridge:
        reader = Reader(url)
        reader.open(bridge)
        views = Views(reader)
        journal = PostgresJournal(
            writer_url or url,
            views,
            lambda batch, events: logged.append((batch, events)),
            take_relayed,
        )
        await journal.open(bridge)
        opened = OpenJournal(url, bridge, journal, views, PostgresLog(reader), logged, relayed)
        try:
            yield opened
        finally:
            for session in opened.sessions:
                session.terminate()


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[OpenJournal]:
    async with open_journal(database_url) as journal:
        yield journal
