"""What brokers have left in Postgres and Valkey, read past them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
import redis
import trio

from tests.brokers import Brokers
from tests.servers import DEADLINE_SECONDS, AsyncpgThread

GLANCE_SECONDS = 0.02

_UNSOUND_CHANNELS = """
select c.name, c.head, count(e.seq) as events, min(e.seq) as first, max(e.seq) as last
  from channel c full join event e on e.channel = c.name
 group by c.name, c.head
having c.name is null or count(e.seq) <> c.head or max(e.seq) <> c.head or min(e.seq) <> 1
"""


class Database(AsyncpgThread):
    """A connection of the test's own to the brokers' database."""

    def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows of a query."""
        rows: list[asyncpg.Record] = self._call(self._connection.fetch(query, *arguments))
        return rows

    def value(self, query: str, *arguments: object) -> Any:
        """The first value of a query's first row; None where there is no row."""
        return self._call(self._connection.fetchval(query, *arguments))

    def unsound_channels(self) -> list[asyncpg.Record]:
        """The channels whose events are not numbered 1 to n = head, each once (E1)."""
        return self.fetch(_UNSOUND_CHANNELS)

    def events(self, channel: str) -> list[tuple[int, str, str]]:
        """(seq, id, type) of a channel's events, in order."""
        rows = self.fetch(
            "select seq, id, data ->> 'type' as type from event where channel = $1 order by seq",
            channel,
        )
        return [(row["seq"], row["id"], row["type"]) for row in rows]

    def heads(self) -> dict[str, int]:
        return {row["name"]: row["head"] for row in self.fetch("select name, head from channel")}


@contextmanager
def open_database(url: str) -> Iterator[Database]:
    """Connect while the block lasts."""
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def windows_behind(database: Database, redis_url: str) -> dict[str, tuple[int, int]]:
    """The channels whose hot window is not the newest events up to the head: (newest, head)."""
    epoch = database.value("select epoch from installation")
    behind = {}
    with redis.Redis.from_url(redis_url, socket_timeout=DEADLINE_SECONDS) as client:
        for channel, head in database.heads().items():
            ids = client.xrange(f"px:{{{channel}}}:{epoch}")
            seqs = [int(id.partition(b"-")[0]) for id, _ in ids]
            if not seqs or seqs != list(range(head - len(seqs) + 1, head + 1)):
                behind[channel] = (seqs[-1] if seqs else 0, head)
    return behind


async def eventually(
    holds: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS
) -> None:
    """Return once `holds()`, which is asked in a thread again and again, is true.

    Raises AssertionError, with `what` should have come to hold, past the deadline.
    """
    with trio.move_on_after(seconds):
        while not await trio.to_thread.run_sync(holds):
            await trio.sleep(GLANCE_SECONDS)
        return
    raise AssertionError(f"not within {seconds:g} s: {what}")


async def assert_sound(brokers: Brokers, database: Database) -> None:
    """Every channel is 1..n, and every hot window comes to reach its head (E1, E2, E3)."""
    assert database.unsound_channels() == []
    await eventually(
        lambda: database.value("select count(*) from unrelayed") == 0, "all batches are relayed"
    )
    assert windows_behind(database, brokers.redis_url) == {}


@pytest.fixture
def database(brokers: Brokers) -> Iterator[Database]:
    """The database of `brokers`, read past them."""
    with open_database(brokers.database_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def module_database(module_brokers: Brokers) -> Iterator[Database]:
    """The database of `module_brokers`, read past them."""
    with open_database(module_brokers.database_url) as opened:
        yield opened
