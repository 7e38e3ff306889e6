"""The peer of `bench commit`: one transaction per commit, by plain asyncpg with a pool.

The same rows, guards and events in the same tables as the broker's journal writes, each commit as
one statement, so in one transaction and one round trip. Left out, to its advantage: the row that
remembers which channels may not have been relayed yet.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from actors.journal import AlarmSet, Commit, Row
from bench.peers.steps import SQL

POOL_SIZE: Final = 16


class LostRace(Exception):
    """A guard failed where the benchmark expects none to."""


async def no_reset(_connection: object) -> None:
    """Nothing here leaves state on a connection, so the pool's reset round trip is not needed."""


@asynccontextmanager
async def open_pool(database_url: str) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    async with asyncpg.create_pool(
        database_url, min_size=POOL_SIZE, max_size=POOL_SIZE, reset=no_reset
    ) as pool:
        yield pool


async def commit(pool: asyncpg.Pool[asyncpg.Record], commit: Commit) -> dict[str, int]:
    """Make one commit durable and return its events' numbers by channel. Raises LostRace."""
    name, arguments = statement(commit)
    rows = await pool.fetch(SQL[name], *arguments)
    if not rows:
        raise LostRace(commit.rows[0].id)
    return {row["name"]: row["head"] for row in rows}


def statement(commit: Commit) -> tuple[str, list[object]]:
    """The name of the statement that writes such a commit, and its arguments."""
    row, (event,) = commit.rows[0], commit.events
    told: list[object] = [event.id, event.data.decode(), list(event.channels)]
    if row.version == 1:
        addressees = [link.right for link in commit.links]
        return "plain_create", [*_created(row, commit), addressees, *told]
    state = [row.id, row.version, commit.id, row.values["status"], row.values["state"]]
    (alarm,) = commit.alarms
    if isinstance(alarm, AlarmSet):
        return "plain_claim", [*state, alarm.id, alarm.due, *told]
    response = commit.rows[1]
    names = ("payload", "answered_by", "client", "answered_at")
    answered = [response.id, *(response.values[name] for name in names)]
    return "plain_answer", [*state, alarm.id, *answered, *told]


def _created(row: Row, commit: Commit) -> list[object]:
    names = ("status", "state", "requestor", "created_at", "schema_hash")
    return [row.id, commit.id, *(row.values[name] for name in names)]
