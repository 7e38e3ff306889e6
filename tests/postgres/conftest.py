"""A journal on a database of the test's own, with what the tests read beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest
import trio

from pxbox.jobs import open_residents
from pxbox.postgres.driver import connect
from pxbox.postgres.journal import Logged, PostgresJournal
from pxbox.postgres.log import PostgresLog
from pxbox.postgres.reader import Reader
from pxbox.postgres.views import Views
from tests.postgres.sessions import Session

SECONDS = 10.0


@dataclass
class OpenJournal:
    """`logged` is what the journal told of each batch; `relayed` is what it asks for next."""

    url: str
    residents: trio.Nursery
    journal: PostgresJournal
    views: Views
    log: PostgresLog
    logged: list[tuple[int, Logged]] = field(default_factory=list)
    relayed: list[int] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    on_logged: Callable[[], object] = lambda: None

    async def query(self, text: str, *arguments: object) -> list[asyncpg.Record]:
        """The rows of a statement of the test's own, on a connection beside the journal's."""
        connection = await connect(self.url, SECONDS)
        try:
            return await connection.fetch(text, *arguments)
        finally:
            connection.terminate()

    async def session(self) -> Session:
        """A connection for transactions by hand; it ends with the journal."""
        self.sessions.append(Session(await connect(self.url, SECONDS)))
        return self.sessions[-1]

    async def until_writer_waits(self) -> None:
        """Wait until the journal's writer waits for a lock that another transaction holds."""
        waits = (
            "select from pg_stat_activity where datname = current_database()"
            " and application_name like 'pxbox writer %' and wait_event_type = 'Lock'"
        )
        while not await self.query(waits):
            pass


@asynccontextmanager
async def open_journal(url: str, writer_url: str | None = None) -> AsyncIterator[OpenJournal]:
    """A journal on the database at `url`; it writes by way of `writer_url`, such as a proxy."""
    logged: list[tuple[int, Logged]] = []
    relayed: list[int] = []

    def note_logged(batch: int, events: Logged) -> None:
        logged.append((batch, events))
        made.on_logged()

    def take_relayed() -> list[int]:
        taken = relayed[:]
        relayed.clear()
        return taken

    async with open_residents() as residents:
        reader = Reader(url)
        reader.open(residents)
        views = Views(reader)
        journal = PostgresJournal(
            writer_url or url,
            views,
            note_logged,
            take_relayed,
        )
        await journal.open(residents)
        made = OpenJournal(url, residents, journal, views, PostgresLog(reader), logged, relayed)
        try:
            yield made
        finally:
            for session in made.sessions:
                session.terminate()


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[OpenJournal]:
    async with open_journal(database_url) as journal:
        yield journal
