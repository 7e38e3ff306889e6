"""What doctor thinks of servers, those to be had here and those that are not."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from pxbox.cli.check import Check, Severity
from pxbox.cli.server_checks import judge_database, judge_redis
from pxbox.cli.servers import run_asyncio
from pxbox.postgres.probe import DatabaseFacts, DatabaseUnreachable
from pxbox.postgres.probe import probe as probe_database
from pxbox.postgres.statements import sql
from pxbox.settings import Settings
from pxbox.streams.probe import RedisFacts, RedisUnreachable
from pxbox.streams.probe import probe as probe_redis

GOOD_DATABASE = DatabaseFacts(
    version="18.1",
    version_number=180_001,
    encoding="UTF8",
    synchronous_commit="on",
    fsync=True,
    full_page_writes=True,
    read_only=False,
    may_create=True,
    skew=timedelta(milliseconds=1),
    round_trip=timedelta(milliseconds=2),
    pending=[],
    unknown=[],
    secret_fingerprint=None,
)
GOOD_REDIS = RedisFacts("7.2.4", "Valkey 9.0.1", 2**20, 0, "noeviction", False, False, True)


def verdict(checks: list[Check]) -> dict[str, Severity]:
    return {check.name: check.severity for check in checks if check.severity != Severity.OK}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {}),
        ({"synchronous_commit": "local"}, {}),
        ({"version_number": 140_000}, {}),
        ({"version_number": 130_022}, {"database": "error"}),
        ({"encoding": "SQL_ASCII"}, {"database": "error"}),
        ({"read_only": True}, {"database": "error"}),
        ({"may_create": False}, {}),
        ({"may_create": False, "pending": ["1"]}, {"database": "error", "migrations": "warning"}),
        ({"pending": ["0002_commit"]}, {"migrations": "warning"}),
        ({"unknown": ["0099_later"]}, {"migrations": "error"}),
        ({"synchronous_commit": "off"}, {"durability": "error"}),
        ({"fsync": False}, {"durability": "error"}),
        ({"full_page_writes": False}, {"durability": "error"}),
        ({"skew": timedelta(seconds=1.5)}, {}),
        ({"skew": timedelta(seconds=-3)}, {"clock": "warning"}),
        ({"skew": timedelta(seconds=3), "round_trip": timedelta(seconds=2)}, {}),
        ({"skew": timedelta(seconds=11)}, {"clock": "error"}),
        ({"secret_fingerprint": "of another"}, {"shared secret": "error"}),
    ],
)
def test_a_database_is_judged_by_what_is_dangerous(
    changes: dict[str, object], found: dict[str, str], tmp_path: Path
) -> None:
    facts = replace(GOOD_DATABASE, **changes)  # type: ignore[arg-type]
    assert verdict(list(judge_database(Settings(data_dir=tmp_path), facts))) == found


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {}),
        ({"version": "6.2.0"}, {}),
        ({"version": "6.0.16"}, {"redis": "error"}),
        ({"version": "5"}, {"redis": "error"}),
        ({"is_replica": True}, {"redis": "error"}),
        ({"is_cluster": True}, {"redis": "error"}),
        ({"scripts": False}, {"redis": "error"}),
        ({"max_memory_bytes": 2**30}, {}),
        ({"max_memory_bytes": 2**20, "max_memory_policy": "volatile-lru"}, {}),
        ({"max_memory_bytes": 2**20}, {"redis memory": "warning"}),
    ],
)
def test_a_redis_is_judged_by_whether_windows_fit_in(
    changes: dict[str, object], found: dict[str, str]
) -> None:
    facts = replace(GOOD_REDIS, **changes)  # type: ignore[arg-type]
    assert verdict(list(judge_redis(facts))) == found


def test_the_real_database_answers_the_probe(database_url: str) -> None:
    facts = run_asyncio(probe_database(database_url, 10))
    assert facts.version_number >= 140_000
    assert (facts.encoding, facts.fsync, facts.full_page_writes) == ("UTF8", True, True)
    assert (facts.read_only, facts.may_create) == (False, True)
    assert (facts.pending, facts.unknown) == ([], [])
    assert abs(facts.skew) <= facts.round_trip
    assert facts.secret_fingerprint is None


def test_a_database_of_a_later_version_is_noticed(database_url: str) -> None:
    async def later() -> list[str]:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(sql("migration_record"), "0099_later")
        finally:
            await connection.close()
        return (await probe_database(database_url, 10)).unknown

    assert run_asyncio(later()) == ["0099_later"]


def test_the_real_redis_answers_the_probe(fresh_redis_url: str) -> None:
    facts = run_asyncio(probe_redis(fresh_redis_url, 10))
    assert facts.product.startswith(("Valkey", "Redis"))
    assert (facts.is_replica, facts.is_cluster, facts.scripts) == (False, False, True)


def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DatabaseUnreachable, match="in time"):
            run_asyncio(probe_database(f"postgresql://u@127.0.0.1:{port}/d", 0.2))
        with pytest.raises(RedisUnreachable, match="in time"):
            run_asyncio(probe_redis(f"redis://127.0.0.1:{port}/0", 0.2))


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@h:port/d", "postgresql://u:hunter2@[x/d"])
def test_a_url_that_is_none_is_not_repeated(url: str) -> None:
    with pytest.raises(DatabaseUnreachable) as error:
        run_asyncio(probe_database(url, 5))
    assert "hunter2" not in str(error.value)
    with pytest.raises(RedisUnreachable) as refusal:
        run_asyncio(probe_redis(url.replace("postgresql", "redis"), 5))
    assert "hunter2" not in str(refusal.value)
