"""The check after each run of `bench commit` sees what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest
import uvloop

from bench.peers.steps import SQL
from bench.stack import execute
from tests.servers import with_database


@pytest.fixture
def peer_tables(postgres_url: str) -> Iterator[str]:
    """The URL of a database with the peer's tables, of this test's own."""
    url = with_database(postgres_url, "check_test")
    uvloop.run(execute(postgres_url, "create database check_test"))
    try:
        uvloop.run(execute(url, SQL["tables"]))
        yield url
    finally:
        uvloop.run(execute(postgres_url, "drop database check_test with (force)"))


async def check(url: str, heads: dict[str, int], events: list[tuple[str, int]]) -> tuple[int, int]:
    connection = await asyncpg.connect(url)
    try:
        await connection.executemany("insert into channel values ($1, $2)", heads.items())
        await connection.executemany("insert into event values ($1, $2, '{}')", events)
        found = await connection.fetchrow(SQL["check_channels"])
        assert found is not None
        return found["wrong"], found["events"]
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("heads", "events", "wrong"),
    [
        ({}, [], 0),
        ({"a": 2, "b": 1}, [("a", 1), ("a", 2), ("b", 1)], 0),
        ({"a": 3}, [("a", 1), ("a", 3)], 1),
        ({"a": 2}, [("a", 2), ("a", 3)], 1),
        ({"a": 1}, [("a", 1), ("a", 2)], 1),
        ({"a": 1}, [], 1),
        ({}, [("a", 1)], 1),
        ({"a": 1, "b": 2}, [("b", 1), ("c", 1)], 3),
    ],
)
def test_every_channel_must_count_from_one_to_its_head(
    peer_tables: str, heads: dict[str, int], events: list[tuple[str, int]], wrong: int
) -> None:
    assert uvloop.run(check(peer_tables, heads, events)) == (wrong, len(events))
