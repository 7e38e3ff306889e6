"""A journal on a database of the test's own, with what the tests read beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest

from pxbox.bridge import Bridge, open_bridge
from pxbox.postgres.journal import Logged, PostgresJournal
from pxbox.postgres.log import PostgresLog
from pxbox.postgres.reader import Reader
from pxbox.postgres.views import Views


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

    async def query(self, text: str, *arguments: object) -> list[asyncpg.Record]:
        """The rows of a statement of the test's own, on a connection beside the journal's."""

        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.url)
            try:
                return await connection.fetch(text, *arguments)
            finally:
                await connection.close()

        return await self.bridge.run(fetch)


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
        yield OpenJournal(url, bridge, journal, views, PostgresLog(reader), logged, relayed)


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[OpenJournal]:
    async with open_journal(database_url) as journal:
        yield journal
